//! Optimizer steps on gradients that the caller holds.

use crate::buffer::BufferRef;
use crate::error::MetalError;
use crate::native::{check, struct_bytes};
use crate::queue::Queue;
use crate::raw;
use crate::ticket::Ticket;

/// One parameter with its gradient and its optimizer state, all f32.
#[derive(Clone, Debug)]
pub struct OptimizerTensor<'a> {
    /// Updated in place.
    pub parameter: BufferRef<'a>,
    /// Only read.
    pub gradient: BufferRef<'a>,
    /// Updated in place; which kinds there are is said at each optimizer.
    pub states: Vec<BufferRef<'a>>,
    /// The length of each buffer in elements.
    pub elements: u64,
}

/// Stochastic gradient descent. State: `momentum_buffer` where momentum is not 0.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Sgd {
    /// The learning rate.
    pub lr: f64,
    /// The L2 penalty.
    pub weight_decay: f64,
    /// How much of the last direction is kept.
    pub momentum: f64,
    /// How much of the gradient is not added to the direction.
    pub dampening: f64,
    /// Nesterov's variant.
    pub nesterov: bool,
}

/// Adam and AdamW. State: `exp_avg`, `exp_avg_sq` and, with amsgrad, `max_exp_avg_sq`.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Adam {
    /// The learning rate.
    pub lr: f64,
    /// The L2 penalty, or AdamW's decay.
    pub weight_decay: f64,
    /// How much of each moment is kept.
    pub betas: [f64; 2],
    /// Added to the denominator.
    pub eps: f64,
    /// AdamW: the decay does not pass through the moments.
    pub decoupled_weight_decay: bool,
    /// The variant with a maximum of the second moment.
    pub amsgrad: bool,
}

/// RMSprop. State: `square_avg`, then `momentum_buffer` where momentum is not 0, then `grad_avg`
/// where it is centred.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct RmsProp {
    /// The learning rate.
    pub lr: f64,
    /// The L2 penalty.
    pub weight_decay: f64,
    /// How much of the average is kept.
    pub alpha: f64,
    /// Added to the denominator.
    pub eps: f64,
    /// How much of the last direction is kept.
    pub momentum: f64,
    /// Whether the variance is taken about the mean gradient.
    pub centered: bool,
}

impl Sgd {
    /// Updates all tensors by one step; steps count from 1.
    ///
    /// # Errors
    /// [`MetalError::InvalidArgument`] for a missing state or a short buffer, and those of a step.
    pub fn step(
        &self,
        queue: &Queue,
        tensors: &[OptimizerTensor<'_>],
        step: u64,
    ) -> Result<Ticket, MetalError> {
        let tensors = raw_tensors(tensors)?;
        let mut args = raw::onestep_sgd_args {
            struct_bytes: struct_bytes::<raw::onestep_sgd_args>(),
            call: call(queue, &tensors, step, self.lr, self.weight_decay),
            momentum: self.momentum,
            dampening: self.dampening,
            nesterov: u32::from(self.nesterov),
            reserved: 0,
        };
        // SAFETY: all handles are alive and the struct says its size.
        check(unsafe { raw::onestep_sgd_step(&mut args) })?;
        Ticket::from_raw(args.call.ticket)
    }
}

impl Adam {
    /// Updates all tensors by one step; steps count from 1.
    ///
    /// # Errors
    /// As [`Sgd::step`].
    pub fn step(
        &self,
        queue: &Queue,
        tensors: &[OptimizerTensor<'_>],
        step: u64,
    ) -> Result<Ticket, MetalError> {
        let tensors = raw_tensors(tensors)?;
        let mut args = raw::onestep_adam_args {
            struct_bytes: struct_bytes::<raw::onestep_adam_args>(),
            call: call(queue, &tensors, step, self.lr, self.weight_decay),
            beta1: self.betas[0],
            beta2: self.betas[1],
            eps: self.eps,
            decoupled_weight_decay: u32::from(self.decoupled_weight_decay),
            amsgrad: u32::from(self.amsgrad),
        };
        // SAFETY: all handles are alive and the struct says its size.
        check(unsafe { raw::onestep_adam_step(&mut args) })?;
        Ticket::from_raw(args.call.ticket)
    }
}

impl RmsProp {
    /// Updates all tensors by one step; steps count from 1.
    ///
    /// # Errors
    /// As [`Sgd::step`].
    pub fn step(
        &self,
        queue: &Queue,
        tensors: &[OptimizerTensor<'_>],
        step: u64,
    ) -> Result<Ticket, MetalError> {
        let tensors = raw_tensors(tensors)?;
        let mut args = raw::onestep_rmsprop_args {
            struct_bytes: struct_bytes::<raw::onestep_rmsprop_args>(),
            call: call(queue, &tensors, step, self.lr, self.weight_decay),
            alpha: self.alpha,
            eps: self.eps,
            momentum: self.momentum,
            centered: u32::from(self.centered),
            reserved: 0,
        };
        // SAFETY: all handles are alive and the struct says its size.
        check(unsafe { raw::onestep_rmsprop_step(&mut args) })?;
        Ticket::from_raw(args.call.ticket)
    }
}

fn raw_tensors(
    tensors: &[OptimizerTensor<'_>],
) -> Result<Vec<raw::onestep_optimizer_tensor>, MetalError> {
    tensors.iter().map(raw_tensor).collect()
}

fn raw_tensor(tensor: &OptimizerTensor<'_>) -> Result<raw::onestep_optimizer_tensor, MetalError> {
    let (got, most) = (tensor.states.len(), raw::MAX_OPTIMIZER_STATES);
    if got > most {
        let text = format!("at most {most} kinds of optimizer state, got {got}");
        return Err(MetalError::InvalidArgument(text));
    }
    let mut states = [std::ptr::null_mut(); raw::MAX_OPTIMIZER_STATES];
    for (slot, state) in states.iter_mut().zip(&tensor.states) {
        *slot = state.0;
    }
    Ok(raw::onestep_optimizer_tensor {
        parameter: tensor.parameter.0,
        gradient: tensor.gradient.0,
        states,
        elements: tensor.elements,
    })
}

fn call(
    queue: &Queue,
    tensors: &[raw::onestep_optimizer_tensor],
    step: u64,
    lr: f64,
    weight_decay: f64,
) -> raw::onestep_optimizer_call {
    raw::onestep_optimizer_call {
        queue: queue.as_raw(),
        tensors: tensors.as_ptr(),
        tensor_count: tensors.len() as u64,
        step,
        on_complete: None,
        context: std::ptr::null_mut(),
        tag: 0,
        lr,
        weight_decay,
        want_ticket: 1,
        reserved: 0,
        serial: 0,
        ticket: std::ptr::null_mut(),
    }
}

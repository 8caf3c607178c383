//! The ops that are no elementwise functions, one file a family.

mod along;
mod argmax;
mod argsort;
mod attention;
mod conv;
mod cross_entropy;
mod ctc;
mod cumsum;
#[cfg(test)]
mod differential;
mod gather;
mod matmul;
mod micro;
mod pack;
mod pooling;
mod recurrence;
mod rows;
mod softmax;
#[cfg(test)]
mod strips;
mod table;
#[cfg(test)]
mod tests;

use onestep_engine::EngineError;
use onestep_engine::ops::Op;
use onestep_engine::plan::{ConvMoments, Place};

use self::pooling::Pooling;
use crate::cpu_kernel::{CpuKernel, Regions, broken, unsupported};
use crate::fused::Follower;
use crate::machine::Machine;

/// Lowers a matrix product and the fused program that alone reads its result to one kernel; `None`
/// where the op is another, or has a better way to go alone.
///
/// # Errors
/// Those of [`lower`].
pub(crate) fn lower_followed(
    op: &Op,
    inputs: &[Place],
    output: &Place,
    follower: Follower,
    regions: Regions,
    machine: Machine,
) -> Result<Option<Box<dyn CpuKernel>>, EngineError> {
    match op {
        Op::MatMul(op) => matmul::lower_followed(op, inputs, output, follower, regions, machine),
        _ => Ok(None),
    }
}

/// Lowers a convolution with the moments of its result; `None` where it has a better way to go, which
/// cannot take them.
///
/// # Errors
/// Those of [`lower`].
pub(crate) fn lower_conv_moments(
    work: &ConvMoments,
    regions: Regions,
    machine: Machine,
) -> Result<Option<Box<dyn CpuKernel>>, EngineError> {
    let moments = Some([&work.mean, &work.deviations]);
    conv::lower(&work.window, &work.inputs, &work.output, moments, regions, machine)
}

/// The way that an op goes, where it could go several.
pub(crate) fn name_of_way(
    op: &Op,
    inputs: &[Place],
    output: &Place,
    machine: Machine,
) -> Option<&'static str> {
    conv::name_of_way(op, inputs, output, machine)
}

/// Lowers an op to a native kernel.
///
/// # Errors
/// An op that only a fused kernel computes, a dtype that is not computed in, or operands that break
/// the plan's rules.
pub(crate) fn lower(
    op: &Op,
    inputs: &[Place],
    output: &Place,
    regions: Regions,
    machine: Machine,
) -> Result<Box<dyn CpuKernel>, EngineError> {
    let threads = machine.threads;
    let pool = |pooling, window| pooling::lower(pooling, window, inputs, output, regions, threads);
    match op {
        Op::MatMul(op) => matmul::lower(op, inputs, output, regions, machine),
        Op::Conv(op) => conv::lower(&op.window, inputs, output, None, regions, machine)?
            .ok_or_else(|| broken("a convolution has no way")),
        Op::ConvInputGrad(op) => {
            conv::lower_input_grad(&op.window, inputs, output, regions, machine)
        }
        Op::ConvWeightGrad(op) => {
            conv::lower_weight_grad(&op.window, inputs, output, regions, machine)
        }
        Op::MaxPool(op) => pool(Pooling::Max, op.window),
        Op::MaxPoolGrad(op) => pool(Pooling::MaxGrad, op.window),
        Op::SumPool(op) => pool(Pooling::Sum, op.window),
        Op::SumPoolGrad(op) => pool(Pooling::SumGrad, op.window),
        Op::ArgMax(op) => argmax::lower(op.axis, inputs, output, regions, threads),
        Op::Gather(_) => gather::lower(inputs, output, regions, threads),
        Op::ScatterAdd(_) => gather::lower_scatter(inputs, output, regions, threads),
        Op::DistinctRows(op) => table::lower_distinct(op.rows, inputs, output, regions),
        Op::SetRows(_) => table::lower_set(inputs, output, regions, threads),
        Op::GatherAlong(op) => along::lower(op.axis, inputs, output, regions, threads),
        Op::ScatterAlong(op) => along::lower_scatter(op.axis, inputs, output, regions, threads),
        Op::CumSum(op) => cumsum::lower(*op, inputs, output, regions, threads),
        Op::ArgSort(op) => argsort::lower(*op, inputs, output, regions, threads),
        Op::Attention(op) => attention::lower(op, inputs, output, regions),
        Op::AttentionGrad(op) => attention::lower_gradient(op, inputs, output, regions),
        Op::Recurrence(op) => recurrence::lower(op, inputs, output, (regions, threads)),
        Op::RecurrenceGrad(op) => {
            recurrence::lower_gradient(op, inputs, output, (regions, threads))
        }
        Op::Ctc(op) => ctc::lower(op, inputs, output, regions),
        Op::CtcGrad(op) => ctc::lower_gradient(op, inputs, output, regions),
        Op::Softmax(_) => softmax::lower(false, inputs, output, regions, threads),
        Op::LogSoftmax(_) => softmax::lower(true, inputs, output, regions, threads),
        Op::CrossEntropy(op) => {
            cross_entropy::lower(op.label_smoothing, inputs, output, regions, threads)
        }
        Op::CrossEntropyGrad(op) => {
            cross_entropy::lower_gradient(op.label_smoothing, inputs, output, regions, threads)
        }
        Op::Leaf(_) | Op::Constant(_) => Err(unsupported(op.name(), "it computes nothing")),
        Op::Unary(_)
        | Op::Binary(_)
        | Op::Compare(_)
        | Op::Select(_)
        | Op::Cast(_)
        | Op::RandomUniform(_)
        | Op::Reduce(_)
        | Op::Variance(_) => Err(unsupported(op.name(), "it is part of fused kernels only")),
        Op::Reshape(_)
        | Op::Detach(_)
        | Op::Permute(_)
        | Op::Broadcast(_)
        | Op::Slice(_)
        | Op::Concat(_)
        | Op::Pad(_) => Err(unsupported(op.name(), "the plan turns it into views")),
    }
}

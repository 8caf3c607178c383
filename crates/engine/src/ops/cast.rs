//! Conversion between element types.

use onestep_memory::{DType, bf16, f16};

use super::{Gradients, OpRule, Site, expect_inputs};
use crate::array::{Array, Context};
use crate::graph::{Graph, GraphError, Type, Value};

/// Conversion to another dtype. Integers are exact in f32 up to 2^24; floats become integers by
/// truncation towards zero, saturating; f32 becomes f16 or bf16 by rounding to nearest even.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Cast {
    /// The new dtype.
    pub to: DType,
}

impl OpRule for Cast {
    fn name(&self) -> &'static str {
        "cast"
    }

    fn infer(&self, inputs: &[Type]) -> Result<Type, GraphError> {
        expect_inputs(self.name(), inputs, 1)?;
        Ok(Type { shape: inputs[0].shape.clone(), dtype: self.to })
    }

    fn gradient(
        &self,
        g: &mut Graph,
        site: &Site<'_>,
        grad: Value,
    ) -> Result<Gradients, GraphError> {
        let from = g.type_of(site.inputs[0]).dtype;
        if matches!(from, DType::I32 | DType::U8) || matches!(self.to, DType::I32 | DType::U8) {
            return Ok(vec![None]);
        }
        Ok(vec![Some(g.cast(grad, from)?)])
    }

    fn evaluate(&self, _: &Context, inputs: &[&Array], out: &Type) -> Array {
        let convert = |x: f64| match self.to {
            DType::I32 => x.trunc().clamp(f64::from(i32::MIN), f64::from(i32::MAX)),
            DType::U8 => x.trunc().clamp(0.0, 255.0),
            DType::F16 => f16::from_f64(x).to_f64(),
            DType::BF16 => bf16::from_f64(x).to_f64(),
            // The reference computes in f64 throughout, so f32 stands for the number itself.
            DType::F32 => x,
        };
        Array {
            shape: out.shape.clone(),
            data: inputs[0].data.iter().map(|&x| convert(x)).collect(),
        }
    }
}

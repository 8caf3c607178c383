use onestep_engine::EngineError;
use onestep_engine::ops::Op;
use onestep_engine::plan::Place;
use crate::native::*;
use crate::simd::Level;
pub(crate) fn lower(op: &Op, _inputs: &[Place], _output: &Place, _regions: Regions, _threads: usize, _level: Level) -> Result<Box<dyn Native>, EngineError> { Err(unsupported(op.name(), "todo")) }

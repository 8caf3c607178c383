//! Layers, models and losses of onestep as pure configuration.
//!
//! A [`ModelSpec`] is read from JSON or written with [`ModelBuilder`]. [`ModelSpec::compile`] infers
//! every shape and refuses a bad model with the layer's path, what it got and what it wanted. The
//! resulting [`Model`] knows its parameters, how they begin, and makes the forward graph for any
//! batch size; a [`Loss`] completes it. Layers and losses are compositions of the engine's ops, the
//! built-in ones and one's own alike.
//!
//! ```
//! use onestep_engine::{Mode, gradients};
//! use onestep_layers::{LossSpec, ModelBuilder};
//!
//! let model = ModelBuilder::new([1, 8, 8])
//!     .conv2d(8, 3, 1, 1, true, "conv1")
//!     .relu("relu1")
//!     .max_pool2d(2, "pool1")
//!     .flatten("flat")
//!     .dense(10, true, "fc")
//!     .build()?;
//! println!("{}", model.summary(32));
//!
//! let mut forward = model.forward(Mode::Train, 32)?;
//! let loss: LossSpec = "cross_entropy".parse()?;
//! let values = {
//!     let output = forward.output();
//!     loss.build(&mut forward.graph, output)?
//! };
//! // Cross-entropy compares with labels; some losses compare with nothing.
//! let dims = values.target.map(|target| forward.graph.shape(target).dims());
//! assert_eq!(dims, Some(&[32][..]));
//! # Ok::<(), onestep_layers::LayerError>(())
//! ```

mod adapt;
mod builder;
mod containers;
mod context;
mod decode;
mod derived;
mod error;
mod file;
mod formula;
mod geometry;
mod host_checks;
mod initializer;
mod input;
mod layer;
mod limits;
mod loss;
mod merge;
mod metrics;
mod model;
mod names;
mod parts;
mod placed;
pub mod presets;
mod random;
mod registry;
mod sequence;
mod spec;
pub mod state_dict;
mod summary;
mod wiring;

pub use onestep_base::json;

pub use builder::{Branch, ModelBuilder};
pub use context::BuildContext;
pub use derived::{Aspect, Derived, Side};
pub use error::LayerError;
pub use geometry::{Padding, Pair, Single, Sizes, Triple};
pub use host_checks::{IndexLimit, check_labels};
pub use initializer::{
    ConstantValue, Fan, FanMode, Initializer, Kaiming, Nonlinearity, Normal, TruncatedNormal,
    Uniform, Xavier,
};
pub use input::{INPUT, InputSpec, InputType, OUTPUT};
pub use layer::*;
pub use loss::*;
pub use merge::merge_lora;
pub use metrics::{accuracy, edit_distance, greedy_ctc};
pub use model::{Decoder, Forward, Model, Port, summary};
pub use parts::{Decoding, LayerRow, Layout, POSITION, ParameterSpec, StateSpec};
pub use placed::Placed;
pub use registry::Registry;
pub use spec::ModelSpec;
pub use state_dict::{StateTensor, WeightLayout};
pub use summary::{Summary, SummaryRow};

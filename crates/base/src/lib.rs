//! What the crates of onestep share and is no part of any of them: random numbers that depend on
//! their key alone ([`philox`], [`normal`]), a stable hash ([`hash`]), and with the feature `spec`
//! strict JSON ([`json`]), the lists of named kinds that settings choose from ([`registry!`]) and the
//! constructors of what a program adds to them ([`Constructors`]).

#[cfg(feature = "spec")]
mod constructors;
#[cfg(feature = "spec")]
mod defaults;
pub mod hash;
#[cfg(feature = "spec")]
pub mod json;
pub mod normal;
pub mod philox;
#[cfg(feature = "spec")]
mod registered;
#[cfg(feature = "spec")]
mod registry;
#[cfg(feature = "spec")]
pub mod schema;

#[cfg(feature = "spec")]
pub use constructors::{ConstructError, Constructors, OwnKind};
#[cfg(feature = "spec")]
pub use registered::{Entry, NoOptions, Registered, RegistryError};

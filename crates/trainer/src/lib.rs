//! The training loop of onestep: trainer, factories, callbacks, metrics and checkpoints.

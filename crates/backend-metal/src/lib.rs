//! The Metal executor of onestep.

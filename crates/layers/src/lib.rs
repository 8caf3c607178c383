//! Layers, models and losses of onestep as pure configuration.

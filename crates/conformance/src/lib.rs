//! The conformance table of onestep: one case per op, layer, loss and optimizer, held against PyTorch.

//! Train neural networks with one native call a step.

//! Optimizers of onestep as update graphs, with schedules, clipping and parameter groups.

//! Device memory for onestep: shapes, dtypes, reference-counted tensors, pools and staging buffers.

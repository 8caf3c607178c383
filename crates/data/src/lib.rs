//! Datasets, transforms and the asynchronous prefetching loader of onestep.

//! Kernels of every dialect as a program of the host: for tests, and for a platform that only exists on the CPU.
//!
//! The text of a kernel is left as it is; headers give its words a meaning in C++. Each kernel gets an entry
//! that all have in common, and `host_run` (in `threads.h`) runs the groups of a launch.

use crate::dialect::{Dialect, c_type};
use crate::kernel::{KernelSource, module};

/// Headers by the names under which programs include them: to be written into one folder, which the compiler
/// is given with `-I`.
pub const HEADERS: [(&str, &str); 3] = [
    ("metal_stdlib", include_str!("../host/metal_stdlib")),
    ("cuda_host.h", include_str!("../host/cuda_host.h")),
    ("threads.h", include_str!("../host/threads.h")),
];

/// The C++17 program of kernels of one dialect, with an entry for each: see [`entry`].
pub fn program<'a>(
    dialect: Dialect,
    kernels: impl IntoIterator<Item = &'a KernelSource> + Clone,
) -> String {
    let mut text = "#include \"threads.h\"\n".to_owned();
    if dialect == Dialect::Cuda {
        text += "#include \"cuda_host.h\"\n";
    }
    text += &module(dialect, kernels.clone());
    let mut names = std::collections::BTreeSet::new();
    for kernel in kernels {
        if names.insert(&kernel.name) {
            text += &trampoline(kernel);
        }
    }
    text
}

/// The name of the function that runs one thread of a kernel:
/// `void (void* const* buffers, unsigned int group, unsigned int thread)`.
pub fn entry(kernel: &KernelSource) -> String {
    format!("host_{}", kernel.name)
}

fn trampoline(kernel: &KernelSource) -> String {
    let pointer = |(at, ty): (usize, &str)| format!("({ty}*)b[{at}]");
    let types = kernel.arguments.iter().map(|a| c_type(a.dtype));
    let mut arguments: Vec<String> = types.enumerate().map(pointer).collect();
    let before = match kernel.dialect {
        Dialect::C => {
            arguments = vec!["b".into(), "g".into(), "t".into()];
            ""
        }
        Dialect::Metal => {
            arguments.extend(["g".into(), "t".into()]);
            ""
        }
        Dialect::Cuda => "blockIdx.x = g; threadIdx.x = t; ",
    };
    format!(
        "extern \"C\" void {}(void* const* b, unsigned int g, unsigned int t) {{ (void)b; (void)g; (void)t; \
         {before}{}({}); }}\n",
        entry(kernel),
        kernel.name,
        arguments.join(", ")
    )
}

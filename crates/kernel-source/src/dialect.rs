//! The languages that kernels are printed in. A kernel's body is the same text in all of them: the words in
//! which they differ are macros, which a prelude of each dialect defines.

use onestep_engine::DType;

use crate::argument::{Access, Argument};

/// A language for kernels.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Dialect {
    /// C++ for the host, for tests: threads of a group take turns.
    C,
    /// Apple's Metal Shading Language 2.4 or later.
    Metal,
    /// CUDA C++ as NVRTC takes it, without any header.
    Cuda,
}

/// What a platform allows of one kernel.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// The platform's name for messages.
    pub platform: &'static str,
    /// Arguments, each a pointer.
    pub arguments: usize,
    /// Bytes of memory that the threads of a group share.
    pub shared_bytes: usize,
    /// Threads of a group.
    pub threads: usize,
    /// Threads that run in step; groups are multiples of it.
    pub simd: usize,
    /// Groups of a launch.
    pub groups: usize,
}

impl Dialect {
    /// All of them.
    pub const ALL: [Dialect; 3] = [Dialect::C, Dialect::Metal, Dialect::Cuda];

    /// The name for messages.
    pub const fn name(self) -> &'static str {
        match self {
            Dialect::C => "C",
            Dialect::Metal => "Metal",
            Dialect::Cuda => "CUDA",
        }
    }

    /// What the platform allows. Metal's are those of the family Apple7 and of Mac2 (Apple, "Metal Feature Set
    /// Tables"), CUDA's those without opting into more (NVIDIA, "CUDA C++ Programming Guide", appendix on
    /// compute capabilities). C has the stricter of both, so that what passes in tests passes elsewhere.
    pub const fn limits(self) -> Limits {
        let metal = Limits {
            platform: "Metal",
            arguments: 31,
            shared_bytes: 32 << 10,
            threads: 1024,
            simd: 32,
            groups: (1 << 31) - 1,
        };
        match self {
            Dialect::Metal => metal,
            Dialect::C => Limits { platform: "C", ..metal },
            Dialect::Cuda => {
                Limits { platform: "CUDA", arguments: 512, shared_bytes: 48 << 10, ..metal }
            }
        }
    }

    /// What the compiler must be told so that numbers mean what they mean elsewhere: no fast math, and no
    /// product joined with a sum but where the text says so. Metal has this in its text, and
    /// `MTLCompileOptions` must have fast math turned off.
    pub const fn options(self) -> &'static [&'static str] {
        match self {
            Dialect::C => &["-std=c++17", "-ffp-contract=off", "-fno-fast-math"],
            Dialect::Metal => &["-fno-fast-math"],
            Dialect::Cuda => {
                &["--fmad=false", "--ftz=false", "--prec-div=true", "--prec-sqrt=true"]
            }
        }
    }

    /// What stands before all kernels of a text.
    pub(crate) const fn prelude(self) -> &'static str {
        match self {
            Dialect::C => include_str!("prelude/c.txt"),
            Dialect::Metal => include_str!("prelude/metal.txt"),
            Dialect::Cuda => include_str!("prelude/cuda.txt"),
        }
    }

    /// The head of a kernel up to its opening brace, and what its body begins with.
    pub(crate) fn head(self, name: &str, arguments: &[Argument], threads: usize) -> String {
        let pointer = |at: usize, argument: &Argument| {
            let constant = if argument.access == Access::Read { "const " } else { "" };
            format!("DEVICE {constant}{}* a{at}", c_type(argument.dtype))
        };
        let all: Vec<String> = arguments.iter().enumerate().map(|(at, a)| pointer(at, a)).collect();
        match self {
            Dialect::C => {
                let mut text = format!(
                    "extern \"C\" void {name}(void* const* buffers, uint group, uint worker) {{\n"
                );
                for (at, argument) in arguments.iter().enumerate() {
                    let ty = c_type(argument.dtype);
                    text += &format!("  {} = ({ty}*)buffers[{at}];\n", all[at]);
                }
                text + "  (void)buffers; (void)group; (void)worker;\n"
            }
            Dialect::Metal => {
                let bound = all.iter().enumerate();
                let mut all: Vec<String> =
                    bound.map(|(at, text)| format!("{text} [[buffer({at})]]")).collect();
                all.push("uint group [[threadgroup_position_in_grid]]".into());
                all.push("uint worker [[thread_position_in_threadgroup]]".into());
                format!(
                    "[[kernel, max_total_threads_per_threadgroup({threads})]] void {name}(\n    {}) {{\n",
                    all.join(",\n    ")
                )
            }
            Dialect::Cuda => format!(
                "extern \"C\" __global__ void __launch_bounds__({threads}) {name}(\n    {}) {{\n  \
                 const uint group = blockIdx.x, worker = threadIdx.x;\n  (void)group; (void)worker;\n",
                all.join(",\n    ")
            ),
        }
    }
}

/// The type of an element in memory. Halves are bits, which helpers convert, so that no dialect needs a
/// type for them.
pub(crate) const fn c_type(dtype: DType) -> &'static str {
    match dtype {
        DType::F32 => "float",
        DType::F16 | DType::BF16 => "ushort",
        DType::I32 => "int",
        DType::U8 => "uchar",
    }
}

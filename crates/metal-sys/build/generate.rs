//! Rust made from the shim's X-macro lists.

use std::error::Error;
use std::fmt::Write as _;
use std::fs;
use std::path::Path;

/// The arguments of each line `MACRO(a, b, ...)` of a list.
fn lines(path: &Path, name: &str) -> Result<Vec<Vec<String>>, Box<dyn Error>> {
    let text = fs::read_to_string(path)?;
    let prefix = format!("{name}(");
    let arguments =
        text.lines().filter_map(|line| line.trim_start().strip_prefix(&prefix)?.split_once(')'));
    let found: Vec<Vec<String>> =
        arguments.map(|(list, _)| list.split(',').map(|a| a.trim().to_owned()).collect()).collect();
    if found.is_empty() {
        return Err(format!("{}: no line begins with {prefix}", path.display()).into());
    }
    Ok(found)
}

/// `SUM_POOL_GRAD` as `SumPoolGrad`.
fn camel_case(name: &str) -> String {
    let words = name.split('_').map(|word| {
        let (first, rest) = word.split_at(1);
        first.to_owned() + &rest.to_lowercase()
    });
    words.collect()
}

/// The enum `OpCode` from `ONESTEP_OPS` of `onestep.h`.
pub(crate) fn op_codes(from: &Path, to: &Path) -> Result<(), Box<dyn Error>> {
    let ops = lines(from, "OP")?;
    let (mut variants, mut all, mut names) = (String::new(), String::new(), String::new());
    for op in &ops {
        let [name, code, ..] = op.as_slice() else {
            return Err(format!("{}: cannot read {op:?}", from.display()).into());
        };
        let variant = camel_case(name);
        writeln!(
            variants,
            "    /// `{name}` of the shim's `ONESTEP_OPS`.\n    {variant} = {code},"
        )?;
        writeln!(all, "        OpCode::{variant},")?;
        writeln!(names, "            OpCode::{variant} => \"{name}\",")?;
    }
    let count = ops.len();
    let text = format!(
        "/// The ops of a graph: see `ONESTEP_OPS` in the shim's `onestep.h` for their operands and attributes.\n\
         #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]\n#[repr(u32)]\n\
         pub enum OpCode {{\n{variants}}}\n\n\
         impl OpCode {{\n    /// All of them, in the order of `ONESTEP_OPS`.\n\
         \x20   pub const ALL: [OpCode; {count}] = [\n{all}    ];\n\n\
         \x20   /// The name in `ONESTEP_OPS`.\n    pub fn name(self) -> &'static str {{\n\
         \x20       match self {{\n{names}        }}\n    }}\n}}\n"
    );
    Ok(fs::write(to, text)?)
}

/// Constant assertions from `layout.def`.
pub(crate) fn layout(from: &Path, to: &Path) -> Result<(), Box<dyn Error>> {
    let mut text = String::new();
    for size in lines(from, "ONESTEP_SIZE")? {
        let [ty, bytes] = size.as_slice() else { continue };
        writeln!(text, "const _: () = assert!(core::mem::size_of::<{ty}>() == {bytes});")?;
    }
    for offset in lines(from, "ONESTEP_OFFSET")? {
        let [ty, field, bytes] = offset.as_slice() else { continue };
        writeln!(text, "const _: () = assert!(core::mem::offset_of!({ty}, {field}) == {bytes});")?;
    }
    Ok(fs::write(to, text)?)
}

//! A plan as text, one kernel a line with its instructions below it.

use std::fmt;

use onestep_memory::format_bytes;

use super::code::Instruction;
use super::kernel::{Composite, Kernel, Work};
use super::place::{Place, Region};
use super::types::{Footprint, Plan};

impl fmt::Display for Region {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Region::Arena => write!(f, "arena"),
            Region::Feed(i) => write!(f, "feed{i}"),
            Region::State(i) => write!(f, "state{i}"),
            Region::Constant(i) => write!(f, "constant{i}"),
            Region::Scalars => write!(f, "scalars"),
        }
    }
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}+{} {}{}", self.region, self.offset, self.dtype, self.shape)?;
        if !self.is_contiguous() {
            write!(f, " strides {:?}", self.strides())?;
        }
        Ok(())
    }
}

impl fmt::Display for Instruction {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Instruction::Load(place) => write!(f, "load {place}"),
            Instruction::Splat(number) => write!(f, "splat {number}"),
            Instruction::Random { stream } => write!(f, "random stream {stream}"),
            Instruction::Unary(op, x) => write!(f, "{op:?} r{x}"),
            Instruction::Binary(op, a, b) => write!(f, "{op:?} r{a} r{b}"),
            Instruction::Compare(op, a, b) => write!(f, "{op:?} r{a} r{b}"),
            Instruction::Select(c, a, b) => write!(f, "select r{c} r{a} r{b}"),
            Instruction::Round(dtype, x) => write!(f, "round {dtype} r{x}"),
        }
    }
}

impl fmt::Display for Composite {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Composite::ConvMoments(work) => {
                write!(f, "conv with the moments of its channels {}", work.window)
            }
            Composite::ConvGradients(work) => write!(f, "both gradients of conv {}", work.window),
        }
    }
}

impl fmt::Display for Kernel {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.work {
            Work::Op { op, inputs, output } => {
                writeln!(f, "{op}  # {}", self.label)?;
                for input in inputs {
                    writeln!(f, "      from {input}")?;
                }
                writeln!(f, "      to   {output}")
            }
            Work::Composite(composite) => {
                writeln!(f, "{composite}  # {}", self.label)?;
                composite.reads().iter().try_for_each(|place| writeln!(f, "      from {place}"))?;
                composite.writes().iter().try_for_each(|place| writeln!(f, "      to   {place}"))
            }
            Work::Fused(fused) => {
                writeln!(f, "fused over {}  # {}", fused.domain, self.label)?;
                for (register, instruction) in fused.code.iter().enumerate() {
                    writeln!(f, "      r{register} = {instruction}")?;
                }
                for output in &fused.outputs {
                    let how = output.reduce.map_or("store".into(), |kind| format!("{kind:?}"));
                    writeln!(f, "      {how} r{} to {}", output.register, output.place)?;
                }
                Ok(())
            }
        }
    }
}

impl fmt::Display for Footprint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "peak {}: activations {} (unshared {}), state {}, batch {}, constants {}",
            format_bytes(self.peak()),
            format_bytes(self.arena),
            format_bytes(self.unshared),
            format_bytes(self.state),
            format_bytes(self.feeds),
            format_bytes(self.constants)
        )
    }
}

impl fmt::Display for Plan {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "{}", self.footprint)?;
        for (i, feed) in self.feeds.iter().enumerate() {
            writeln!(f, "feed{i} = `{}` {}", feed.name, feed.ty)?;
        }
        for (i, state) in self.states.iter().enumerate() {
            writeln!(f, "state{i} = `{state}`")?;
        }
        writeln!(f, "scalars = {:?}", self.scalars)?;
        for (i, kernel) in self.kernels.iter().enumerate() {
            write!(f, "{i:>4}  {kernel}")?;
        }
        for named in self.reports.iter().chain(&self.outputs) {
            writeln!(f, "`{}` = {}", named.name, named.place)?;
        }
        Ok(())
    }
}

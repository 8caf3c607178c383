//! A graph as text, one node a line.

use std::fmt;

use super::Graph;

impl fmt::Display for Graph {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for value in self.values() {
            let node = self.node(value);
            write!(f, "{value:<5} = {}", node.op)?;
            for (i, input) in node.inputs.iter().enumerate() {
                write!(f, "{}{input}", if i == 0 { " " } else { ", " })?;
            }
            write!(f, " : {}", node.ty)?;
            match &node.label {
                Some(label) => writeln!(f, "  # {label}")?,
                None => writeln!(f)?,
            }
        }
        Ok(())
    }
}

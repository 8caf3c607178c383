//! What is compiled: a forward graph, its loss, and the rule that updates the parameters.

use std::sync::Arc;

use crate::error::EngineError;
use crate::graph::{Graph, Named, Value};
use crate::mode::Mode;
use crate::ops::LeafKind;
use crate::parameters::{ParameterGroup, ParameterInfo};
use crate::update::UpdateGraph;

/// A forward graph with its loss and what becomes of it.
#[derive(Clone, Debug)]
pub struct Program {
    /// What it is for.
    pub mode: Mode,
    /// The forward graph, with leaves for feeds, parameters, state and scalars.
    pub graph: Graph,
    /// The f32 scalar to minimise; required to train.
    pub loss: Option<Value>,
    /// Values that can be read after a step by name, such as the logits.
    pub outputs: Vec<Named>,
    /// f32 scalars that come back in each ticket, behind the loss.
    pub reports: Vec<Named>,
    /// New values of state leaves, by the leaf's name, none to evaluate; of a parameter's, what its update starts
    /// from in place of what it was.
    pub state_updates: Vec<Named>,
    /// How parameters are grouped into contiguous buffers.
    pub groups: Arc<[ParameterGroup]>,
    /// The update rule; required to train. A group of which it says nothing is frozen: it has no
    /// gradient and stays as it is.
    pub update: Option<Arc<UpdateGraph>>,
    /// To evaluate or predict with other weights than those that are trained: the kind of optimizer
    /// state with the shape of the parameters that they are read from, such as `ema`. Groups that
    /// have no such state, such as frozen ones, are read as they are.
    pub weights: Option<String>,
    /// Whether the gradients are outputs too, as `grad.NAME`.
    pub keep_gradients: bool,
    /// The weight of the loss among those of several batches: the f32 scalar that its mean divided
    /// by, 1 for a sum. Required to accumulate gradients, each times its weight; a program to train
    /// that has one adds its own gradient to them, divides by the sum of the weights, updates, and
    /// begins anew. Equal to one large batch but for rounding. The state needs
    /// [`StateLayout::accumulating`](crate::StateLayout::accumulating).
    pub accumulation: Option<Value>,
}

impl Program {
    /// A program that computes the outputs of a graph and nothing else, with all parameters in one
    /// group.
    pub fn predict(graph: Graph, outputs: Vec<Named>) -> Self {
        let parameters = graph
            .leaves(LeafKind::Parameter)
            .map(|(name, value)| ParameterInfo::new(name, graph.shape(value).clone()))
            .collect();
        let groups = Arc::from([ParameterGroup::new("all", parameters)]);
        Program {
            mode: Mode::Predict,
            graph,
            loss: None,
            outputs,
            reports: Vec::new(),
            state_updates: Vec::new(),
            groups,
            update: None,
            weights: None,
            keep_gradients: false,
            accumulation: None,
        }
    }

    /// Lets the result of a layer, or what else was [marked](Graph::mark) so, be read after a step by
    /// that name. It then stays in memory until the end of the step.
    ///
    /// ```
    /// use onestep_engine::{DType, EngineError, Graph, Program};
    /// let mut g = Graph::new();
    /// let x = g.input("x", &[2, 3], DType::F32)?;
    /// let hidden = g.relu(x)?;
    /// g.mark("relu1", hidden);
    /// let mut program = Program::predict(g, Vec::new());
    /// program.expose("relu1")?;
    /// assert!(program.expose("relu2").is_err());
    /// # Ok::<(), EngineError>(())
    /// ```
    ///
    /// # Errors
    /// [`EngineError::UnknownOutput`]: nothing was marked so.
    pub fn expose(&mut self, name: &str) -> Result<(), EngineError> {
        if self.outputs.iter().any(|output| output.name == name) {
            return Ok(());
        }
        let marks = self.graph.marks();
        let Some((_, value)) = marks.iter().find(|(own, _)| own == name) else {
            let known: Vec<&str> = marks.iter().map(|(own, _)| own.as_str()).collect();
            let (name, known) = (name.to_owned(), known.join(", "));
            return Err(EngineError::UnknownOutput { name, known });
        };
        self.outputs.push(Named::new(name, *value));
        Ok(())
    }
}

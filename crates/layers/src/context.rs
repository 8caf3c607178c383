//! What a layer sees while it is turned into graph ops.

use std::fmt::Display;

use onestep_engine::{DType, Graph, Mode, Named, ParameterInfo, Shape, Value};

use crate::error::LayerError;
use crate::geometry::Pair;
use crate::initializer::{Fan, Initializer};
use crate::layer::{Layer, LayerSpec, Shapes};
use crate::model::{LayerRow, Layout, ParameterSpec, StateSpec, total};

/// The graph under construction, and where in the model the construction stands.
///
/// A layer adds ops to [`graph`](Self::graph), asks for its parameters and states by their last
/// name (`weight`), and returns its output. The context joins names into paths, labels the ops and
/// names the layer in errors.
#[derive(Debug)]
pub struct BuildContext {
    /// The graph. Its errors turn into [`LayerError`]s with `?`.
    pub graph: Graph,
    mode: Mode,
    batch: usize,
    path: Vec<String>,
    pub(crate) parameters: Vec<ParameterSpec>,
    pub(crate) states: Vec<StateSpec>,
    pub(crate) state_updates: Vec<Named>,
    pub(crate) rows: Vec<LayerRow>,
}

impl BuildContext {
    pub(crate) fn new(mode: Mode, batch: usize) -> Self {
        BuildContext {
            graph: Graph::new(),
            mode,
            batch,
            path: Vec::new(),
            parameters: Vec::new(),
            states: Vec::new(),
            state_updates: Vec::new(),
            rows: Vec::new(),
        }
    }

    /// What the graph is for.
    pub fn mode(&self) -> Mode {
        self.mode
    }

    /// Whether the graph is one for training: dropout drops and batch statistics are used.
    pub fn training(&self) -> bool {
        self.mode.trains()
    }

    /// Samples in a batch: the first axis of every value between layers.
    pub fn batch(&self) -> usize {
        self.batch
    }

    /// The path of the layer under construction, such as `block1.body.conv1`.
    pub fn path(&self) -> String {
        self.path.join(".")
    }

    /// The dimensions of `value`, the batch first.
    pub fn dims(&self, value: Value) -> Vec<usize> {
        self.graph.shape(value).dims().to_vec()
    }

    /// The error of a layer that cannot work on what it was given.
    pub fn input_error(&self, wanted: impl Display, got: impl Display) -> LayerError {
        LayerError::input(self.path(), wanted, got)
    }

    /// The error of an option out of its range.
    pub fn option_error(
        &self,
        option: &str,
        wanted: impl Display,
        got: impl Display,
    ) -> LayerError {
        LayerError::option(self.path(), option, wanted, got)
    }

    /// Checks that `x` is f32 and has `rank` axes after the batch; `what` says which those are.
    ///
    /// # Errors
    /// [`LayerError::Input`].
    pub fn expect_rank(&self, x: Value, rank: usize, what: &str) -> Result<(), LayerError> {
        self.expect_f32(x)?;
        let sample = &self.graph.shape(x).dims()[1..];
        if sample.len() == rank {
            return Ok(());
        }
        Err(self.input_error(format!("{what} a sample"), format!("{sample:?}")))
    }

    /// Checks that `x` is f32.
    ///
    /// # Errors
    /// [`LayerError::Input`].
    pub fn expect_f32(&self, x: Value) -> Result<(), LayerError> {
        match self.graph.type_of(x).dtype {
            DType::F32 => Ok(()),
            other => Err(self.input_error("f32 values", other)),
        }
    }

    /// The axis of `x` that `dim` names, the batch being 0 and negative ones counting from the end.
    ///
    /// # Errors
    /// [`LayerError::Option`] when there is no such axis, or when it is the batch's.
    pub fn sample_axis(&self, x: Value, option: &str, dim: isize) -> Result<usize, LayerError> {
        let rank = self.graph.shape(x).rank();
        let axis = if dim < 0 { dim + rank as isize } else { dim };
        match usize::try_from(axis) {
            Ok(axis) if (1..rank).contains(&axis) => Ok(axis),
            _ => {
                let shape = self.graph.shape(x);
                let wanted = format!("an axis of {shape} other than the batch (axis 0)");
                Err(self.option_error(option, wanted, dim))
            }
        }
    }

    /// Checks that both sizes of an option are at least `least` and not absurdly large.
    pub(crate) fn check_pair(
        &self,
        option: &str,
        pair: Pair,
        least: usize,
    ) -> Result<(), LayerError> {
        match pair.range_error(least) {
            None => Ok(()),
            Some(wanted) => Err(self.option_error(option, wanted, pair)),
        }
    }

    /// Checks that a window of `extent` fits into the padded picture `x` in both axes.
    pub(crate) fn check_fit(
        &self,
        x: Value,
        extent: [usize; 2],
        output: impl Fn(usize, usize) -> Option<usize>,
    ) -> Result<(), LayerError> {
        let size = &self.graph.shape(x).dims()[2..];
        if size.iter().any(|&size| size > Pair::MAX) {
            let wanted = format!("a picture of at most {} elements a side", Pair::MAX);
            return Err(self.input_error(wanted, format!("{size:?}")));
        }
        if (0..2).all(|axis| output(axis, size[axis]).is_some()) {
            return Ok(());
        }
        let wanted = format!("a picture, with its padding, of at least {extent:?}");
        Err(self.input_error(wanted, format!("{size:?}")))
    }

    /// A learned f32 tensor of the layer under construction, called `PATH.name`.
    ///
    /// # Errors
    /// The layer has a parameter of that name, or the initialiser's options are out of range.
    pub fn parameter(
        &mut self,
        name: &str,
        dims: &[usize],
        init: Initializer,
        fan: Fan,
    ) -> Result<Value, LayerError> {
        self.declare(name, dims, init, fan, Layout::Same)
    }

    /// As [`Self::parameter`], for a weight `[in, out]` that PyTorch stores as `[out, in]`.
    ///
    /// # Errors
    /// As [`Self::parameter`].
    pub fn dense_weight(
        &mut self,
        name: &str,
        dims: [usize; 2],
        init: Initializer,
    ) -> Result<Value, LayerError> {
        self.declare(name, &dims, init, Fan::dense(dims[0], dims[1]), Layout::Transposed)
    }

    fn declare(
        &mut self,
        name: &str,
        dims: &[usize],
        init: Initializer,
        fan: Fan,
        layout: Layout,
    ) -> Result<Value, LayerError> {
        if let Some((option, wanted, got)) = init.problem() {
            return Err(self.option_error(&format!("{name}'s initialiser: {option}"), wanted, got));
        }
        let layer = self.path();
        let name = self.member(name);
        let value = self.graph.parameter(&name, dims)?;
        let info = ParameterInfo::new(name, self.graph.shape(value).clone());
        self.parameters.push(ParameterSpec { info, layer, init, fan, layout });
        Ok(value)
    }

    /// An f32 tensor kept between steps, called `PATH.name`, that begins filled with `initial`.
    ///
    /// # Errors
    /// The layer has a state or parameter of that name.
    pub fn state(&mut self, name: &str, dims: &[usize], initial: f32) -> Result<Value, LayerError> {
        let layer = self.path();
        let name = self.member(name);
        let value = self.graph.state(&name, dims)?;
        let shape = self.graph.shape(value).clone();
        self.states.push(StateSpec { name, shape, layer, initial });
        Ok(value)
    }

    /// Sets what the state `PATH.name` is after a step of training; without effect otherwise.
    pub fn update_state(&mut self, name: &str, value: Value) {
        if self.training() {
            let name = self.member(name);
            self.state_updates.push(Named::new(name, value));
        }
    }

    fn member(&self, name: &str) -> String {
        if self.path.is_empty() { name.to_owned() } else { format!("{}.{name}", self.path()) }
    }

    /// Runs `f` with `name` appended to the path, as a container does for each of its branches.
    ///
    /// # Errors
    /// Those of `f`.
    pub fn scope<T>(
        &mut self,
        name: &str,
        f: impl FnOnce(&mut Self) -> Result<T, LayerError>,
    ) -> Result<T, LayerError> {
        self.path.push(name.to_owned());
        let result = f(self).map_err(|error| error.within(&self.path()));
        self.path.pop();
        result
    }

    /// The layers of a list one after the other; an empty list is the identity.
    ///
    /// # Errors
    /// Names that clash, and those of the layers.
    pub fn sequence(&mut self, layers: &[LayerSpec], x: Value) -> Result<Value, LayerError> {
        let place = if self.path.is_empty() { "model".to_owned() } else { self.path() };
        let names = crate::spec::names(layers, &place)?;
        names.iter().zip(layers).try_fold(x, |x, (name, layer)| self.apply(name, layer, x))
    }

    /// One layer under the given name.
    ///
    /// # Errors
    /// Those of the layer.
    pub fn apply(&mut self, name: &str, layer: &LayerSpec, x: Value) -> Result<Value, LayerError> {
        let first_node = self.graph.nodes().len();
        let (first_parameter, first_state) = (self.parameters.len(), self.states.len());
        let row = self.rows.len();
        self.scope(name, |cx| {
            let path = cx.path();
            cx.rows.push(LayerRow::new(&path, layer.display_type(), cx.path.len()));
            if !layer.takes_indices() {
                cx.expect_f32(x)?;
            }
            let y = layer.build(cx, x)?;
            cx.check_output(y)?;
            cx.label(first_node, &path);
            cx.graph.mark(&path, y);

            let parameters = cx.parameters[first_parameter..].iter();
            let own = parameters.filter(|p| p.layer == path).map(|p| p.info.shape.elements());
            let states = cx.states[first_state..].iter();
            let kept = states.filter(|s| s.layer == path).map(|s| s.shape.elements());
            let (own, kept) = (total(own), total(kept));
            let shapes = Shapes { input: cx.sample(x), output: cx.sample(y) };
            let flops = layer.flops(&shapes);
            cx.rows[row].fill(shapes, own, kept, flops);
            Ok(y)
        })
    }

    fn sample(&self, value: Value) -> Vec<usize> {
        self.graph.shape(value).dims().iter().skip(1).copied().collect()
    }

    fn check_output(&self, y: Value) -> Result<(), LayerError> {
        let shape: &Shape = self.graph.shape(y);
        if shape.dims().first() == Some(&self.batch) {
            return Ok(());
        }
        let wanted = format!("an output whose first axis is the batch of {}", self.batch);
        Err(self.input_error(wanted, shape))
    }

    /// Labels the nodes from `first` on that have no label yet.
    fn label(&mut self, first: usize, label: &str) {
        self.graph.label_fresh(first, label);
    }
}

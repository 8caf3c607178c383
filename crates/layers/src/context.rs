//! What a layer sees while it is turned into graph ops.

use std::fmt::Display;

use onestep_engine::{DType, Graph, Mode, Named, ParameterInfo, Shape, Value};

use crate::derived::{Aspect, Derived};
use crate::error::LayerError;
use crate::geometry::{Pair, Sizes, range_error};
use crate::initializer::{Fan, Initializer};
use crate::parts::{LayerRow, Layout, ParameterSpec, Place, StateSpec, Use};
use crate::wiring::Wiring;

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
    pub(crate) wiring: Wiring,
    pub(crate) parameters: Vec<ParameterSpec>,
    pub(crate) states: Vec<StateSpec>,
    pub(crate) state_updates: Vec<Named>,
    pub(crate) rows: Vec<LayerRow>,
    pub(crate) uses: Vec<Use>,
    /// The full names of states that stay as they are.
    pub(crate) held: Vec<String>,
    /// Where positions stand, in a graph that decodes.
    pub(crate) decoding: Option<Place>,
}

impl BuildContext {
    pub(crate) fn new(mode: Mode, batch: usize) -> Self {
        BuildContext {
            graph: Graph::new(),
            mode,
            batch,
            path: Vec::new(),
            wiring: Wiring::default(),
            parameters: Vec::new(),
            states: Vec::new(),
            state_updates: Vec::new(),
            rows: Vec::new(),
            uses: Vec::new(),
            held: Vec::new(),
            decoding: None,
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

    /// Checks that all sizes of an option are at least `least` and not absurdly large.
    pub(crate) fn check_sizes<S: Sizes>(
        &self,
        option: &str,
        sizes: S,
        least: usize,
    ) -> Result<(), LayerError> {
        match range_error(&sizes.to_vec(), least) {
            None => Ok(()),
            Some(wanted) => Err(self.option_error(option, wanted, sizes)),
        }
    }

    /// Checks that a window of `extent` fits into the padded sample `x` in all axes behind the channels.
    pub(crate) fn check_fit<S: Sizes>(
        &self,
        x: Value,
        extent: &[usize],
        output: impl Fn(usize, usize) -> Option<usize>,
    ) -> Result<(), LayerError> {
        let size = &self.graph.shape(x).dims()[2..];
        let noun = S::NOUN;
        if size.iter().any(|&size| size > Pair::MAX) {
            let wanted = format!("a {noun} of at most {} elements a side", Pair::MAX);
            return Err(self.input_error(wanted, format!("{size:?}")));
        }
        if (0..S::AXES).all(|axis| output(axis, size[axis]).is_some()) {
            return Ok(());
        }
        let wanted = format!("a {noun}, with its padding, of at least {extent:?}");
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
        self.uses.push(Use { parameter: self.owned(name), adapter: None });
        if let Some(owner) = self.wiring.owner(&self.path) {
            return self.shared_parameter(&owner, name, dims, layout);
        }
        let layer = self.path();
        let name = self.member(name);
        let value = self.graph.parameter(&name, dims)?;
        let info = ParameterInfo::new(name, self.graph.shape(value).clone());
        let (derived, zero_row) = (None, None);
        let new = ParameterSpec { info, layer, init, derived, fan, layout, zero_row };
        self.parameters.push(new);
        Ok(value)
    }

    /// Lets the layer's parameter or state `name` begin by a aspect of its parameter `parameter`.
    pub(crate) fn begins_as(&mut self, name: &str, parameter: &str, what: Aspect) {
        let (name, parameter) = (self.owned(name), self.owned(parameter));
        let derived = Some(Derived { parameter, what });
        if let Some(found) = self.parameters.iter_mut().find(|p| p.info.name == name) {
            found.derived = derived;
        } else if let Some(found) = self.states.iter_mut().find(|state| state.name == name) {
            found.derived = derived;
        }
    }

    /// Lets a row of the layer's own parameter `name` begin at 0, whatever its initialiser says.
    pub(crate) fn begin_at_zero(&mut self, name: &str, row: usize) {
        let full = self.member(name);
        if let Some(parameter) = self.parameters.iter_mut().find(|p| p.info.name == full) {
            parameter.zero_row = Some(row);
        }
    }

    /// Notes that what the layer adds to its parameter `name` is its low-rank adapter.
    pub(crate) fn adapts(&mut self, name: &str, scale: f32) {
        let full = self.owned(name);
        if let Some(used) = self.uses.iter_mut().rev().find(|used| used.parameter == full) {
            used.adapter = Some(scale);
        }
    }

    /// The parameter of another layer in place of one's own. Where PyTorch stores both alike and this
    /// library does not, as the table of an embedding and the weight of a dense layer, it is
    /// transposed.
    fn shared_parameter(
        &mut self,
        owner: &str,
        name: &str,
        dims: &[usize],
        layout: Layout,
    ) -> Result<Value, LayerError> {
        let full = format!("{owner}.{name}");
        let Some(shared) = self.parameters.iter().find(|p| p.info.name == full) else {
            return Err(self.nothing_to_share("parameter", owner, name));
        };
        let (theirs, stored) = (shared.info.shape.dims().to_vec(), shared.layout);
        let value = self.leaf(&full)?;
        if stored == layout && theirs == dims {
            return Ok(value);
        }
        if stored != layout && theirs.iter().rev().eq(dims) {
            return Ok(self.graph.permute(value, &[1, 0])?);
        }
        let wanted = format!("a layer whose {name} is {dims:?}");
        Err(self.option_error("weights", wanted, format!("`{owner}`, whose is {theirs:?}")))
    }

    fn nothing_to_share(&self, what: &str, owner: &str, name: &str) -> LayerError {
        let got = format!("`{owner}`, which has none of that name");
        self.option_error("weights", format!("a layer with a {what} `{name}`"), got)
    }

    fn leaf(&self, name: &str) -> Result<Value, LayerError> {
        self.graph.find_leaf(name).ok_or_else(|| self.input_error("a leaf", name))
    }

    /// An f32 tensor kept between steps, called `PATH.name`, that begins filled with `initial`. Where
    /// a layer uses the states of another, it goes on from what that makes of them in this step.
    ///
    /// # Errors
    /// The layer has a state or parameter of that name, or the layer whose states it uses has none of
    /// that name and shape.
    pub fn state(&mut self, name: &str, dims: &[usize], initial: f32) -> Result<Value, LayerError> {
        if let Some(owner) = self.wiring.owner(&self.path) {
            return self.shared_state(&owner, name, dims);
        }
        let layer = self.path();
        let name = self.member(name);
        let value = self.graph.state(&name, dims)?;
        let shape = self.graph.shape(value).clone();
        self.states.push(StateSpec { name, shape, layer, initial, derived: None });
        Ok(value)
    }

    fn shared_state(&self, owner: &str, name: &str, dims: &[usize]) -> Result<Value, LayerError> {
        let full = format!("{owner}.{name}");
        match self.states.iter().find(|state| state.name == full) {
            Some(state) if state.shape.dims() == dims => {
                let update = self.state_updates.iter().find(|update| update.name == full);
                update.map_or_else(|| self.leaf(&full), |update| Ok(update.value))
            }
            Some(state) => {
                let wanted = format!("a layer whose {name} is {dims:?}");
                let got = format!("`{owner}`, whose is {}", state.shape);
                Err(self.option_error("weights", wanted, got))
            }
            None => Err(self.nothing_to_share("state", owner, name)),
        }
    }

    /// Whether the state `PATH.name` stays as it is in training too: then a layer does with it what it
    /// does in evaluation.
    pub fn holds(&self, name: &str) -> bool {
        !self.held.is_empty() && self.held.contains(&self.owned(name))
    }

    /// Sets what the state `PATH.name` is after a step of training; without effect otherwise, and for a
    /// state that is [held](Self::holds). Of a parameter it is what the step's update starts from.
    pub fn update_state(&mut self, name: &str, value: Value) {
        if !self.training() || self.holds(name) {
            return;
        }
        let name = self.owned(name);
        match self.state_updates.iter_mut().find(|update| update.name == name) {
            Some(update) => update.value = value,
            None => self.state_updates.push(Named::new(name, value)),
        }
    }

    /// What the state `PATH.name` is to be after the step, as far as has been said.
    pub(crate) fn pending_update(&self, name: &str) -> Option<Value> {
        let name = self.owned(name);
        self.state_updates.iter().find(|update| update.name == name).map(|update| update.value)
    }

    /// The full name of a parameter or state, which is that of another layer where those are used.
    fn owned(&self, name: &str) -> String {
        match self.wiring.owner(&self.path) {
            Some(owner) => format!("{owner}.{name}"),
            None => self.member(name),
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

    /// The only input of a layer.
    ///
    /// # Errors
    /// There are more, or none.
    pub fn one(&self, inputs: &[Value]) -> Result<Value, LayerError> {
        self.exactly(inputs).map(|[x]| x)
    }

    /// The two inputs of a layer.
    ///
    /// # Errors
    /// There are more or fewer.
    pub fn two(&self, inputs: &[Value]) -> Result<[Value; 2], LayerError> {
        self.exactly(inputs)
    }

    fn exactly<const N: usize>(&self, inputs: &[Value]) -> Result<[Value; N], LayerError> {
        let wrong = |_| {
            let many = if N == 1 { "" } else { "s" };
            self.input_error(format!("{N} input{many}"), format!("{} of them", inputs.len()))
        };
        inputs.try_into().map_err(wrong)
    }

    pub(crate) fn depth(&self) -> usize {
        self.path.len()
    }

    pub(crate) fn sample(&self, value: Value) -> Vec<usize> {
        self.graph.shape(value).dims().iter().skip(1).copied().collect()
    }

    pub(crate) fn check_output(&self, y: Value) -> Result<(), LayerError> {
        let shape: &Shape = self.graph.shape(y);
        if shape.dims().first() == Some(&self.batch) {
            return Ok(());
        }
        let wanted = format!("an output whose first axis is the batch of {}", self.batch);
        Err(self.input_error(wanted, shape))
    }
}

//! An optimizer: an update rule with groups and clipping, and the graph that they make.

use std::collections::HashSet;
use std::sync::Arc;

use onestep_engine::{
    Graph, Named, ParameterGroup, ParameterInfo, StateShape, StateUpdate, Type, UpdateGraph, Value,
};

use crate::check::{Range, check};
use crate::clip::GRAD_NORM;
use crate::rule::LR;
use crate::{
    Clip, GroupLeaves, GroupOptions, Grouping, OptimizerError, OptimizerSpec, UpdateRule, Updated,
};

/// Elements from which on a parameter has a group of its own: then its pass takes far longer than
/// the call of a kernel.
const LARGE: usize = 1 << 15;

/// An update rule, how parameters are grouped, and how gradients are clipped.
///
/// ```
/// use onestep_engine::{ParameterInfo, Shape};
/// use onestep_optimizer::{Clip, Grouping, Optimizer, OptimizerSpec};
///
/// # fn main() -> Result<(), onestep_optimizer::OptimizerError> {
/// let optimizer = Optimizer::from_spec("adamw".parse::<OptimizerSpec>()?)?
///     .with_grouping(Grouping::no_decay_on_biases_and_norms())?
///     .with_clip(Clip::Norm(1.0))?;
/// let groups = optimizer.groups(&[
///     ParameterInfo::new("fc.weight", Shape::from([3, 2])),
///     ParameterInfo::new("fc.bias", Shape::from([2])),
/// ])?;
/// let update = optimizer.update_graph(&groups)?;
/// assert_eq!(update.groups.len(), 2);
/// assert_eq!(update.groups[0].states[0].kind, "exp_avg");
/// assert_eq!(update.reports[0].name, "grad_norm");
/// # Ok(())
/// # }
/// ```
///
/// The learning rate is the scalar leaf `lr` of the graph and the number of the step, counted from
/// 1, is the scalar leaf `step` (only there for rules that use it). Both are fed at each step;
/// changing them never recompiles.
#[derive(Clone, Debug)]
pub struct Optimizer {
    rule: Arc<dyn UpdateRule>,
    lr: f64,
    grouping: Grouping,
    clip: Option<Clip>,
}

impl Optimizer {
    /// An optimizer with a rule of one's own and the learning rate that it starts with, with all
    /// parameters in one group and without clipping.
    ///
    /// # Errors
    /// [`OptimizerError::Option`] when the learning rate is negative or not finite.
    pub fn new(rule: impl UpdateRule + 'static, lr: f64) -> Result<Self, OptimizerError> {
        check(rule.name(), [("lr", lr, Range::NotNegative)])?;
        Ok(Optimizer { rule: Arc::new(rule), lr, grouping: Grouping::single(), clip: None })
    }

    /// A built-in optimizer, with all parameters in one group and without clipping.
    ///
    /// # Errors
    /// Those of [`OptimizerSpec::validate`].
    pub fn from_spec(spec: OptimizerSpec) -> Result<Self, OptimizerError> {
        spec.validate()?;
        let lr = spec.lr();
        match spec {
            OptimizerSpec::Sgd(rule) => Self::new(rule, lr),
            OptimizerSpec::Adam(rule) => Self::new(rule, lr),
            OptimizerSpec::AdamW(rule) => Self::new(rule, lr),
            OptimizerSpec::RmsProp(rule) => Self::new(rule, lr),
            OptimizerSpec::Adagrad(rule) => Self::new(rule, lr),
        }
    }

    /// The same optimizer with other groups.
    ///
    /// # Errors
    /// Those of [`Grouping::validate`].
    pub fn with_grouping(mut self, grouping: Grouping) -> Result<Self, OptimizerError> {
        grouping.validate()?;
        self.grouping = grouping;
        Ok(self)
    }

    /// The same optimizer with clipping.
    ///
    /// # Errors
    /// Those of [`Clip::validate`].
    pub fn with_clip(mut self, clip: impl Into<Option<Clip>>) -> Result<Self, OptimizerError> {
        self.clip = clip.into();
        if let Some(clip) = &self.clip {
            clip.validate()?;
        }
        Ok(self)
    }

    /// The name of the rule.
    pub fn name(&self) -> &str {
        self.rule.name()
    }

    /// The learning rate it starts with.
    pub fn lr(&self) -> f64 {
        self.lr
    }

    /// The rule.
    pub fn rule(&self) -> &dyn UpdateRule {
        self.rule.as_ref()
    }

    /// The configuration of a built-in rule, with the learning rate.
    pub fn spec(&self) -> Option<OptimizerSpec> {
        self.rule.spec().map(|spec| spec.with_lr(self.lr))
    }

    /// The same optimizer with another learning rate.
    ///
    /// # Errors
    /// [`OptimizerError::Option`] when it is negative or not finite.
    pub fn with_lr(mut self, lr: f64) -> Result<Self, OptimizerError> {
        check(self.rule.name(), [("lr", lr, Range::NotNegative)])?;
        self.lr = lr;
        Ok(self)
    }

    /// How parameters are grouped.
    pub fn grouping(&self) -> &Grouping {
        &self.grouping
    }

    /// How gradients are clipped.
    pub fn clip(&self) -> Option<Clip> {
        self.clip
    }

    /// Puts each parameter into exactly one group; groups without parameters are left out. A large
    /// parameter is [alone](ParameterGroup::split_large), with the options of its group.
    ///
    /// # Errors
    /// Those of [`Grouping::groups`], and [`OptimizerError::DuplicateGroup`] when a group has the
    /// name that a large parameter's own group gets, such as `all/fc1.weight`.
    pub fn groups(
        &self,
        parameters: &[ParameterInfo],
    ) -> Result<Vec<ParameterGroup>, OptimizerError> {
        let groups = self.grouping.groups(parameters)?.into_iter();
        let groups: Vec<_> = groups.flat_map(|group| group.split_large(LARGE)).collect();
        let mut names = HashSet::new();
        match groups.iter().find(|group| !names.insert(group.name.as_str())) {
            Some(twice) => Err(OptimizerError::DuplicateGroup { name: twice.name.clone() }),
            None => Ok(groups),
        }
    }

    /// The update of all groups as one graph: clipping over all of them together, then the rule
    /// on each.
    ///
    /// # Errors
    /// A group whose name the grouping does not know, a rule that returns values that do not fit
    /// what it said of itself, and the graph's own errors.
    pub fn update_graph(&self, groups: &[ParameterGroup]) -> Result<UpdateGraph, OptimizerError> {
        let options = groups
            .iter()
            .map(|group| self.grouping.group(&group.options))
            .collect::<Result<Vec<_>, _>>()?;
        let mut update = UpdateGraph::default();
        for group in groups {
            self.add_leaves(&mut update, group)?;
        }
        let mut gradients: Vec<Value> = update.groups.iter().map(|g| g.gradient).collect();
        if let Some(clip) = self.clip {
            let (clipped, norm) = clip.apply(&mut update.graph, &gradients)?;
            gradients = clipped;
            update.reports.extend(norm.map(|norm| Named::new(GRAD_NORM, norm)));
        }
        for (index, (options, gradient)) in options.into_iter().zip(gradients).enumerate() {
            self.update_group(&mut update, index, options, gradient)?;
        }
        Ok(update)
    }

    /// Adds the leaves of a group: parameter, gradient and each kind of state.
    fn add_leaves(
        &self,
        update: &mut UpdateGraph,
        group: &ParameterGroup,
    ) -> Result<(), OptimizerError> {
        update.group(group)?;
        for kind in self.rule.states() {
            let old = update.state(group, &kind.name)?;
            let shape = StateShape::Element;
            let state =
                StateUpdate { kind: kind.name, shape, old, new: old, initial: kind.initial };
            if let Some(last) = update.groups.last_mut() {
                last.states.push(state);
            }
        }
        Ok(())
    }

    /// Runs the rule on one group.
    fn update_group(
        &self,
        update: &mut UpdateGraph,
        index: usize,
        options: &GroupOptions,
        gradient: Value,
    ) -> Result<(), OptimizerError> {
        let group = &mut update.groups[index];
        let g = &mut update.graph;
        let lr = g.scalar(LR)?;
        let lr = match options.lr_scale {
            1.0 => lr,
            scale => g.scale(lr, scale as f32)?,
        };
        let leaves = GroupLeaves {
            group: &options.name,
            parameter: group.parameter,
            gradient,
            states: &group.states,
            lr,
            weight_decay: options.weight_decay.unwrap_or_else(|| self.rule.weight_decay()),
        };
        let wanted = g.type_of(group.parameter).clone();
        let updated = self.rule.update(g, leaves)?;
        self.check_updated(g, &updated, &wanted, group.states.len())?;
        group.new_parameter = updated.parameter;
        for (state, new) in group.states.iter_mut().zip(updated.states) {
            state.new = new;
        }
        Ok(())
    }

    /// Checks what a rule returned against what it said of itself.
    fn check_updated(
        &self,
        g: &Graph,
        updated: &Updated,
        wanted: &Type,
        states: usize,
    ) -> Result<(), OptimizerError> {
        let error = |wanted: String, got: String| OptimizerError::Rule {
            rule: self.rule.name().to_owned(),
            wanted,
            got,
        };
        if updated.states.len() != states {
            let wanted = format!("{states} states, as many as it lists");
            return Err(error(wanted, updated.states.len().to_string()));
        }
        for &value in updated.states.iter().chain([&updated.parameter]) {
            let got = g.nodes().get(value.index()).map(|node| &node.ty);
            if got != Some(wanted) {
                let got = got.map_or_else(|| "one of another graph".to_owned(), Type::to_string);
                return Err(error(format!("values of {wanted}"), got));
            }
        }
        Ok(())
    }
}

//! An optimizer: an update rule with groups and clipping, and the graph that they make.

use std::collections::HashSet;
use std::sync::Arc;

use onestep_engine::{ParameterGroup, ParameterInfo, UpdateGraph};

use crate::assemble::{Part, assemble};
use crate::check::{Range, check};
use crate::fed::{Fed, check_hyper, start_of};
use crate::{
    Averaging, Clip, GroupOptions, Grouping, Horizon, OptimizerError, OptimizerSpec, ScheduleSpec,
    UpdateRule,
};

/// Elements from which on a parameter has a group of its own: then its pass takes far longer than
/// the call of a kernel.
const LARGE: usize = 1 << 15;

/// An update rule, how parameters are grouped, how gradients are clipped, and an average of the
/// weights.
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
/// changing them never recompiles. So it is with the options that a schedule changes
/// ([`Optimizer::with_schedule`]) and with the share of new weights in their average
/// ([`Optimizer::with_averaging`]): [`Optimizer::fed`] says what to feed.
#[derive(Clone, Debug)]
pub struct Optimizer {
    rule: Arc<dyn UpdateRule>,
    lr: f64,
    grouping: Grouping,
    clip: Option<Clip>,
    averaging: Option<Averaging>,
    schedules: Vec<(&'static str, ScheduleSpec)>,
}

impl Optimizer {
    /// An optimizer with a rule of one's own and the learning rate that it starts with, with all
    /// parameters in one group and without clipping.
    ///
    /// # Errors
    /// [`OptimizerError::Option`] when the learning rate is negative or not finite.
    pub fn new(rule: impl UpdateRule + 'static, lr: f64) -> Result<Self, OptimizerError> {
        Self::of(Arc::new(rule), lr)
    }

    fn of(rule: Arc<dyn UpdateRule>, lr: f64) -> Result<Self, OptimizerError> {
        check(rule.name(), [("lr", lr, Range::NotNegative)])?;
        Ok(Optimizer {
            rule,
            lr,
            grouping: Grouping::single(),
            clip: None,
            averaging: None,
            schedules: Vec::new(),
        })
    }

    /// A built-in optimizer, or a custom one that has been
    /// [resolved](OptimizerSpec::resolve), with all parameters in one group and without clipping.
    ///
    /// # Errors
    /// Those of [`OptimizerSpec::validate`].
    pub fn from_spec(spec: OptimizerSpec) -> Result<Self, OptimizerError> {
        spec.validate()?;
        Self::of(spec.rule(), spec.lr())
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

    /// The same optimizer with an average of the weights, to evaluate and predict with.
    ///
    /// # Errors
    /// Those of [`Averaging::validate`].
    pub fn with_averaging(
        mut self,
        averaging: impl Into<Option<Averaging>>,
    ) -> Result<Self, OptimizerError> {
        self.averaging = averaging.into();
        if let Some(averaging) = &self.averaging {
            averaging.validate()?;
        }
        Ok(self)
    }

    /// The same optimizer with a schedule of an option of its rule, such as `weight_decay`, that
    /// starts from the option's number. Groups with an optimizer of their own keep theirs; a group
    /// with a weight decay of its own follows in proportion.
    ///
    /// # Errors
    /// [`OptimizerError::UnknownHyperparameter`] for a name that is none of
    /// [`HYPERPARAMETERS`](crate::HYPERPARAMETERS) or that the rule does not have, an option that
    /// the rule leaves out as it is 0, and a schedule that watches a metric.
    pub fn with_schedule(
        mut self,
        name: &str,
        schedule: ScheduleSpec,
    ) -> Result<Self, OptimizerError> {
        let name = check_hyper(self.rule.as_ref(), name, &schedule)?;
        self.schedules.retain(|(known, _)| *known != name);
        self.schedules.push((name, schedule));
        Ok(self)
    }

    /// The schedules of the rule's options, by their names.
    pub fn schedules(&self) -> impl Iterator<Item = (&'static str, &ScheduleSpec)> {
        self.schedules.iter().map(|(name, schedule)| (*name, schedule))
    }

    /// What goes by epochs beside the learning rate, by its name: a schedule of an option, an average of
    /// the weights.
    pub fn counts_epochs(&self) -> Option<&'static str> {
        let scheduled = self.schedules.iter().find(|(_, schedule)| schedule.needs_epochs());
        let averaged = self.averaging.filter(Averaging::needs_epochs).map(|average| average.kind());
        scheduled.map(|(name, _)| *name).or(averaged)
    }

    /// What is to be fed at each step of a run beside the learning rate and the step's number.
    ///
    /// # Errors
    /// Those of [`ScheduleSpec::build`].
    pub fn fed(&self, horizon: &Horizon) -> Result<Fed, OptimizerError> {
        Fed::new(self.rule.as_ref(), &self.schedules, self.averaging, horizon)
    }

    /// The average of the weights.
    pub fn averaging(&self) -> Option<Averaging> {
        self.averaging
    }

    /// The kind of state with the weights to evaluate and predict with, where they are not those
    /// that are trained: `Program::weights` of the engine.
    pub fn weights(&self) -> Option<&'static str> {
        self.averaging.map(|averaging| averaging.kind()).or_else(|| self.rule.weights())
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
        OptimizerSpec::of_rule(self.rule.as_ref()).map(|spec| spec.with_lr(self.lr))
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
    /// parameter is [alone](ParameterGroup::split_large), with the options of its group, and so are
    /// all whose rule goes [by tensor](UpdateRule::by_tensor).
    ///
    /// # Errors
    /// Those of [`Grouping::groups`], and [`OptimizerError::DuplicateGroup`] when a group has the
    /// name that a large parameter's own group gets, such as `all/fc1.weight`.
    pub fn groups(
        &self,
        parameters: &[ParameterInfo],
    ) -> Result<Vec<ParameterGroup>, OptimizerError> {
        let groups = self.grouping.groups(parameters)?.into_iter();
        let mut split = Vec::new();
        for group in groups {
            let (name, options) = (group.name.clone(), self.grouping.group(&group.options)?);
            let alone =
                |p: &ParameterInfo| !options.frozen && self.rule_of(options, p).2.by_tensor();
            let (alone, together): (Vec<_>, Vec<_>) = group.parameters.into_iter().partition(alone);
            split.extend(ParameterGroup::new(name.as_str(), together).split_large(LARGE));
            split.extend(ParameterGroup::new(name.as_str(), alone).split_large(0));
        }
        let groups = split;
        let mut names = HashSet::new();
        match groups.iter().find(|group| !names.insert(group.name.as_str())) {
            Some(twice) => Err(OptimizerError::DuplicateGroup { name: twice.name.clone() }),
            None => Ok(groups),
        }
    }

    /// The update of all groups that are not frozen as one graph: clipping over all of them together,
    /// then the rule on each.
    ///
    /// # Errors
    /// A group whose name the grouping does not know, a rule that returns values that do not fit
    /// what it said of itself, and the graph's own errors.
    pub fn update_graph(&self, groups: &[ParameterGroup]) -> Result<UpdateGraph, OptimizerError> {
        let mut parts = Vec::with_capacity(groups.len());
        for group in groups {
            let options = self.grouping.group(&group.options)?;
            if !options.frozen {
                parts.push(self.part(group, options)?);
            }
        }
        assemble(parts, self.clip, self.averaging)
    }

    /// What updates a parameter: a name of it that no other rule has, its learning rate, and the
    /// rule.
    fn rule_of(
        &self,
        options: &GroupOptions,
        parameter: &ParameterInfo,
    ) -> (String, f64, Arc<dyn UpdateRule>) {
        let (of, lr, rule) = match &options.optimizer {
            Some(own) => (options.name.clone(), own.lr(), own.rule()),
            None => ("run".to_owned(), self.lr, Arc::clone(&self.rule)),
        };
        match rule.other(parameter) {
            Some(other) => (format!("{of}.other"), other.lr, other.rule),
            None => (of, lr, rule),
        }
    }

    fn part<'a>(
        &self,
        group: &'a ParameterGroup,
        options: &'a GroupOptions,
    ) -> Result<Part<'a>, OptimizerError> {
        let (of, lr, rule) = match group.parameters.first() {
            Some(parameter) => self.rule_of(options, parameter),
            None => ("run".to_owned(), self.lr, Arc::clone(&self.rule)),
        };
        let own = lr != self.lr;
        if own && self.lr == 0.0 {
            let wanted = format!("above 0, as that of `{}` follows it in proportion", rule.name());
            return Err(OptimizerError::option(self.name(), "lr", wanted, self.lr));
        }
        let lr_scale = options.lr_scale * if own { lr / self.lr } else { 1.0 };
        let weight_decay = options.weight_decay.unwrap_or_else(|| rule.weight_decay());
        let fed = if of == "run" { self.fed_options(options) } else { Vec::new() };
        Ok(Part { group, options, rule, of, lr_scale, weight_decay, fed })
    }

    /// The options that schedules change for a group, each with a factor.
    fn fed_options(&self, options: &GroupOptions) -> Vec<(&'static str, f64)> {
        let factor = |name: &'static str| match (name, options.weight_decay) {
            ("weight_decay", Some(0.0)) => None,
            ("weight_decay", Some(own)) => {
                Some((name, own / start_of(self.rule.as_ref(), name).unwrap_or(own)))
            }
            _ => Some((name, 1.0)),
        };
        self.schedules.iter().filter_map(|(name, _)| factor(name)).collect()
    }
}

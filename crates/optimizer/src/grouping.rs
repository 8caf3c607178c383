//! How the parameters of a model fall into groups with options of their own.

use std::collections::HashSet;

use onestep_base::Constructors;
use onestep_engine::{ParameterGroup, ParameterInfo};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::check::{Range, check};
use crate::{OptimizerError, OptimizerSpec};

/// A group's name and what is special about its update.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct GroupOptions {
    /// The name, unique among the groups.
    pub name: String,
    /// The group's learning rate as a multiple of the optimizer's.
    #[serde(default = "one")]
    pub lr_scale: f64,
    /// The group's weight decay, where it is not the optimizer's.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub weight_decay: Option<f64>,
    /// The group's optimizer, where it is not the one of the others. Its learning rate, times
    /// `lr_scale`, is the group's at first, and follows the schedule in proportion.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub optimizer: Option<OptimizerSpec>,
    /// Whether the group is not trained: its parameters stay as they are, and no gradient of them
    /// is computed.
    #[serde(default, skip_serializing_if = "is_false")]
    pub frozen: bool,
}

fn is_false(flag: &bool) -> bool {
    !flag
}

fn one() -> f64 {
    1.0
}

impl GroupOptions {
    /// A group that is updated with the optimizer's own options.
    pub fn new(name: impl Into<String>) -> Self {
        GroupOptions {
            name: name.into(),
            lr_scale: 1.0,
            weight_decay: None,
            optimizer: None,
            frozen: false,
        }
    }

    /// A group that is not trained.
    pub fn frozen(name: impl Into<String>) -> Self {
        GroupOptions { frozen: true, ..Self::new(name) }
    }

    /// The same group with an optimizer of its own.
    #[must_use]
    pub fn with_optimizer(mut self, optimizer: impl Into<OptimizerSpec>) -> Self {
        self.optimizer = Some(optimizer.into());
        self
    }

    /// The same group with a learning rate of its own, as a multiple of the optimizer's.
    #[must_use]
    pub fn with_lr_scale(mut self, lr_scale: f64) -> Self {
        self.lr_scale = lr_scale;
        self
    }

    /// The same group with a weight decay of its own.
    #[must_use]
    pub fn with_weight_decay(mut self, weight_decay: f64) -> Self {
        self.weight_decay = Some(weight_decay);
        self
    }

    fn validate(&self) -> Result<(), OptimizerError> {
        let subject = format!("parameter group `{}`", self.name);
        if self.name.is_empty() {
            return Err(OptimizerError::option(subject, "name", "a text that is not empty", "``"));
        }
        if let Some(optimizer) = &self.optimizer {
            optimizer.validate()?;
        }
        let decay = self.weight_decay.unwrap_or(0.0);
        check(
            &subject,
            [
                ("lr_scale", self.lr_scale, Range::NotNegative),
                ("weight_decay", decay, Range::NotNegative),
            ],
        )
    }
}

/// Which parameters a group takes.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Selector {
    /// Those of at most so many dimensions: with 1, biases, the scales of normalisations and the
    /// slopes of PReLU.
    MaxRank(usize),
    /// Those of exactly so many dimensions: with 2, matrices.
    Rank(usize),
    /// Those whose name fits a pattern, in which `*` stands for any characters, `?` for one and
    /// `[ab]` for one of some: `layer[12].*.weight`.
    Pattern(String),
    /// Those whose name starts with this, such as `head.`.
    Prefix(String),
    /// Those whose name ends with this, such as `.bias`.
    Suffix(String),
    /// Those with exactly these names.
    Names(Vec<String>),
}

impl Selector {
    /// Whether the group takes this parameter.
    pub fn matches(&self, parameter: &ParameterInfo) -> bool {
        match self {
            Selector::MaxRank(rank) => parameter.shape.rank() <= *rank,
            Selector::Rank(rank) => parameter.shape.rank() == *rank,
            Selector::Pattern(pattern) => {
                glob::Pattern::new(pattern).is_ok_and(|pattern| pattern.matches(&parameter.name))
            }
            Selector::Prefix(prefix) => parameter.name.starts_with(prefix.as_str()),
            Selector::Suffix(suffix) => parameter.name.ends_with(suffix.as_str()),
            Selector::Names(names) => names.contains(&parameter.name),
        }
    }

    fn validate(&self) -> Result<(), OptimizerError> {
        match self {
            Selector::Pattern(pattern) => {
                let wrong = |error: glob::PatternError| {
                    let wanted = format!("a pattern with `*`, `?` and `[ab]` ({})", error.msg);
                    OptimizerError::option("parameter group", "pattern", wanted, pattern)
                };
                glob::Pattern::new(pattern).map(|_| ()).map_err(wrong)
            }
            _ => Ok(()),
        }
    }
}

/// A group and which parameters it takes.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct GroupRule {
    /// Which parameters.
    pub select: Selector,
    /// The group.
    pub group: GroupOptions,
}

/// How parameters fall into groups: each goes to the first rule that takes it, else to the rest.
///
/// ```
/// use onestep_engine::{ParameterInfo, Shape};
/// use onestep_optimizer::{GroupOptions, Grouping, Selector};
///
/// let grouping = Grouping::no_decay_on_biases_and_norms()
///     .with_rule(Selector::Prefix("head.".into()), GroupOptions::new("head").with_lr_scale(10.0));
/// let groups = grouping.groups(&[
///     ParameterInfo::new("conv.weight", Shape::from([8, 3, 3, 3])),
///     ParameterInfo::new("conv.bias", Shape::from([8])),
///     ParameterInfo::new("head.weight", Shape::from([8, 2])),
/// ])?;
/// let names: Vec<&str> = groups.iter().map(|group| group.name.as_str()).collect();
/// assert_eq!(names, ["no_decay", "head", "decay"]);
/// # Ok::<(), onestep_optimizer::OptimizerError>(())
/// ```
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Grouping {
    /// The rules, in the order in which they are asked.
    pub rules: Vec<GroupRule>,
    /// The group of parameters that no rule takes.
    pub rest: GroupOptions,
}

impl Default for Grouping {
    fn default() -> Self {
        Self::single()
    }
}

impl Grouping {
    /// All parameters in one group, `all`.
    pub fn single() -> Self {
        Grouping { rules: Vec::new(), rest: GroupOptions::new("all") }
    }

    /// Tensors of rank 0 and 1 (biases, normalisations, PReLU) in the group `no_decay` without
    /// weight decay, all others in `decay`.
    pub fn no_decay_on_biases_and_norms() -> Self {
        Grouping { rules: Vec::new(), rest: GroupOptions::new("decay") }
            .with_rule(Selector::MaxRank(1), GroupOptions::new("no_decay").with_weight_decay(0.0))
    }

    /// Adds a rule behind the others.
    #[must_use]
    pub fn with_rule(mut self, select: Selector, group: GroupOptions) -> Self {
        self.rules.push(GroupRule { select, group });
        self
    }

    /// The options of all groups: those of the rules in order, then the rest.
    pub fn options(&self) -> impl Iterator<Item = &GroupOptions> {
        self.rules.iter().map(|rule| &rule.group).chain([&self.rest])
    }

    /// The same grouping with the code of custom optimizers looked up, as
    /// [`OptimizerSpec::resolve`] does.
    ///
    /// # Errors
    /// Those of [`OptimizerSpec::resolve`].
    pub fn resolve(mut self, constructors: &Constructors) -> Result<Self, OptimizerError> {
        let groups = self.rules.iter_mut().map(|rule| &mut rule.group).chain([&mut self.rest]);
        for group in groups {
            let optimizer = group.optimizer.take();
            group.optimizer = optimizer.map(|spec| spec.resolve(constructors)).transpose()?;
        }
        Ok(self)
    }

    /// The options of the group called `name`.
    ///
    /// # Errors
    /// [`OptimizerError::UnknownGroup`] when there is none.
    pub fn group(&self, name: &str) -> Result<&GroupOptions, OptimizerError> {
        self.options().find(|options| options.name == name).ok_or_else(|| {
            let known = self.options().map(|o| o.name.as_str()).collect::<Vec<_>>().join(", ");
            OptimizerError::UnknownGroup { name: name.to_owned(), known }
        })
    }

    /// Checks names and options of the groups.
    ///
    /// # Errors
    /// A name that is empty or taken twice, a negative scale or decay.
    pub fn validate(&self) -> Result<(), OptimizerError> {
        let mut names = HashSet::new();
        for rule in &self.rules {
            rule.select.validate()?;
        }
        for options in self.options() {
            options.validate()?;
            if !names.insert(options.name.as_str()) {
                return Err(OptimizerError::DuplicateGroup { name: options.name.clone() });
            }
        }
        Ok(())
    }

    /// Puts each parameter into exactly one group, in the order given. Groups without parameters
    /// are left out.
    ///
    /// # Errors
    /// Those of [`Grouping::validate`], and [`OptimizerError::DuplicateParameter`].
    pub fn groups(
        &self,
        parameters: &[ParameterInfo],
    ) -> Result<Vec<ParameterGroup>, OptimizerError> {
        self.validate()?;
        let mut groups: Vec<ParameterGroup> = self
            .options()
            .map(|options| ParameterGroup::new(options.name.as_str(), Vec::new()))
            .collect();
        let mut seen = HashSet::new();
        for parameter in parameters {
            if !seen.insert(parameter.name.as_str()) {
                return Err(OptimizerError::DuplicateParameter { name: parameter.name.clone() });
            }
            let taken = self.rules.iter().position(|rule| rule.select.matches(parameter));
            groups[taken.unwrap_or(self.rules.len())].parameters.push(parameter.clone());
        }
        groups.retain(|group| !group.parameters.is_empty());
        Ok(groups)
    }
}

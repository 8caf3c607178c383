//! Optimizers of one's own by name.

use std::fmt;
use std::sync::Arc;

use onestep_base::Constructors;
use onestep_engine::{Graph, GraphError, ParameterInfo, Value};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::OptimizerError;
use crate::check::{Range, check};
use crate::leaves::GroupLeaves;
use crate::options::Options;
use crate::rule::{OtherRule, Scope, SharedState, StateKind, UpdateRule, Updated};

/// An optimizer of one's own: in a file a name and options, which registered constructors
/// ([`OptimizerSpec::resolve`](crate::OptimizerSpec::resolve)) turn into code:
/// `{"type": "custom", "optimizer": "sign_sgd", "lr": 0.01, "options": {}}`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct CustomOptimizer {
    /// The name it is registered under.
    pub optimizer: String,
    /// Options for the registered constructor.
    #[serde(default)]
    pub options: serde_json::Map<String, serde_json::Value>,
    /// The learning rate.
    #[serde(default = "thousandth")]
    pub lr: f64,
    /// The weight decay.
    #[serde(default)]
    pub weight_decay: f64,
    /// The code, once it is known.
    #[serde(skip)]
    #[schemars(skip)]
    code: Option<RuleCode>,
}

fn thousandth() -> f64 {
    1e-3
}

/// The code of a custom optimizer.
#[derive(Clone)]
struct RuleCode(Arc<dyn UpdateRule>);

impl fmt::Debug for RuleCode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("RuleCode")
    }
}

impl PartialEq for RuleCode {
    /// Code is told apart by the name and the options that it was made from.
    fn eq(&self, _: &Self) -> bool {
        true
    }
}

impl CustomOptimizer {
    /// An optimizer by the name that it is registered under.
    pub fn new(
        optimizer: impl Into<String>,
        options: serde_json::Map<String, serde_json::Value>,
        lr: f64,
    ) -> Self {
        let optimizer = optimizer.into();
        CustomOptimizer { optimizer, options, lr, weight_decay: 0.0, code: None }
    }

    /// Looks the code up, where it is not known yet.
    pub(crate) fn resolve(&mut self, constructors: &Constructors) -> Result<(), OptimizerError> {
        if self.code.is_none() {
            let made = constructors.make::<dyn UpdateRule>(&self.optimizer, &self.options);
            self.code = Some(RuleCode(made.map_err(OptimizerError::Custom)?));
        }
        Ok(())
    }

    fn known(&self) -> Result<&dyn UpdateRule, GraphError> {
        let missing =
            || GraphError::UnknownLeaf { name: self.optimizer.clone(), known: String::new() };
        self.code.as_ref().map(|code| code.0.as_ref()).ok_or_else(missing)
    }
}

impl UpdateRule for CustomOptimizer {
    fn name(&self) -> &str {
        &self.optimizer
    }

    fn states(&self) -> Vec<StateKind> {
        self.known().map(UpdateRule::states).unwrap_or_default()
    }

    fn weight_decay(&self) -> f64 {
        self.weight_decay
    }

    fn options(&self) -> Option<(&'static str, serde_json::Value)> {
        serde_json::to_value(self).ok().map(|options| ("custom", options))
    }

    fn shared_states(&self) -> Vec<SharedState> {
        self.known().map(UpdateRule::shared_states).unwrap_or_default()
    }

    fn shared(
        &self,
        g: &mut Graph,
        scope: Scope,
        groups: &[GroupLeaves<'_>],
    ) -> Result<Vec<Value>, GraphError> {
        self.known()?.shared(g, scope, groups)
    }

    fn by_tensor(&self) -> bool {
        self.known().is_ok_and(UpdateRule::by_tensor)
    }

    fn other(&self, parameter: &ParameterInfo) -> Option<OtherRule> {
        self.known().ok()?.other(parameter)
    }

    fn weights(&self) -> Option<&'static str> {
        self.known().ok()?.weights()
    }

    fn update(&self, g: &mut Graph, leaves: GroupLeaves<'_>) -> Result<Updated, GraphError> {
        self.known()?.update(g, leaves)
    }
}

impl Options for CustomOptimizer {
    fn lr(&self) -> f64 {
        self.lr
    }

    fn lr_mut(&mut self) -> &mut f64 {
        &mut self.lr
    }

    fn weight_decay_mut(&mut self) -> &mut f64 {
        &mut self.weight_decay
    }

    fn check(&self) -> Result<(), OptimizerError> {
        if self.code.is_none() {
            // An empty list says that nothing is registered under the name.
            let nothing = Constructors::default();
            let made = nothing.make::<dyn UpdateRule>(&self.optimizer, &self.options);
            return made.map(|_| ()).map_err(OptimizerError::Custom);
        }
        check(
            &self.optimizer,
            [
                ("lr", self.lr, Range::NotNegative),
                ("weight_decay", self.weight_decay, Range::NotNegative),
            ],
        )
    }

    fn to_rule(&self) -> Arc<dyn UpdateRule> {
        Arc::new(self.clone())
    }
}

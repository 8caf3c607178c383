//! What the options of all built-in optimizers have in common.

use std::sync::Arc;

use crate::OptimizerError;
use crate::rule::UpdateRule;

/// The options of an optimizer, which are its rule too.
pub(crate) trait Options: UpdateRule {
    /// The learning rate.
    fn lr(&self) -> f64;
    /// The learning rate, to be changed.
    fn lr_mut(&mut self) -> &mut f64;
    /// The weight decay, to be changed.
    fn weight_decay_mut(&mut self) -> &mut f64;
    /// Checks the options.
    fn check(&self) -> Result<(), OptimizerError>;
    /// The rule alone.
    fn to_rule(&self) -> Arc<dyn UpdateRule>;
}

/// Makes options whose `rule` is a chain an optimizer called `name`.
macro_rules! optimizer_options {
    ($options:ty, $name:literal $(, $method:item)*) => {
        impl crate::rule::UpdateRule for $options {
            fn name(&self) -> &str {
                $name
            }

            fn states(&self) -> Vec<crate::rule::StateKind> {
                self.rule().states()
            }

            fn weight_decay(&self) -> f64 {
                self.weight_decay
            }

            fn options(&self) -> Option<(&'static str, serde_json::Value)> {
                serde_json::to_value(self).ok().map(|options| ($name, options))
            }

            fn shared_states(&self) -> Vec<crate::rule::SharedState> {
                self.rule().shared_states()
            }

            fn shared(
                &self,
                g: &mut onestep_engine::Graph,
                scope: crate::rule::Scope,
                groups: &[crate::leaves::GroupLeaves<'_>],
            ) -> Result<Vec<onestep_engine::Value>, onestep_engine::GraphError> {
                self.rule().shared(g, scope, groups)
            }

            fn by_tensor(&self) -> bool {
                self.rule().by_tensor()
            }

            fn weights(&self) -> Option<&'static str> {
                self.rule().weights()
            }

            $($method)*

            fn update(
                &self,
                g: &mut onestep_engine::Graph,
                leaves: crate::leaves::GroupLeaves<'_>,
            ) -> Result<crate::rule::Updated, onestep_engine::GraphError> {
                self.rule().update(g, leaves)
            }
        }

        impl crate::options::Options for $options {
            fn lr(&self) -> f64 {
                self.lr
            }

            fn lr_mut(&mut self) -> &mut f64 {
                &mut self.lr
            }

            fn weight_decay_mut(&mut self) -> &mut f64 {
                &mut self.weight_decay
            }

            fn check(&self) -> Result<(), crate::OptimizerError> {
                self.validate()
            }

            fn to_rule(&self) -> std::sync::Arc<dyn crate::rule::UpdateRule> {
                std::sync::Arc::new(self.clone())
            }
        }
    };
}

pub(crate) use optimizer_options;

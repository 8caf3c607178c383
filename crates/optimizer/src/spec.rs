//! Optimizers as configuration.

use std::fmt;
use std::sync::Arc;

use onestep_base::{Constructors, Registered, RegistryError, registry};

use crate::options::Options;
use crate::rule::UpdateRule;
use crate::{
    Adafactor, Adagrad, Adam, AdamW, CustomOptimizer, Lamb, Lars, Lion, Muon, OptimizerError,
    Prodigy, RmsProp, ScheduleFree, Sgd, SparseAdam,
};

/// Declares the optimizers from one list.
macro_rules! optimizers {
    ($(#[$meta:meta])* { $($(#[doc = $about:literal])+ $variant:ident($options:ty) = $name:literal),* $(,)? }) => {
        registry! {
            kind = "optimizer", plural = "optimizers", form = name_or_object(OptimizerError);
            $(#[$meta])*
            pub enum OptimizerSpec: Options {
                $($(#[doc = $about])+ $variant($options) = $name,)*
            }
        }

        impl OptimizerSpec {
            fn inner_mut(&mut self) -> &mut dyn Options {
                match self {
                    $(OptimizerSpec::$variant(options) => options,)*
                }
            }
        }
    };
}

optimizers! {
    /// One of the built-in optimizers with its options, which have the names and the defaults of
    /// PyTorch, optax or their authors' code. In JSON, and on a command line, it is an object with a
    /// `type`, or the plain name:
    ///
    /// ```
    /// use onestep_optimizer::{Adam, OptimizerSpec};
    ///
    /// let spec: OptimizerSpec = serde_json::from_str(r#"{ "type": "adam", "lr": 0.01 }"#)?;
    /// assert_eq!(spec, OptimizerSpec::Adam(Adam { lr: 0.01, ..Adam::default() }));
    ///
    /// let spec: OptimizerSpec = serde_json::from_str(r#""adam""#)?;
    /// assert_eq!(spec, "adam".parse::<OptimizerSpec>().unwrap());
    /// assert_eq!(spec.lr(), 0.001);
    /// # Ok::<(), serde_json::Error>(())
    /// ```
    #[schemars(rename = "OptimizerSpec")]
    {
        /// Stochastic gradient descent with momentum.
        Sgd(Sgd) = "sgd",
        /// Adam.
        Adam(Adam) = "adam",
        /// Adam with decoupled weight decay.
        AdamW(AdamW) = "adamw",
        /// Adam of the rows of a table that are looked up.
        SparseAdam(SparseAdam) = "sparse_adam",
        /// Division by the root of the averaged square.
        RmsProp(RmsProp) = "rmsprop",
        /// Division by the root of the summed square.
        Adagrad(Adagrad) = "adagrad",
        /// Adam in proportion to the norm of each tensor.
        Lamb(Lamb) = "lamb",
        /// Momentum in proportion to the norm of each tensor.
        Lars(Lars) = "lars",
        /// The sign of an average.
        Lion(Lion) = "lion",
        /// Orthogonal updates for matrices, AdamW for all else.
        Muon(Muon) = "muon",
        /// Second moments by row and column.
        Adafactor(Adafactor) = "adafactor",
        /// AdamW that averages weights in place of a schedule.
        ScheduleFree(ScheduleFree) = "schedule_free",
        /// Adam that finds its learning rate.
        Prodigy(Prodigy) = "prodigy",
        /// An update rule of one's own by the name that it is registered under.
        Custom(CustomOptimizer) = "custom",
    }
}

impl OptimizerSpec {
    /// The name, such as `adam`.
    pub fn name(&self) -> &str {
        self.inner().name()
    }

    /// The learning rate, which a schedule starts from.
    pub fn lr(&self) -> f64 {
        self.inner().lr()
    }

    /// The weight decay.
    pub fn weight_decay(&self) -> f64 {
        self.inner().weight_decay()
    }

    /// The same optimizer with another learning rate.
    #[must_use]
    pub fn with_lr(mut self, lr: f64) -> Self {
        *self.inner_mut().lr_mut() = lr;
        self
    }

    /// The same optimizer with another weight decay.
    #[must_use]
    pub fn with_weight_decay(mut self, weight_decay: f64) -> Self {
        *self.inner_mut().weight_decay_mut() = weight_decay;
        self
    }

    /// Checks the options, with the ranges of PyTorch, and that a custom optimizer is known.
    ///
    /// # Errors
    /// [`OptimizerError::Option`] for the first option that is out of its range, and
    /// [`OptimizerError::Custom`].
    pub fn validate(&self) -> Result<(), OptimizerError> {
        self.inner().check()
    }

    /// The same optimizer with the code of a custom one looked up by its name among constructors
    /// that were added as `dyn` [`UpdateRule`].
    ///
    /// # Errors
    /// [`OptimizerError::Custom`]: nothing is registered under the name, or what the constructor
    /// says of its options.
    pub fn resolve(mut self, constructors: &Constructors) -> Result<Self, OptimizerError> {
        if let OptimizerSpec::Custom(custom) = &mut self {
            custom.resolve(constructors)?;
        }
        Ok(self)
    }

    /// The update rule.
    pub fn rule(&self) -> Arc<dyn UpdateRule> {
        self.inner().to_rule()
    }

    /// The optimizer of a rule that says its type and options.
    pub(crate) fn of_rule(rule: &dyn UpdateRule) -> Option<Self> {
        let (kind, options) = rule.options()?;
        Self::from_parts(kind, options)?.ok()
    }
}

/// Adam with PyTorch's options.
impl Default for OptimizerSpec {
    fn default() -> Self {
        OptimizerSpec::Adam(Adam::default())
    }
}

impl fmt::Display for OptimizerSpec {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl From<RegistryError> for OptimizerError {
    fn from(error: RegistryError) -> Self {
        OptimizerError::Spec(error)
    }
}

//! How parameters begin.

mod options;

pub use options::{
    ConstantValue, Fan, FanMode, Kaiming, Nonlinearity, Normal, TruncatedNormal, Uniform, Xavier,
};

use onestep_base::registry;

use crate::random::Stream;

registry! {
    kind = "initialiser", plural = "initialisers", form = name_or_options;
    /// How a parameter begins. In JSON the name (`"xavier_uniform"`, all options at their defaults) or
    /// `{"kaiming_normal": {"nonlinearity": "relu"}}`.
    ///
    /// ```
    /// use onestep_layers::{Fan, Initializer};
    /// let init: Initializer = serde_json::from_str(r#"{"uniform": {"low": -1}}"#)?;
    /// let numbers = init.fill(1000, Fan::NONE, 7, "fc.weight");
    /// assert!(numbers.iter().all(|x| (-1.0..1.0).contains(x)));
    /// assert_eq!(numbers, init.fill(1000, Fan::NONE, 7, "fc.weight"));
    /// # Ok::<(), serde_json::Error>(())
    /// ```
    #[derive(Copy)]
    pub enum Initializer {
        /// PyTorch's default for the layer and parameter.
        Default = "default",
        /// All 0.
        Zeros = "zeros",
        /// All 1.
        Ones = "ones",
        /// All the same number.
        Constant(ConstantValue) = "constant",
        /// Uniform in `[low, high)`.
        Uniform(Uniform) = "uniform",
        /// Normal.
        Normal(Normal) = "normal",
        /// Normal within bounds.
        TruncatedNormal(TruncatedNormal) = "truncated_normal",
        /// Uniform with Kaiming's standard deviation.
        KaimingUniform(Kaiming) = "kaiming_uniform",
        /// Normal with Kaiming's standard deviation.
        KaimingNormal(Kaiming) = "kaiming_normal",
        /// Uniform with Xavier's standard deviation.
        XavierUniform(Xavier) = "xavier_uniform",
        /// Normal with Xavier's standard deviation.
        XavierNormal(Xavier) = "xavier_normal",
    }
}

// The macro that makes the enum has no way to mark one of its variants.
#[allow(clippy::derivable_impls)]
impl Default for Initializer {
    fn default() -> Self {
        Initializer::Default
    }
}

impl Initializer {
    /// The names in a spec.
    pub const NAMES: &'static [&'static str] = Self::TYPES;

    /// PyTorch's default for the weights of dense layers and convolutions:
    /// `kaiming_uniform(a = sqrt(5))`, that is, uniform within `1 / sqrt(fan_in)` of 0.
    pub fn weight_default() -> Self {
        Initializer::KaimingUniform(Kaiming { a: 5f32.sqrt(), ..Kaiming::default() })
    }

    /// PyTorch's default for the biases of dense layers and convolutions: uniform within
    /// `1 / sqrt(fan_in)` of 0, with the fan of the weight.
    pub fn bias_default(weight: Fan) -> Self {
        let bound = 1.0 / (weight.fan_in.max(1) as f32).sqrt();
        Initializer::Uniform(Uniform { low: -bound, high: bound })
    }

    /// A constant.
    pub fn constant(value: f32) -> Self {
        Initializer::Constant(ConstantValue { value })
    }

    /// A normal distribution.
    pub fn normal(mean: f32, std: f32) -> Self {
        Initializer::Normal(Normal { mean, std })
    }

    /// A uniform distribution.
    pub fn uniform(low: f32, high: f32) -> Self {
        Initializer::Uniform(Uniform { low, high })
    }

    /// This initialiser, or `default` in place of [`Initializer::Default`].
    pub fn or(self, default: Initializer) -> Self {
        if self == Initializer::Default { default } else { self }
    }

    /// What is wrong with the options, as (option, wanted, got).
    pub(crate) fn problem(self) -> Option<(&'static str, &'static str, f32)> {
        let finite =
            |name, value: f32| (!value.is_finite()).then_some((name, "a finite number", value));
        let spread = |value: f32| {
            let fits = value.is_finite() && value >= 0.0;
            (!fits).then_some(("std", "finite and at least 0", value))
        };
        let bounds = |low: f32, high: f32| {
            let problem = finite("low", low).or(finite("high", high));
            problem.or((high < low).then_some(("high", "at least low", high)))
        };
        match self {
            Initializer::Default | Initializer::Zeros | Initializer::Ones => None,
            Initializer::Constant(o) => finite("value", o.value),
            Initializer::Uniform(o) => bounds(o.low, o.high),
            Initializer::Normal(o) => finite("mean", o.mean).or(spread(o.std)),
            Initializer::TruncatedNormal(o) => {
                let far = (o.mean - 2.0 * o.std > o.high || o.mean + 2.0 * o.std < o.low)
                    .then_some(("mean", "within two standard deviations of the bounds", o.mean));
                let narrow = (o.high - o.low < 0.01 * o.std).then_some((
                    "high",
                    "above low by a hundredth of std or more",
                    o.high,
                ));
                let basic = bounds(o.low, o.high).or(finite("mean", o.mean)).or(spread(o.std));
                basic.or(far).or(narrow)
            }
            Initializer::KaimingUniform(o) | Initializer::KaimingNormal(o) => finite("a", o.a),
            Initializer::XavierUniform(o) | Initializer::XavierNormal(o) => finite("gain", o.gain),
        }
    }

    /// `count` numbers for the parameter called `name`. The same seed and name give the same
    /// numbers, whatever else the model has. [`Initializer::Default`] without a layer is
    /// [`Initializer::weight_default`].
    pub fn fill(self, count: usize, fan: Fan, seed: u64, name: &str) -> Vec<f32> {
        let mut stream = Stream::new(seed, name);
        let sqrt3 = 3f64.sqrt();
        let mut uniform = |low: f64, high: f64| {
            (0..count).map(|_| stream.uniform(low, high) as f32).collect::<Vec<f32>>()
        };
        match self {
            Initializer::Default => Self::weight_default().fill(count, fan, seed, name),
            Initializer::Zeros => vec![0.0; count],
            Initializer::Ones => vec![1.0; count],
            Initializer::Constant(o) => vec![o.value; count],
            Initializer::Uniform(o) => uniform(f64::from(o.low), f64::from(o.high)),
            Initializer::KaimingUniform(o) => {
                let bound = sqrt3 * o.std(fan);
                uniform(-bound, bound)
            }
            Initializer::XavierUniform(o) => {
                let bound = sqrt3 * o.std(fan);
                uniform(-bound, bound)
            }
            Initializer::Normal(o) => stream.normals(count, f64::from(o.mean), f64::from(o.std)),
            Initializer::KaimingNormal(o) => stream.normals(count, 0.0, o.std(fan)),
            Initializer::XavierNormal(o) => stream.normals(count, 0.0, o.std(fan)),
            Initializer::TruncatedNormal(o) => {
                (0..count).map(|_| stream.truncated_normal(&o)).collect()
            }
        }
    }
}

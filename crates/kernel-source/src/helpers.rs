//! Functions that kernels call. They are written in the words of the preludes, so that what runs on the host in
//! tests is what runs on a device. NaN is told by its bits, which no compiler folds away.

use std::collections::BTreeSet;

/// A function, in an order in which each stands behind those that it calls.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) enum Helper {
    IsNan,
    Nan,
    Infinity,
    Uniform,
    FromHalf,
    ToHalf,
    FromBfloat,
    ToBfloat,
    ToInt,
    ToByte,
    Sign,
    Relu,
    Expm1,
    Log1p,
    Sigmoid,
    Erf,
    Maximum,
    Minimum,
    Power,
}

impl Helper {
    const ALL: [Helper; 19] = [
        Helper::IsNan,
        Helper::Nan,
        Helper::Infinity,
        Helper::Uniform,
        Helper::FromHalf,
        Helper::ToHalf,
        Helper::FromBfloat,
        Helper::ToBfloat,
        Helper::ToInt,
        Helper::ToByte,
        Helper::Sign,
        Helper::Relu,
        Helper::Expm1,
        Helper::Log1p,
        Helper::Sigmoid,
        Helper::Erf,
        Helper::Maximum,
        Helper::Minimum,
        Helper::Power,
    ];

    /// Its name with the bracket of a call.
    const fn call(self) -> &'static str {
        match self {
            Helper::IsNan => "is_nan(",
            Helper::Nan => "nan_value(",
            Helper::Infinity => "infinity(",
            Helper::Uniform => "random_uniform(",
            Helper::FromHalf => "from_half(",
            Helper::ToHalf => "to_half(",
            Helper::FromBfloat => "from_bfloat(",
            Helper::ToBfloat => "to_bfloat(",
            Helper::ToInt => "to_int(",
            Helper::ToByte => "to_byte(",
            Helper::Sign => "sign_of(",
            Helper::Relu => "relu(",
            Helper::Expm1 => "exp_minus_1(",
            Helper::Log1p => "log_1_plus(",
            Helper::Sigmoid => "sigmoid(",
            Helper::Erf => "error_function(",
            Helper::Maximum => "maximum(",
            Helper::Minimum => "minimum(",
            Helper::Power => "power(",
        }
    }

    pub(crate) const fn text(self) -> &'static str {
        match self {
            Helper::IsNan => IS_NAN,
            Helper::Nan => "FUNCTION float nan_value() { return float_of(0x7fc00000u); }\n",
            Helper::Infinity => "FUNCTION float infinity() { return float_of(0x7f800000u); }\n",
            Helper::Uniform => UNIFORM,
            Helper::FromHalf => FROM_HALF,
            Helper::ToHalf => TO_HALF,
            Helper::FromBfloat => FROM_BFLOAT,
            Helper::ToBfloat => TO_BFLOAT,
            Helper::ToInt => TO_INT,
            Helper::ToByte => TO_BYTE,
            Helper::Sign => SIGN,
            Helper::Relu => "FUNCTION float relu(float x) { return x <= 0.0f ? 0.0f : x; }\n",
            Helper::Expm1 => EXPM1,
            Helper::Log1p => LOG1P,
            Helper::Sigmoid => SIGMOID,
            Helper::Erf => ERF,
            Helper::Maximum => MAXIMUM,
            Helper::Minimum => MINIMUM,
            Helper::Power => POWER,
        }
    }
}

/// Those that a text calls, and those that they call.
pub(crate) fn used(text: &str) -> BTreeSet<Helper> {
    let mut found = BTreeSet::new();
    for helper in Helper::ALL.into_iter().rev() {
        let called = |text: &str| text.contains(helper.call());
        if called(text) || found.iter().any(|known: &Helper| called(known.text())) {
            found.insert(helper);
        }
    }
    found
}

const IS_NAN: &str =
    "FUNCTION bool is_nan(float x) { return (bits_of(x) & 0x7fffffffu) > 0x7f800000u; }\n";

/// Philox 4x32-10 (Salmon et al., SC 2011), one of the four numbers of a block.
const UNIFORM: &str = "\
FUNCTION float random_uniform(DEVICE const uint* key, uint stream, uint block, uint word) {
  uint k0 = key[0], k1 = key[1], c0 = block, c1 = stream, c2 = key[2], c3 = key[3];
  for (uint round = 0u; round < 10u; ++round) {
    const uint low0 = 0xd2511f53u * c0, high0 = MULTIPLY_HIGH(0xd2511f53u, c0);
    const uint low1 = 0xcd9e8d57u * c2, high1 = MULTIPLY_HIGH(0xcd9e8d57u, c2);
    c0 = high1 ^ c1 ^ k0; c1 = low1; c2 = high0 ^ c3 ^ k1; c3 = low0;
    k0 += 0x9e3779b9u; k1 += 0xbb67ae85u;
  }
  const uint bits = word == 0u ? c0 : word == 1u ? c1 : word == 2u ? c2 : c3;
  return (float)(bits >> 8) * 5.9604644775390625e-8f;
}
";

const FROM_HALF: &str = "\
FUNCTION float from_half(ushort half_bits) {
  const uint sign = (uint)(half_bits & 0x8000u) << 16, rest = half_bits & 0x7fffu;
  if (rest >= 0x7c00u) return float_of(sign | 0x7f800000u | (rest & 0x3ffu) << 13);
  if (rest >= 0x400u) return float_of(sign | (rest + 0x1c000u) << 13);
  const float small = (float)rest * 5.9604644775390625e-8f;
  return float_of(sign | bits_of(small));
}
";

/// To the nearest, to even where there are two.
const TO_HALF: &str = "\
FUNCTION ushort to_half(float x) {
  const uint bits = bits_of(x), sign = bits >> 16 & 0x8000u, rest = bits & 0x7fffffffu;
  if (rest > 0x7f800000u) return (ushort)(sign | 0x7e00u | (rest >> 13 & 0x3ffu));
  if (rest >= 0x47800000u) return (ushort)(sign | 0x7c00u);
  if (rest >= 0x38800000u) return (ushort)(sign | (rest - 0x38000000u + 0xfffu + (rest >> 13 & 1u)) >> 13);
  if (rest < 0x33000000u) return (ushort)sign;
  const uint shift = 126u - (rest >> 23), whole = (rest & 0x7fffffu) | 0x800000u;
  const uint kept = whole >> shift, lost = whole & ((1u << shift) - 1u), tie = 1u << (shift - 1u);
  return (ushort)(sign | (kept + (lost > tie || (lost == tie && (kept & 1u) != 0u) ? 1u : 0u)));
}
";

const FROM_BFLOAT: &str =
    "FUNCTION float from_bfloat(ushort bits) { return float_of((uint)bits << 16); }\n";

const TO_BFLOAT: &str = "\
FUNCTION ushort to_bfloat(float x) {
  const uint bits = bits_of(x);
  if ((bits & 0x7fffffffu) > 0x7f800000u) return (ushort)(bits >> 16 | 0x40u);
  return (ushort)((bits + 0x7fffu + (bits >> 16 & 1u)) >> 16);
}
";

/// Truncation towards zero, saturating; NaN is 0.
const TO_INT: &str = "\
FUNCTION int to_int(float x) {
  if (is_nan(x)) return 0;
  if (x >= 2147483648.0f) return 2147483647;
  if (x <= -2147483648.0f) return -2147483647 - 1;
  return (int)x;
}
";

const TO_BYTE: &str = "\
FUNCTION uchar to_byte(float x) {
  if (is_nan(x) || x <= 0.0f) return (uchar)0;
  return x >= 255.0f ? (uchar)255 : (uchar)(uint)x;
}
";

const SIGN: &str = "\
FUNCTION float sign_of(float x) {
  if (is_nan(x)) return x;
  return x == 0.0f ? 0.0f : float_of((bits_of(x) & 0x80000000u) | 0x3f800000u);
}
";

/// Both by W. Kahan's way, as N. Higham gives it ("Accuracy and Stability of Numerical Algorithms", 1.14.1):
/// the error of the exponential is that of its logarithm.
const EXPM1: &str = "\
FUNCTION float exp_minus_1(float x) {
  const float u = EXP(x);
  if (u == 1.0f) return x;
  const float less = u - 1.0f;
  if (less == -1.0f || u == infinity()) return less;
  return less * (x / LOG(u));
}
";

const LOG1P: &str = "\
FUNCTION float log_1_plus(float x) {
  const float u = 1.0f + x;
  if (u == 1.0f || x == infinity()) return x;
  return LOG(u) * (x / (u - 1.0f));
}
";

/// `e^-|x|` cannot overflow.
const SIGMOID: &str = "\
FUNCTION float sigmoid(float x) {
  const float t = EXP(float_of(bits_of(x) | 0x80000000u));
  return (x < 0.0f ? t : 1.0f) / (1.0f + t);
}
";

/// The fits of `onestep-backend-cpu`: `t + t p(t²)` near 0, else `1 - e^(-t - t q(t))`; beyond 4 it is 1.
const ERF: &str = "\
FUNCTION float error_function(float x) {
  if (is_nan(x)) return x;
  const float magnitude = float_of(bits_of(x) & 0x7fffffffu), t = magnitude < 4.0f ? magnitude : 4.0f;
  float y;
  if (t < 0.93f) {
    const float s = t * t;
    float p = 7.974875189e-05f;
    p = FMA(p, s, -8.044707938e-04f); p = FMA(p, s, 5.191993434e-03f); p = FMA(p, s, -2.685559541e-02f);
    p = FMA(p, s, 1.128362417e-01f); p = FMA(p, s, -3.761262894e-01f); p = FMA(p, s, 1.283791661e-01f);
    y = FMA(t, p, t);
  } else {
    float q = 4.937675840e-06f;
    q = FMA(q, t, -4.557482316e-05f); q = FMA(q, t, -4.961701779e-05f); q = FMA(q, t, 2.930232557e-03f);
    q = FMA(q, t, -2.267424203e-02f); q = FMA(q, t, 1.052627787e-01f); q = FMA(q, t, 6.356252432e-01f);
    q = FMA(q, t, 1.285517514e-01f);
    y = 1.0f - EXP(-FMA(t, q, t));
  }
  return float_of(bits_of(y) | (bits_of(x) & 0x80000000u));
}
";

const MAXIMUM: &str = "\
FUNCTION float maximum(float a, float b) {
  if (is_nan(a)) return a;
  return is_nan(b) || b > a ? b : a;
}
";

const MINIMUM: &str = "\
FUNCTION float minimum(float a, float b) {
  if (is_nan(a)) return a;
  return is_nan(b) || b < a ? b : a;
}
";

/// NaN where either is NaN, even for exponent 0.
const POWER: &str = "\
FUNCTION float power(float a, float b) {
  return is_nan(a) || is_nan(b) ? nan_value() : POW(a, b);
}
";

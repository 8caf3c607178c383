//! How far a number may be from the truth, and why.
//!
//! A golden is PyTorch's float64 result rounded once, so it is the truth to half a unit in the
//! last place, and PyTorch's own float32 error beside it says what float32 arithmetic costs in
//! that case. Both are known for each tensor; no tolerance is a guess.

use onestep_engine::reference::Array;

/// The distance from 1 to the next f32.
pub const EPSILON: f64 = f32::EPSILON as f64;

/// The error that is allowed for each element: the sum of the parts.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Tolerance {
    /// Times PyTorch's own float32 error of the tensor.
    pub of_pytorch: f64,
    /// Units in the last place of the element.
    pub of_element: f64,
    /// Units in the last place of the tensor's largest element.
    pub of_largest: f64,
    /// Units in the last place of 1.
    pub of_one: f64,
    /// Why it is not zero.
    pub reason: &'static str,
}

impl Tolerance {
    /// No tolerance.
    pub const EXACT: Tolerance = Tolerance {
        of_pytorch: 0.0,
        of_element: 0.0,
        of_largest: 0.0,
        of_one: 0.0,
        reason: "moves, selects or compares: nothing is rounded",
    };

    /// One operation a number, rounded correctly; the gradient takes two or three.
    pub const ROUNDED: Tolerance = Tolerance {
        of_element: 2.0,
        reason: "a few correctly rounded operations an element",
        ..Self::EXACT
    };

    /// A transcendental function: libraries differ by a few units in the last place of the result.
    pub const FUNCTION: Tolerance = Tolerance {
        of_element: 8.0,
        reason: "a function approximated to a few units in the last place",
        ..Self::EXACT
    };

    /// A function that loses relative precision where its result is small beside its operand.
    pub const CANCELLING: Tolerance = Tolerance {
        of_element: 8.0,
        of_one: 4.0,
        reason: "1 + f(x) or 1 - f(x) cancels in the tails: units of 1 are lost there",
        ..Self::EXACT
    };

    /// Sums of products: their error depends on the order of summation.
    pub const SUMS: Tolerance = Tolerance {
        of_pytorch: 4.0,
        of_largest: 4.0,
        reason: "sums in another order than PyTorch's: four times its own error, and four units",
        ..Self::EXACT
    };

    /// Ten updates of an element, each of which rounds.
    pub const UPDATES: Tolerance = Tolerance {
        of_pytorch: 4.0,
        of_element: 8.0,
        of_largest: 1.0,
        reason: "ten updates, each with its rounding: units of the element and PyTorch's own error",
        ..Self::EXACT
    };

    /// Many steps, each with sums: errors feed on each other.
    pub const STEPS: Tolerance = Tolerance {
        of_pytorch: 8.0,
        of_largest: 16.0,
        reason: "a unit in the last place a step and tensor, and eight times PyTorch's own error",
        ..Self::EXACT
    };

    /// The error allowed for an element.
    pub fn allowed(&self, wanted: f64, largest: f64, pytorch: f64) -> f64 {
        // Below the smallest normal f32 there are no full units in the last place.
        let tiny = if self.of_element > 0.0 { f64::from(f32::MIN_POSITIVE) } else { 0.0 };
        let units = self.of_element * wanted.abs() + self.of_largest * largest + self.of_one;
        self.of_pytorch * pytorch + units * EPSILON + tiny
    }
}

/// The outcome of comparing a tensor with what was wanted.
#[derive(Clone, Debug, PartialEq)]
pub struct Comparison {
    /// The largest absolute error.
    pub absolute: f64,
    /// The largest error relative to the element wanted, where that is not zero.
    pub relative: f64,
    /// The largest error relative to what is allowed; above 1 is a failure.
    pub share: f64,
    /// The element with the largest share: its position, what was got and what was wanted.
    pub worst: Option<(usize, f64, f64)>,
    /// The shapes, if they differ.
    pub shapes: Option<String>,
}

impl Comparison {
    /// Compares each element.
    pub fn new(got: &Array, wanted: &Array, tolerance: &Tolerance, pytorch: f64) -> Self {
        let largest =
            wanted.data.iter().filter(|x| x.is_finite()).fold(0.0, |m: f64, x| m.max(x.abs()));
        Self::with(got, wanted, |x| tolerance.allowed(x, largest, pytorch))
    }

    /// Compares each element with the error that `allowed` gives for it.
    pub fn with(got: &Array, wanted: &Array, allowed: impl Fn(f64) -> f64) -> Self {
        let mut result =
            Comparison { absolute: 0.0, relative: 0.0, share: 0.0, worst: None, shapes: None };
        if got.shape != wanted.shape {
            result.shapes = Some(format!("got shape {}, wanted {}", got.shape, wanted.shape));
            return result;
        }
        for (i, (&got, &wanted)) in got.data.iter().zip(&wanted.data).enumerate() {
            result.add(i, got, wanted, allowed(wanted));
        }
        result
    }

    fn add(&mut self, position: usize, got: f64, wanted: f64, allowed: f64) {
        if got == wanted || (got.is_nan() && wanted.is_nan()) {
            return;
        }
        let error = (got - wanted).abs();
        let error = if error.is_nan() { f64::INFINITY } else { error };
        self.absolute = self.absolute.max(error);
        if wanted != 0.0 {
            self.relative = self.relative.max(error / wanted.abs());
        }
        let share = if allowed > 0.0 { error / allowed } else { f64::INFINITY };
        if share > self.share || self.worst.is_none() {
            self.share = share;
            self.worst = Some((position, got, wanted));
        }
    }

    /// Whether every element is within what is allowed.
    pub fn passes(&self) -> bool {
        self.shapes.is_none() && self.share <= 1.0
    }
}

#[cfg(test)]
mod tests {
    use onestep_engine::Shape;

    use super::*;

    fn array(data: &[f64]) -> Array {
        Array { shape: Shape::from([data.len()]), data: data.to_vec() }
    }

    #[test]
    fn exact_means_exact() {
        let wanted = array(&[1.0, f64::NAN, f64::INFINITY, 0.0]);
        assert!(Comparison::new(&wanted, &wanted, &Tolerance::EXACT, 0.0).passes());
        let off = array(&[1.0 + 1e-12, f64::NAN, f64::INFINITY, 0.0]);
        assert!(!Comparison::new(&off, &wanted, &Tolerance::EXACT, 0.0).passes());
    }

    #[test]
    fn nan_infinity_and_shape_fail_whatever_is_allowed() {
        let wanted = array(&[1.0, 2.0]);
        for bad in [array(&[f64::NAN, 2.0]), array(&[1.0, f64::INFINITY]), array(&[1.0])] {
            assert!(!Comparison::new(&bad, &wanted, &Tolerance::STEPS, 1.0).passes(), "{bad:?}");
        }
    }

    #[test]
    fn units_are_of_the_element_or_of_the_largest() {
        let (wanted, got) = (array(&[1e-3, 1e3]), array(&[1e-3 + 1e-5, 1e3]));
        assert!(!Comparison::new(&got, &wanted, &Tolerance::FUNCTION, 0.0).passes());
        assert!(Comparison::new(&got, &wanted, &Tolerance::SUMS, 0.0).passes());
    }
}

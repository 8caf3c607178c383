//! Normal numbers from uniform ones.

/// Two independent standard normal numbers from two independent uniform ones in `[0, 1)`, by the
/// method of Box and Muller ("A note on the generation of random normal deviates", 1958).
///
/// ```
/// let (x, y) = onestep_base::normal::box_muller(0.0, 0.25);
/// assert_eq!((x, y), (0.0, 0.0));
/// let (x, y) = onestep_base::normal::box_muller(0.5, 0.0);
/// assert_eq!((x, y), ((2.0 * 2.0f64.ln()).sqrt(), 0.0));
/// ```
pub fn box_muller(first: f64, second: f64) -> (f64, f64) {
    // 1 - u is in (0, 1], where the logarithm is finite.
    let radius = (-2.0 * (1.0 - first).ln()).sqrt();
    let (sin, cos) = (std::f64::consts::TAU * second).sin_cos();
    (radius * cos, radius * sin)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::philox::uniform;

    #[test]
    fn numbers_are_normal_and_independent() {
        let n = 100_000;
        let pairs: Vec<(f64, f64)> = (0..n)
            .map(|i| {
                let number = |i| f64::from(uniform(3, 0, 0, i));
                box_muller(number(2 * i), number(2 * i + 1))
            })
            .collect();
        let n = n as f64;
        let mean = |f: &dyn Fn(&(f64, f64)) -> f64| pairs.iter().map(f).sum::<f64>() / n;
        // Four standard errors of each moment.
        for (moment, wanted, variance) in [
            (mean(&|p| p.0), 0.0, 1.0),
            (mean(&|p| p.1), 0.0, 1.0),
            (mean(&|p| p.0 * p.0), 1.0, 2.0),
            (mean(&|p| p.1 * p.1), 1.0, 2.0),
            (mean(&|p| p.0 * p.1), 0.0, 1.0),
            (mean(&|p| p.0.powi(4)), 3.0, 96.0),
        ] {
            assert!((moment - wanted).abs() < 4.0 * f64::sqrt(variance / n), "{moment}");
        }
    }
}

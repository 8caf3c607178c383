//! The random numbers of initialisers: one Philox stream a parameter.

use onestep_base::hash::fnv1a;
use onestep_base::normal::box_muller;
use onestep_base::philox::uniform_block;

use crate::initializer::TruncatedNormal;

/// A training step never has this bit in its number, so that initial values share no random
/// numbers with dropout masks under the same seed.
const INITIALIZATION: u64 = 1 << 63;

/// Uniform and normal numbers one after the other, determined by a seed and a name.
pub(crate) struct Stream {
    seed: u64,
    step: u64,
    stream: u32,
    drawn: u64,
    block: [f32; 4],
    spare: Option<f64>,
}

impl Stream {
    pub(crate) fn new(seed: u64, name: &str) -> Self {
        let hash = fnv1a(name.as_bytes());
        let step = INITIALIZATION | (hash >> 32);
        Stream { seed, step, stream: hash as u32, drawn: 0, block: [0.0; 4], spare: None }
    }

    /// The next number in `[0, 1)`.
    fn next(&mut self) -> f64 {
        let (block, lane) = (self.drawn / 4, (self.drawn % 4) as usize);
        if lane == 0 {
            // A stream has 2^32 blocks; the upper half of a longer one's number goes to the step.
            let step = self.step ^ ((block >> 32) << 32);
            self.block = uniform_block(self.seed, step, self.stream, block as u32);
        }
        self.drawn += 1;
        f64::from(self.block[lane])
    }

    /// Uniform in `[low, high)`.
    pub(crate) fn uniform(&mut self, low: f64, high: f64) -> f64 {
        low + (high - low) * self.next()
    }

    /// Standard normal: two numbers from two.
    fn normal(&mut self) -> f64 {
        if let Some(spare) = self.spare.take() {
            return spare;
        }
        let (first, second) = (self.next(), self.next());
        let (normal, spare) = box_muller(first, second);
        self.spare = Some(spare);
        normal
    }

    pub(crate) fn normals(&mut self, count: usize, mean: f64, std: f64) -> Vec<f32> {
        (0..count).map(|_| (mean + std * self.normal()) as f32).collect()
    }

    /// Normal within bounds: others are drawn again, a thousand times at most, and then
    /// clamped, so that no choice of bounds can hang.
    pub(crate) fn truncated_normal(&mut self, options: &TruncatedNormal) -> f32 {
        let mut number = options.mean;
        for _ in 0..1000 {
            number = (f64::from(options.mean) + f64::from(options.std) * self.normal()) as f32;
            if (options.low..=options.high).contains(&number) {
                return number;
            }
        }
        number.clamp(options.low, options.high)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn normal_numbers_are_normal() {
        let n = 100_000;
        let numbers = Stream::new(3, "w").normals(n, 1.0, 2.0);
        let mean = numbers.iter().map(|&x| f64::from(x)).sum::<f64>() / n as f64;
        let moment = |power: i32| {
            numbers.iter().map(|&x| ((f64::from(x) - mean) / 2.0).powi(power)).sum::<f64>()
                / n as f64
        };
        // Four standard errors of each.
        let n = n as f64;
        assert!((mean - 1.0).abs() < 4.0 * 2.0 / n.sqrt(), "{mean}");
        assert!((moment(2) - 1.0).abs() < 4.0 * (2.0 / n).sqrt(), "{}", moment(2));
        assert!(moment(3).abs() < 4.0 * (15.0 / n).sqrt(), "{}", moment(3));
        assert!((moment(4) - 3.0).abs() < 4.0 * (96.0 / n).sqrt(), "{}", moment(4));
    }

    #[test]
    fn truncation_holds() {
        let options = TruncatedNormal { mean: 0.0, std: 2.0, low: -1.0, high: 1.5 };
        let mut stream = Stream::new(1, "w");
        let numbers: Vec<f32> = (0..10_000).map(|_| stream.truncated_normal(&options)).collect();
        assert!(numbers.iter().all(|x| (-1.0..=1.5).contains(x)));
        assert!(numbers.iter().any(|&x| x > 1.4) && numbers.iter().any(|&x| x < -0.9));
    }
}

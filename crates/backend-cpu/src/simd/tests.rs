//! The elementary functions against f64, and parts of vectors, on each level of this machine.

use onestep_engine::ops::Unary;

use super::{Level, MAX_LANES, Simd, Task, math};

struct Apply<'a> {
    op: Unary,
    x: &'a [f32],
    y: &'a mut [f32],
}

impl Task for Apply<'_> {
    type Output = ();
    #[inline(always)]
    unsafe fn run<S: Simd>(self) {
        for (x, y) in self.x.chunks(S::LANES).zip(self.y.chunks_mut(S::LANES)) {
            let mut lanes = [0.0f32; MAX_LANES];
            lanes[..x.len()].copy_from_slice(x);
            // SAFETY: the level is available, and a vector has at most `MAX_LANES` lanes.
            unsafe {
                let v = S::load(lanes.as_ptr());
                let r = match self.op {
                    Unary::Exp => math::exp::<S>(v),
                    Unary::Expm1 => math::expm1::<S>(v),
                    Unary::Log => math::log::<S>(v),
                    Unary::Log1p => math::log1p::<S>(v),
                    Unary::Sin => math::sin::<S>(v),
                    Unary::Cos => math::cos::<S>(v),
                    Unary::Tanh => math::tanh::<S>(v),
                    Unary::Sigmoid => math::sigmoid::<S>(v),
                    Unary::Erf => math::erf::<S>(v),
                    Unary::Relu => math::relu::<S>(v),
                    Unary::Sign => math::sign::<S>(v),
                    Unary::Abs => math::abs::<S>(v),
                    _ => math::neg::<S>(v),
                };
                S::store(lanes.as_mut_ptr(), r);
            }
            y.copy_from_slice(&lanes[..y.len()]);
        }
    }
}

/// Arguments of all magnitudes and signs, and the special ones.
fn arguments() -> Vec<f32> {
    let mut x = vec![0.0, -0.0, 1.0, -1.0, f32::INFINITY, f32::NEG_INFINITY, f32::NAN];
    x.extend([f32::MIN_POSITIVE, -f32::MIN_POSITIVE, 1e-42, f32::MAX, f32::MIN, 88.72, 88.73]);
    x.extend((0..40_000u32).map(|i| f32::from_bits(i * 107_371 + 13)).filter(|x| x.is_finite()));
    x.extend((-20_000..20_000).map(|i| i as f32 * 0.00057));
    x.extend((-20_000..20_000).map(|i| i as f32 * 0.0061));
    x
}

/// The error of `got` in units in the last place of f32, none below the smallest normal number.
fn ulps(got: f32, want: f64) -> f64 {
    if got.is_nan() || want.is_nan() {
        return if got.is_nan() && want.is_nan() { 0.0 } else { f64::INFINITY };
    }
    let rounded = want as f32;
    if got == rounded || (got.is_infinite() && want.abs() > f64::from(f32::MAX) * 0.999_999) {
        return if (got < 0.0) == (rounded < 0.0) { 0.0 } else { f64::INFINITY };
    }
    let magnitude = want.abs().max(f64::from(f32::MIN_POSITIVE));
    let unit = 2f64.powf(magnitude.log2().floor() - 23.0);
    (f64::from(got) - want).abs() / unit
}

#[test]
fn functions_are_accurate() {
    let cases = [
        (Unary::Exp, 2.0),
        (Unary::Expm1, 3.0),
        (Unary::Log, 2.0),
        (Unary::Log1p, 3.0),
        (Unary::Sin, 3.0),
        (Unary::Cos, 3.0),
        (Unary::Tanh, 4.0),
        (Unary::Sigmoid, 3.0),
        (Unary::Erf, 3.0),
        (Unary::Relu, 0.0),
        (Unary::Sign, 0.0),
        (Unary::Abs, 0.0),
        (Unary::Neg, 0.0),
    ];
    let x = arguments();
    let mut y = vec![0.0; x.len()];
    for level in Level::available() {
        for (op, most) in cases {
            // SAFETY: the level is available.
            unsafe { level.run(Apply { op, x: &x, y: &mut y }) };
            let worst = x
                .iter()
                .zip(&y)
                .map(|(&x, &y)| (ulps(y, op.apply(f64::from(x))), x, y))
                .max_by(|a, b| a.0.total_cmp(&b.0))
                .unwrap();
            println!("{level} {op:?}: {worst:?}");
            assert!(
                worst.0 <= most,
                "{level} {op:?}: off by {} ulp at {} -> {}",
                worst.0,
                worst.1,
                worst.2
            );
        }
    }
}

#[test]
fn the_sign_of_zero_is_kept() {
    for level in Level::available() {
        for op in [Unary::Expm1, Unary::Log1p, Unary::Sin, Unary::Tanh, Unary::Erf] {
            let mut y = [1.0];
            // SAFETY: the level is available.
            unsafe { level.run(Apply { op, x: &[-0.0], y: &mut y }) };
            assert!(y[0] == 0.0 && y[0].is_sign_negative(), "{level} {op:?}");
        }
    }
}

/// Part of a vector from the end of a slice, and the same part written behind another.
struct Part<'a> {
    from: &'a [f32],
    to: &'a mut [f32],
}

impl Task for Part<'_> {
    type Output = ();
    #[inline(always)]
    unsafe fn run<S: Simd>(self) {
        let mut lanes = [0.0f32; MAX_LANES];
        for count in 0..S::LANES {
            let from = &self.from[self.from.len() - count..];
            // SAFETY: the level is available; there are `count` elements to read, and `to` has room
            // for as many.
            unsafe {
                let v = S::load_lanes(from.as_ptr(), count, S::splat(-1.0));
                S::store(lanes.as_mut_ptr(), v);
                self.to.fill(-2.0);
                S::store_lanes(self.to.as_mut_ptr(), v, 0, count);
            }
            assert_eq!(lanes[..count], *from);
            assert!(lanes[count..S::LANES].iter().all(|x| *x == -1.0), "{count} {lanes:?}");
            assert_eq!(self.to[..count], *from);
            assert!(self.to[count..].iter().all(|x| *x == -2.0), "{count} {:?}", self.to);
        }
    }
}

#[test]
fn parts_of_vectors_are_read_and_written() {
    let from: Vec<f32> = (0..MAX_LANES).map(|i| i as f32).collect();
    for level in Level::available() {
        let mut to = [0.0; MAX_LANES];
        // SAFETY: the level is available.
        unsafe { level.run(Part { from: &from, to: &mut to }) };
    }
}

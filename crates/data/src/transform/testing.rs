//! What the tests of transforms share.

use onestep_memory::Shape;

use super::Transform;
use crate::SampleRng;

/// What a transform makes of a sample of the first epoch.
pub(super) fn apply(
    transform: &dyn Transform,
    shape: &Shape,
    input: &[f32],
    sample: u64,
) -> Vec<f32> {
    transform.check(shape).unwrap();
    let mut output = input.to_vec();
    let mut rng = SampleRng::new(1, 0, sample);
    transform.apply(&mut output, shape, &mut rng, &mut Vec::new()).unwrap();
    output
}

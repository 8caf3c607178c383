//! Shapes against a plain restatement of numpy's rules.

use onestep_memory::{MAX_RANK, MemoryError, Shape};
use proptest::prelude::*;

fn dims() -> impl Strategy<Value = Vec<usize>> {
    prop::collection::vec(0usize..5, 0..=MAX_RANK)
}

/// Pads with ones on the left, then takes the dimension that is not 1, axis by axis.
fn broadcast_by_padding(left: &[usize], right: &[usize]) -> Option<Vec<usize>> {
    let rank = left.len().max(right.len());
    let pad = |dims: &[usize]| [vec![1; rank - dims.len()], dims.to_vec()].concat();
    let pairs = pad(left).into_iter().zip(pad(right));
    pairs
        .map(|(left, right)| match (left, right) {
            _ if left == right => Some(left),
            (1, _) => Some(right),
            (_, 1) => Some(left),
            _ => None,
        })
        .collect()
}

proptest! {
    #[test]
    fn broadcasting_is_numpys(left in dims(), right in dims()) {
        let (a, b) = (Shape::new(&left).unwrap(), Shape::new(&right).unwrap());
        let wanted = broadcast_by_padding(&left, &right);
        prop_assert_eq!(a.broadcast(&b).ok().map(|shape| shape.to_vec()), wanted.clone());
        prop_assert_eq!(b.broadcast(&a).ok().map(|shape| shape.to_vec()), wanted);
        prop_assert_eq!(a.broadcast(&a), Ok(a.clone()));
        prop_assert_eq!(a.broadcast(&Shape::scalar()), Ok(a));
    }

    #[test]
    fn strides_count_the_elements_to_the_next_index(dims in prop::collection::vec(1usize..5, 0..=MAX_RANK)) {
        let shape = Shape::new(&dims).unwrap();
        let strides = shape.strides();
        prop_assert_eq!(strides.len(), shape.rank());
        for (axis, &stride) in strides.iter().enumerate() {
            prop_assert_eq!(stride, dims[axis + 1..].iter().product::<usize>());
        }
        prop_assert_eq!(shape.elements(), dims.iter().product::<usize>());
    }

    #[test]
    fn a_batch_axis_goes_on_and_comes_off(dims in prop::collection::vec(0usize..5, 0..MAX_RANK), batch in 0usize..9) {
        let sample = Shape::new(&dims).unwrap();
        let batched = sample.with_batch(batch).unwrap();
        prop_assert_eq!(batched.elements(), batch * sample.elements());
        prop_assert_eq!(batched[0], batch);
        prop_assert_eq!(batched.without_axis(0), Ok(sample));
    }
}

#[test]
fn a_shape_left_over_from_another_compares_and_hashes_equal() {
    let reduced = Shape::from([2, 3, 4]).without_axis(1).unwrap();
    assert_eq!(reduced, Shape::from([2, 4]));
    let set = std::collections::HashSet::from([reduced]);
    assert!(set.contains(&Shape::from([2, 4])));
}

#[test]
fn too_many_dimensions_are_an_error() {
    let error = Shape::new(&[1; 7]).unwrap_err();
    assert_eq!(error.to_string(), "shape has 7 dimensions, at most 6 are supported");
    let full = Shape::from([1; MAX_RANK]);
    assert_eq!(full.with_batch(2), Err(MemoryError::RankTooLarge { rank: 7, max: 6 }));
}

#[test]
fn overflow_is_an_error_and_never_wraps() {
    let dims = [usize::MAX, 2];
    assert!(matches!(Shape::new(&dims), Err(MemoryError::ShapeOverflow { .. })));
    assert_eq!(Shape::from(dims).elements(), usize::MAX);
    assert!(matches!(Shape::new(&[0, usize::MAX, 2]), Err(MemoryError::ShapeOverflow { .. })));
    let wide = Shape::from([usize::MAX / 2, 1]);
    assert!(matches!(wide.broadcast(&[3].into()), Err(MemoryError::ShapeOverflow { .. })));
}

#[test]
fn messages_name_shapes_and_axes() {
    let error = Shape::from([2, 3]).broadcast(&Shape::from([4])).unwrap_err();
    assert_eq!(
        error.to_string(),
        "shapes [2, 3] and [4] do not broadcast: aligned dimensions must match or be 1"
    );
    let error = Shape::from([2, 3]).without_axis(2).unwrap_err();
    assert_eq!(error.to_string(), "axis 2 is out of range for shape [2, 3]");
    assert_eq!(format!("{:#?} {}", Shape::from([2, 3]), Shape::scalar()), "[2, 3] []");
}

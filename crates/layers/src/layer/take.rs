//! Elements along an axis by number.

use onestep_engine::{Graph, GraphError, Value};

/// The elements of `x` at `places` along an axis, which may repeat. Their gradients add up.
pub(super) fn take(
    g: &mut Graph,
    x: Value,
    axis: usize,
    places: &[usize],
) -> Result<Value, GraphError> {
    let dims = g.shape(x).dims().to_vec();
    // Rows of a table are picked along the first axis.
    let order: Vec<usize> =
        std::iter::once(axis).chain((0..dims.len()).filter(|&a| a != axis)).collect();
    let front = g.permute(x, &order)?;
    let rest = dims.iter().product::<usize>() / dims[axis].max(1);
    let rows = g.reshape(front, &[dims[axis], rest])?;
    let indices: Vec<i32> = places.iter().map(|&place| place as i32).collect();
    let indices = g.constant_indices(&[places.len()], &indices)?;
    let taken = g.gather(rows, indices)?;
    let mut shape: Vec<usize> = order.iter().map(|&a| dims[a]).collect();
    shape[0] = places.len();
    let taken = g.reshape(taken, &shape)?;
    let mut back = vec![0; order.len()];
    order.iter().enumerate().for_each(|(at, &a)| back[a] = at);
    g.permute(taken, &back)
}

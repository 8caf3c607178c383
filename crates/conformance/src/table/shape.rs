//! Reductions, movement and tables.

use onestep_engine::Graph;

use super::op::{NO_GRADIENT, TIES, op, shaped};
use crate::case::Case;
use crate::tolerance::Tolerance;

const EXACT: Tolerance = Tolerance::EXACT;
const ROUNDED: Tolerance = Tolerance::ROUNDED;
const SUMS: Tolerance = Tolerance::SUMS;

fn sum(name: &str, axes: &'static [usize]) -> Case {
    op(&format!("reduce_sum_{name}"), SUMS, move |g, x| g.sum(x[0], axes, true))
}

fn mean(name: &str, axes: &'static [usize]) -> Case {
    op(&format!("reduce_mean_{name}"), SUMS, move |g, x| g.mean(x[0], axes, true))
}

fn max(name: &str, axes: &'static [usize]) -> Case {
    op(&format!("reduce_max_{name}"), EXACT, move |g, x| g.max_over(x[0], axes, true))
}

fn min(name: &str, axes: &'static [usize]) -> Case {
    op(&format!("reduce_min_{name}"), EXACT, move |g, x| g.min_over(x[0], axes, true))
}

/// Around a centre that is given.
fn variance(name: &str, axes: &'static [usize]) -> Case {
    op(&format!("variance_{name}"), SUMS, move |g, x| g.variance(x[0], x[1], axes))
}

/// Around the mean.
fn variance_around_mean(name: &str, axes: &'static [usize]) -> Case {
    op(&format!("variance_{name}"), SUMS, move |g, x| {
        let mean = g.mean(x[0], axes, true)?;
        g.variance(x[0], mean, axes)
    })
}

fn argmax(name: &str, axis: usize) -> Case {
    Case::value_only(&format!("argmax_{name}"), EXACT, NO_GRADIENT, move |g, x, _| {
        g.argmax(x[0], axis)
    })
}

fn permute(name: &str, axes: &'static [usize]) -> Case {
    op(&format!("permute_{name}"), EXACT, move |g, x| g.permute(x[0], axes))
}

fn broadcast(name: &str) -> Case {
    shaped(&format!("broadcast_{name}"), SUMS, |g, x, shape| g.broadcast(x[0], shape.dims()))
}

fn concat(name: &str, axis: usize) -> Case {
    op(&format!("concat_{name}"), EXACT, move |g, x| g.concat(x, axis))
}

fn gather_along(name: &str, axis: usize) -> Case {
    op(&format!("gather_along_{name}"), SUMS, move |g, x| g.gather_along(x[0], x[1], axis))
}

fn scatter_along(name: &str, axis: usize) -> Case {
    shaped(&format!("scatter_along_{name}"), SUMS, move |g, x, shape| {
        g.scatter_along(x[0], x[1], axis, shape[axis])
    })
}

fn cumsum(name: &str, axis: usize, reverse: bool) -> Case {
    op(&format!("cumsum_{name}"), SUMS, move |g, x| g.cumsum(x[0], axis, reverse))
}

fn argsort(name: &str, axis: usize, descending: bool) -> Case {
    Case::value_only(&format!("argsort_{name}"), EXACT, NO_GRADIENT, move |g, x, _| {
        g.argsort(x[0], axis, descending)
    })
}

pub(super) fn cases() -> Vec<Case> {
    let reshape =
        |g: &mut Graph, x: &[_], shape: &onestep_engine::Shape| g.reshape(x[0], shape.dims());
    vec![
        sum("last", &[2]),
        sum("first", &[0]),
        sum("middle", &[1]),
        sum("outer", &[0, 2]),
        sum("all", &[0, 1, 2]),
        sum("many", &[1]),
        mean("last", &[2]),
        mean("first", &[0]),
        mean("middle", &[1]),
        mean("outer", &[0, 2]),
        variance("last", &[2]),
        variance("outer", &[0, 2]),
        variance_around_mean("channels", &[0, 2, 3]),
        variance_around_mean("far", &[1]),
        mean("all", &[0, 1, 2]),
        mean("many", &[1]),
        max("last", &[2]),
        max("first", &[0]),
        max("middle", &[1]),
        max("outer", &[0, 2]),
        max("all", &[0, 1, 2]),
        min("last", &[2]),
        min("first", &[0]),
        min("middle", &[1]),
        min("outer", &[0, 2]),
        min("all", &[0, 1, 2]),
        // The gradient is shared among the ties: a division.
        op("reduce_max_ties", ROUNDED, |g, x| g.max_over(x[0], &[1], true)).without(TIES),
        op("reduce_min_ties", ROUNDED, |g, x| g.min_over(x[0], &[1], true)).without(TIES),
        argmax("last", 2),
        argmax("first", 0),
        argmax("ties", 1),
        shaped("reshape", EXACT, reshape),
        shaped("reshape_scalar", EXACT, reshape),
        permute("102", &[1, 0, 2]),
        permute("210", &[2, 1, 0]),
        permute("021", &[0, 2, 1]),
        permute("201", &[2, 0, 1]),
        permute("to_channels_last", &[0, 2, 3, 1]),
        broadcast("rows"),
        broadcast("columns"),
        broadcast("middle"),
        broadcast("rank"),
        broadcast("scalar"),
        op("slice", EXACT, |g, x| g.slice(x[0], &[0, 1, 2], &[2, 3, 4])),
        op("slice_one", EXACT, |g, x| g.slice(x[0], &[1, 0, 0], &[2, 3, 1])),
        concat("first", 0),
        concat("last", 2),
        concat("middle", 1),
        op("pad", EXACT, |g, x| g.pad(x[0], &[1, 0, 2], &[0, 3, 1], 0.0)),
        op("pad_value", EXACT, |g, x| g.pad(x[0], &[0, 1, 1], &[0, 0, 1], -7.5)),
        op("gather", SUMS, |g, x| g.gather(x[0], x[1])),
        op("gather_matrix", SUMS, |g, x| g.gather(x[0], x[1])),
        shaped("scatter_add", SUMS, |g, x, shape| g.scatter_add(x[0], x[1], shape[0])),
        gather_along("first", 0),
        gather_along("middle", 1),
        gather_along("last", 2),
        scatter_along("first", 0),
        scatter_along("middle", 1),
        scatter_along("last", 2),
        cumsum("first", 0, false),
        cumsum("middle", 1, false),
        cumsum("last", 2, false),
        cumsum("reverse", 1, true),
        cumsum("many", 1, false),
        argsort("last", 2, false),
        argsort("first", 0, false),
        argsort("descending", 1, true),
        argsort("ties", 1, false),
        argsort("ties_descending", 1, true),
        op("sort_last", EXACT, |g, x| Ok(g.sort(x[0], 2, false)?.0)),
        op("sort_first", EXACT, |g, x| Ok(g.sort(x[0], 0, false)?.0)),
        op("sort_descending", EXACT, |g, x| Ok(g.sort(x[0], 1, true)?.0)),
        op("top_k_last", EXACT, |g, x| Ok(g.top_k(x[0], 2, 2)?.0)),
        op("top_k_first", EXACT, |g, x| Ok(g.top_k(x[0], 0, 3)?.0)),
    ]
}

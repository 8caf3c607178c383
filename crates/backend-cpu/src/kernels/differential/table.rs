//! Which convolutions go which way: `docs/convolutions.md`, made here, and whether the draws reach all of
//! them.

use std::collections::BTreeMap;
use std::fmt::Write;
use std::path::PathBuf;

use onestep_engine::ops::ConvWindow;

use super::convolutions::{DRAWS, FILTERS, Shapes, drawn, drawn_filter};
use super::draws;
use crate::cpu_kernel::CpuKernel;
use crate::simd::Level;

/// What the table calls the kernels.
const WAYS: [(&str, &str); 10] = [
    ("SumsKernel", "planes"),
    ("WeightGradKernel", "planes"),
    ("PixelsKernel", "pixels"),
    ("OuterKernel", "outer products"),
    ("FilterKernel<onestep_backend_cpu::kernels::conv::winograd::transform::F4", "F(4x4)"),
    ("FilterKernel", "F(2x2)"),
    ("FilterBlocksKernel", "F in blocks"),
    ("::GradKernel<onestep_backend_cpu::kernels::conv::winograd::transform::F4", "F(4x4)"),
    ("::GradKernel", "F(2x2)"),
    ("GradBlocksKernel", "F in blocks"),
];

fn way(kernel: &dyn CpuKernel) -> &'static str {
    let found = WAYS.iter().find(|(name, _)| kernel.way().contains(name));
    found.unwrap_or_else(|| panic!("{} has no name in the table", kernel.way())).1
}

fn cell(kernel: &dyn CpuKernel) -> String {
    match kernel.strips() {
        (1, _) => way(kernel).to_owned(),
        (strips, false) => format!("{}, {strips} strips", way(kernel)),
        (strips, true) => format!("{}, {strips} strips, the last shorter", way(kernel)),
    }
}

/// Input, weight, stride, padding, dilation, groups.
type Shape = ([usize; 4], [usize; 4], usize, [usize; 2], usize, usize);

/// Shapes of real networks, and what is near a bound.
#[rustfmt::skip]
const SHAPES: &[Shape] = &[
    ([32, 1, 28, 28], [8, 1, 3, 3], 1, [1, 1], 1, 1),
    ([32, 3, 32, 32], [32, 3, 3, 3], 1, [1, 1], 1, 1),
    ([32, 3, 32, 32], [32, 3, 5, 5], 1, [2, 2], 1, 1),
    ([8, 3, 224, 224], [64, 3, 7, 7], 2, [3, 3], 1, 1),
    ([8, 3, 299, 299], [32, 3, 3, 3], 2, [0, 0], 1, 1),
    ([8, 8, 32, 32], [8, 8, 3, 3], 1, [1, 1], 1, 1),
    ([8, 8, 30, 30], [8, 8, 3, 3], 1, [1, 1], 1, 1),
    ([8, 12, 30, 30], [12, 12, 3, 3], 1, [1, 1], 1, 1),
    ([8, 16, 32, 32], [16, 16, 3, 3], 1, [1, 1], 1, 1),
    ([8, 64, 56, 56], [64, 64, 3, 3], 1, [1, 1], 1, 1),
    ([8, 128, 6, 6], [128, 128, 3, 3], 1, [1, 1], 1, 1),
    ([8, 16, 6, 6], [16, 16, 3, 3], 1, [1, 1], 1, 1),
    ([1, 512, 7, 7], [512, 512, 3, 3], 1, [1, 1], 1, 1),
    ([8, 64, 56, 56], [128, 64, 3, 3], 2, [1, 1], 1, 1),
    ([8, 128, 65, 65], [128, 128, 3, 3], 2, [1, 1], 1, 1),
    ([8, 1, 257, 257], [32, 1, 3, 3], 2, [1, 1], 1, 1),
    ([8, 64, 56, 56], [256, 64, 1, 1], 1, [0, 0], 1, 1),
    ([8, 1024, 13, 13], [125, 1024, 1, 1], 1, [0, 0], 1, 1),
    ([8, 256, 25, 25], [32, 256, 1, 1], 1, [0, 0], 1, 1),
    ([8, 128, 17, 17], [128, 128, 1, 7], 1, [0, 3], 1, 1),
    ([8, 128, 41, 41], [128, 128, 3, 3], 1, [2, 2], 2, 1),
    ([8, 64, 28, 28], [64, 64, 3, 3], 1, [2, 2], 2, 1),
    ([8, 64, 28, 28], [64, 32, 3, 3], 1, [1, 1], 1, 2),
    ([8, 32, 28, 28], [32, 1, 3, 3], 1, [1, 1], 1, 32),
    ([8, 32, 112, 112], [32, 1, 3, 3], 2, [1, 1], 1, 32),
    ([8, 11, 709, 17], [2, 11, 1, 1], 1, [0, 0], 1, 1),
];

const LEVELS: [(Level, &str); 3] = [(Level::Portable, "4"), (Level::V3, "8"), (Level::V4, "16")];

fn row(text: &mut String, shape: &Shape) {
    let &(x, w, stride, pad, dilation, groups) = shape;
    let window = ConvWindow {
        stride: [stride; 2],
        pad_low: pad,
        pad_high: pad,
        dilation: [dilation; 2],
        groups,
    };
    let cases = Shapes { window, x, w }.cases_without_data();
    let mut lanes: Vec<(String, [String; 3])> = Vec::new();
    for (level, name) in LEVELS {
        let ways = [0, 1, 2].map(|i| cell(&*cases[i].lower(1, level)));
        match lanes.last_mut().filter(|(_, same)| *same == ways) {
            Some((names, _)) => *names += &format!(", {name}"),
            None => lanes.push((name.to_owned(), ways)),
        }
    }
    let mut window = format!("stride {stride}, padding {}", pad[1]);
    if pad[0] != pad[1] {
        window = format!("stride {stride}, padding {} x {}", pad[0], pad[1]);
    }
    if dilation > 1 {
        window += &format!(", dilation {dilation}");
    }
    if groups > 1 {
        window += &format!(", {groups} groups");
    }
    for (lanes, [forward, input, weight]) in lanes {
        let [n, c, height, width] = x;
        let weights = format!("{} x {} x {} x {}", w[0], w[1], w[2], w[3]);
        writeln!(
            text,
            "| {n} x {c} x {height} x {width} | {weights} | {window} | {lanes} | {forward} | {input} | {weight} |"
        )
        .unwrap();
    }
}

/// What the draws reach, by op and way: all, in strips, with a shorter last strip, and those with a
/// stride, a dilation, groups.
fn reached() -> BTreeMap<(&'static str, &'static str), [usize; 6]> {
    let mut reached = BTreeMap::new();
    let mut count = |shapes: Shapes| {
        let ops = ["convolution", "input gradient", "weight gradient"];
        for (case, op) in shapes.cases_without_data().iter().zip(ops) {
            for (level, _) in LEVELS {
                let kernel = case.lower(1, level);
                let counts: &mut [usize; 6] = reached.entry((op, way(&*kernel))).or_default();
                let ((strips, shorter), window) = (kernel.strips(), &shapes.window);
                let has = [
                    true,
                    strips > 1,
                    shorter,
                    window.stride != [1; 2],
                    window.dilation != [1; 2],
                    window.groups > 1,
                ];
                counts.iter_mut().zip(has).for_each(|(count, has)| *count += usize::from(has));
            }
        }
    };
    draws("table", 0..DRAWS as u64, |draw| count(drawn(draw)));
    draws("table", 0..FILTERS as u64, |draw| {
        let shapes = drawn_filter(draw);
        if shapes.output().is_some() {
            count(shapes);
        }
    });
    reached
}

fn tables() -> String {
    let mut text = String::new();
    text +=
        "| input | weight | window | lanes | convolution | input gradient | weight gradient |\n";
    text += "| --- | --- | --- | --- | --- | --- | --- |\n";
    SHAPES.iter().for_each(|shape| row(&mut text, shape));
    text += "\n| op | way | draws | in strips | last shorter | stride | dilation | groups |\n";
    text += "| --- | --- | --- | --- | --- | --- | --- | --- |\n";
    for ((op, way), counts) in reached() {
        let counts = counts.map(|count| count.to_string()).join(" | ");
        writeln!(text, "| {op} | {way} | {counts} |").unwrap();
    }
    text
}

/// The lines of the document that are made here.
const BEGIN: &str = "<!-- made by `kernels/differential/table.rs` -->\n";
const END: &str = "<!-- end of what is made -->\n";

#[test]
#[cfg_attr(not(target_arch = "x86_64"), ignore = "the table has the widths of vectors on x86-64")]
fn the_table_of_ways_is_fresh() {
    let file = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../docs/convolutions.md");
    let text = std::fs::read_to_string(&file).unwrap();
    let (before, rest) = text.split_once(BEGIN).unwrap();
    let (_, after) = rest.split_once(END).unwrap();
    let fresh = format!("{before}{BEGIN}\n{}\n{END}{after}", tables());
    if std::env::var_os("ONESTEP_UPDATE_CONVOLUTIONS").is_some() {
        std::fs::write(&file, &fresh).unwrap();
    }
    let is_fresh = std::fs::read_to_string(&file).unwrap() == fresh;
    assert!(
        is_fresh,
        "docs/convolutions.md is stale: run the tests of onestep-backend-cpu with \
         ONESTEP_UPDATE_CONVOLUTIONS=1"
    );
}

/// The ways whose units may be strips meet them in the draws, whole ones and shorter.
#[test]
#[cfg_attr(not(target_arch = "x86_64"), ignore = "the table has the widths of vectors on x86-64")]
fn the_draws_reach_strips_of_each_way() {
    let reached = reached();
    for (op, way) in [
        ("convolution", "planes"),
        ("input gradient", "planes"),
        ("weight gradient", "planes"),
        ("weight gradient", "outer products"),
    ] {
        let counts = reached.get(&(op, way)).unwrap_or_else(|| panic!("no draw of {op} by {way}"));
        assert!(counts.iter().all(|&count| count >= 20), "{op} by {way}: {counts:?}");
    }
    for op in ["convolution", "input gradient", "weight gradient"] {
        for way in ["F(4x4)", "F(2x2)"] {
            let counts = reached.get(&(op, way)).unwrap_or_else(|| panic!("no draw by {way}"));
            assert!(counts[..3].iter().all(|&count| count >= 5), "{op} by {way}: {counts:?}");
        }
        assert!(reached.get(&(op, "F in blocks")).is_some_and(|counts| counts[0] >= 20), "{op}");
    }
    for (op, way) in [("convolution", "pixels"), ("input gradient", "pixels")] {
        assert!(reached.get(&(op, way)).is_some_and(|counts| counts[0] >= 100), "{op} by {way}");
    }
}

//! Convolutions whose planes are cut into strips.

use onestep_engine::ops::ConvWindow;

use super::tests::check_convolution;
use crate::testing::with_smaller_caches;

/// Vectors of a last, shorter strip that go on in a row that the strip does not have: rows that do not
/// fill vectors, of a picture whose planes are larger than a unit.
#[test]
fn a_short_last_strip_writes_no_row_too_many() {
    for smaller in [6, 8, 9] {
        with_smaller_caches(smaller, || {
            let plain = ConvWindow::default();
            check_convolution(plain, [2, 3, 23, 17], [2, 3, 1, 1]);
            check_convolution(plain, [1, 11, 13, 13], [5, 11, 1, 1]);
            let wide = ConvWindow { pad_low: [0, 3], pad_high: [0, 3], ..plain };
            check_convolution(wide, [2, 6, 17, 17], [3, 6, 1, 7]);
            let wider = ConvWindow { pad_low: [2; 2], pad_high: [2; 2], dilation: [2; 2], ..plain };
            check_convolution(wider, [1, 4, 41, 21], [3, 4, 3, 3]);
        });
    }
    // The caches as they are.
    check_convolution(ConvWindow::default(), [1, 11, 709, 17], [2, 11, 1, 1]);
}

/// The gradient in the input of a stride has passes of different reach, of which the furthest may have
/// fewer rows in the picture than the others.
#[test]
fn strips_of_a_strided_gradient_reach_as_far_as_its_widest_pass() {
    let padded = |stride: usize, pad: usize| ConvWindow {
        stride: [stride; 2],
        pad_low: [pad; 2],
        pad_high: [pad; 2],
        ..ConvWindow::default()
    };
    for smaller in [6, 8, 9] {
        with_smaller_caches(smaller, || {
            for (stride, pad, size) in [(2, 1, 33), (2, 1, 32), (2, 2, 29), (3, 1, 31), (3, 2, 28)]
            {
                check_convolution(padded(stride, pad), [2, 2, size, size], [3, 2, 3, 3]);
                check_convolution(padded(stride, pad), [1, 2, size, 19], [3, 2, 5, 4]);
            }
        });
    }
    check_convolution(padded(2, 1), [1, 1, 129, 129], [32, 1, 3, 3]);
}

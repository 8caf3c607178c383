//! Byte counts for people.

use std::fmt;

const UNITS: [&str; 5] = ["B", "KiB", "MiB", "GiB", "TiB"];

/// A number of bytes that displays in binary units. Made by [`format_bytes`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ByteSize(pub usize);

/// Shows a number of bytes in the unit that suits it, with one decimal unless it is whole.
/// Width and alignment of the format string apply.
///
/// ```
/// use onestep_memory::format_bytes;
///
/// assert_eq!(format_bytes(512).to_string(), "512 B");
/// assert_eq!(format_bytes(64 << 10).to_string(), "64 KiB");
/// assert_eq!(format!("{:>9}", format_bytes(3 << 19)), "  1.5 MiB");
/// ```
pub const fn format_bytes(bytes: usize) -> ByteSize {
    ByteSize(bytes)
}

impl fmt::Display for ByteSize {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut value = self.0 as f64;
        let mut unit = 0;
        // 1023.95 and above would round to "1024.0", which belongs to the next unit.
        while value >= 1023.95 && unit + 1 < UNITS.len() {
            value /= 1024.0;
            unit += 1;
        }
        let whole = unit == 0 || value.fract() == 0.0;
        let decimals = if whole { 0 } else { 1 };
        f.pad(&format!("{value:.decimals$} {}", UNITS[unit]))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn units_change_where_the_number_would_need_four_digits() {
        for (bytes, shown) in [
            (0, "0 B"),
            (1023, "1023 B"),
            (1024, "1 KiB"),
            (1025, "1.0 KiB"),
            ((1 << 20) - 1, "1.0 MiB"),
            (5 << 30, "5 GiB"),
            (3 << 40, "3 TiB"),
        ] {
            assert_eq!(format_bytes(bytes).to_string(), shown);
        }
    }
}

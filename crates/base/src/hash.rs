//! FNV-1a, a hash that is the same on every machine and in every version. It tells names and texts
//! apart and resists no malice.

const OFFSET: u64 = 0xcbf2_9ce4_8422_2325;
const PRIME: u64 = 0x0000_0100_0000_01b3;

/// The 64-bit FNV-1a of all of `bytes`
/// (<https://datatracker.ietf.org/doc/html/draft-eastlake-fnv>).
///
/// ```
/// assert_eq!(onestep_base::hash::fnv1a(b"foobar"), 0x8594_4171_f739_67e8);
/// ```
pub fn fnv1a(bytes: &[u8]) -> u64 {
    let mut hash = Fnv1a::new();
    hash.add(bytes);
    hash.finish()
}

/// [`fnv1a`] of bytes that come in parts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Fnv1a(u64);

impl Fnv1a {
    /// The hash of nothing.
    pub const fn new() -> Self {
        Fnv1a(OFFSET)
    }

    /// Adds a part. Where two parts meet leaves no trace: parts of any length should be told apart
    /// by the caller.
    pub fn add(&mut self, bytes: &[u8]) {
        for &byte in bytes {
            self.0 = (self.0 ^ u64::from(byte)).wrapping_mul(PRIME);
        }
    }

    /// The hash of all parts so far.
    pub const fn finish(self) -> u64 {
        self.0
    }
}

impl Default for Fnv1a {
    fn default() -> Self {
        Self::new()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hashes_match_published_values() {
        // Test vectors of the FNV draft, section 8.
        assert_eq!(fnv1a(b""), 0xcbf2_9ce4_8422_2325);
        assert_eq!(fnv1a(b"a"), 0xaf63_dc4c_8601_ec8c);
        assert_eq!(fnv1a(b"foobar"), 0x8594_4171_f739_67e8);
    }

    #[test]
    fn parts_are_as_good_as_the_whole() {
        let mut hash = Fnv1a::default();
        hash.add(b"foo");
        hash.add(b"");
        hash.add(b"bar");
        assert_eq!(hash.finish(), fnv1a(b"foobar"));
    }
}

//! Size classes: which buffers may stand in for which.

use std::fmt;

const KIB: usize = 1 << 10;
const MIB: usize = 1 << 20;
const GIB: usize = 1 << 30;

/// A range of buffer sizes with a cap of its own.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Tier {
    /// 1 KiB to 64 KiB, powers of two.
    Small,
    /// Up to 4 MiB, powers of two.
    Medium,
    /// Up to 64 MiB, powers of two.
    Large,
    /// Above 64 MiB, in whole MiB: doubling such sizes would waste too much.
    Huge,
}

impl Tier {
    /// Every tier, smallest first.
    pub const ALL: [Tier; 4] = [Tier::Small, Tier::Medium, Tier::Large, Tier::Huge];

    /// `small`, `medium`, `large` or `huge`.
    pub const fn name(self) -> &'static str {
        match self {
            Tier::Small => "small",
            Tier::Medium => "medium",
            Tier::Large => "large",
            Tier::Huge => "huge",
        }
    }
}

impl fmt::Display for Tier {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}

/// The size that a request is rounded up to; buffers of one class are interchangeable.
///
/// ```
/// use onestep_memory::{SizeClass, Tier};
///
/// let class = SizeClass::of(5000).unwrap();
/// assert_eq!((class.tier(), class.bytes()), (Tier::Small, 8192));
/// let class = SizeClass::of((64 << 20) + 1).unwrap();
/// assert_eq!((class.tier(), class.bytes()), (Tier::Huge, 65 << 20));
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct SizeClass {
    tier: Tier,
    bytes: usize,
}

impl SizeClass {
    const SMALLEST: usize = KIB;
    const LARGEST_POWER: usize = 64 * MIB;
    /// How many classes are powers of two; those above are huge.
    pub(crate) const POWERS: usize =
        (Self::LARGEST_POWER.ilog2() - Self::SMALLEST.ilog2()) as usize + 1;

    /// The class that serves a request of `bytes` bytes; `None` if no address space could.
    pub fn of(bytes: usize) -> Option<SizeClass> {
        if bytes > Self::LARGEST_POWER {
            let bytes = bytes.checked_next_multiple_of(MIB)?;
            return (bytes <= isize::MAX as usize).then_some(SizeClass { tier: Tier::Huge, bytes });
        }
        let bytes = bytes.max(Self::SMALLEST).next_power_of_two();
        let tier = match bytes {
            _ if bytes <= 64 * KIB => Tier::Small,
            _ if bytes <= 4 * MIB => Tier::Medium,
            _ => Tier::Large,
        };
        Some(SizeClass { tier, bytes })
    }

    /// The tier the class belongs to.
    pub fn tier(self) -> Tier {
        self.tier
    }

    /// The size of the class's buffers, in bytes.
    pub fn bytes(self) -> usize {
        self.bytes
    }

    /// The position among the powers of two; `None` for huge classes.
    pub(crate) fn power(self) -> Option<usize> {
        (self.tier != Tier::Huge).then(|| (self.bytes.ilog2() - Self::SMALLEST.ilog2()) as usize)
    }
}

/// The most bytes a pool keeps idle in each tier. A buffer that comes back to a full tier is freed
/// to the device instead.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PoolLimits {
    /// Cap of [`Tier::Small`].
    pub small: usize,
    /// Cap of [`Tier::Medium`].
    pub medium: usize,
    /// Cap of [`Tier::Large`].
    pub large: usize,
    /// Cap of [`Tier::Huge`].
    pub huge: usize,
}

impl PoolLimits {
    /// Nothing stays idle: each buffer goes back to the device at once.
    pub const NONE: PoolLimits = PoolLimits { small: 0, medium: 0, large: 0, huge: 0 };

    /// The cap of one tier.
    pub fn of(&self, tier: Tier) -> usize {
        match tier {
            Tier::Small => self.small,
            Tier::Medium => self.medium,
            Tier::Large => self.large,
            Tier::Huge => self.huge,
        }
    }
}

impl Default for PoolLimits {
    /// 32 MiB small, 256 MiB medium, 1 GiB large, 2 GiB huge.
    fn default() -> PoolLimits {
        PoolLimits { small: 32 * MIB, medium: 256 * MIB, large: GIB, huge: 2 * GIB }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn requests_at_the_borders_fall_into_the_right_tier() {
        for (request, tier, bytes) in [
            (0, Tier::Small, KIB),
            (KIB + 1, Tier::Small, 2 * KIB),
            (64 * KIB, Tier::Small, 64 * KIB),
            (64 * KIB + 1, Tier::Medium, 128 * KIB),
            (4 * MIB, Tier::Medium, 4 * MIB),
            (4 * MIB + 1, Tier::Large, 8 * MIB),
            (64 * MIB, Tier::Large, 64 * MIB),
            (64 * MIB + 1, Tier::Huge, 65 * MIB),
        ] {
            assert_eq!(SizeClass::of(request), Some(SizeClass { tier, bytes }), "{request}");
        }
        assert_eq!(SizeClass::of(usize::MAX), None);
        assert_eq!(SizeClass::of(isize::MAX as usize), None);
    }

    #[test]
    fn powers_are_numbered_from_the_smallest() {
        assert_eq!(SizeClass::of(1).unwrap().power(), Some(0));
        assert_eq!(SizeClass::of(64 * MIB).unwrap().power(), Some(SizeClass::POWERS - 1));
        assert_eq!(SizeClass::of(65 * MIB).unwrap().power(), None);
    }
}

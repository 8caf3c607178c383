//! Subnormal numbers count as zero while a step runs. Moments of an optimizer decay towards zero
//! and stay among them for good, and some processors take many times as long for an operation that
//! meets one: whole steps took up to 13 times as long (docs/performance.md). Accelerators flush them too.

/// Flushes on this thread while it lives.
pub(crate) struct FlushSubnormals {
    before: control::Bits,
}

impl FlushSubnormals {
    pub(crate) fn new() -> FlushSubnormals {
        let before = control::read();
        control::write(before | control::FLUSH);
        FlushSubnormals { before }
    }
}

impl Drop for FlushSubnormals {
    fn drop(&mut self) {
        control::write(self.before);
    }
}

/// MXCSR.
#[cfg(target_arch = "x86_64")]
mod control {
    use std::arch::asm;

    pub(super) type Bits = u32;
    /// Flush to zero (results), denormals are zero (operands).
    pub(super) const FLUSH: Bits = 1 << 15 | 1 << 6;

    pub(super) fn read() -> Bits {
        let mut bits = 0;
        // SAFETY: writes the control word to `bits`.
        unsafe { asm!("stmxcsr [{}]", in(reg) &raw mut bits, options(nostack, preserves_flags)) };
        bits
    }

    pub(super) fn write(bits: Bits) {
        // SAFETY: only the two bits above differ from what the thread had. Compilers take results
        // for those of the default mode; where they compute one in advance or move an operation
        // out of the guard's life, a subnormal number is kept that would have been flushed, and
        // nothing here depends on which.
        unsafe {
            asm!("ldmxcsr [{}]", in(reg) &raw const bits, options(nostack, preserves_flags));
        }
    }
}

/// FPCR.
#[cfg(target_arch = "aarch64")]
mod control {
    use std::arch::asm;

    pub(super) type Bits = u64;
    /// Flush to zero, both operands and results.
    pub(super) const FLUSH: Bits = 1 << 24;

    pub(super) fn read() -> Bits {
        let bits;
        // SAFETY: reads the control register.
        unsafe { asm!("mrs {}, fpcr", out(reg) bits, options(nomem, nostack, preserves_flags)) };
        bits
    }

    pub(super) fn write(bits: Bits) {
        // SAFETY: only the bit above differs from what the thread had. Compilers take results for
        // those of the default mode; where they compute one in advance or move an operation out
        // of the guard's life, a subnormal number is kept that would have been flushed, and
        // nothing here depends on which.
        unsafe { asm!("msr fpcr, {}", in(reg) bits, options(nostack, preserves_flags)) };
    }
}

/// Nothing that is known of.
#[cfg(not(any(target_arch = "x86_64", target_arch = "aarch64")))]
mod control {
    pub(super) type Bits = u32;
    pub(super) const FLUSH: Bits = 0;

    pub(super) fn read() -> Bits {
        0
    }

    pub(super) fn write(_: Bits) {}
}

#[cfg(all(test, any(target_arch = "x86_64", target_arch = "aarch64")))]
mod tests {
    use std::hint::black_box;

    use super::*;

    #[test]
    fn a_thread_flushes_only_while_the_guard_lives() {
        let half = || black_box(f32::MIN_POSITIVE) * black_box(0.5);
        assert!(half() > 0.0);
        let guard = FlushSubnormals::new();
        assert_eq!(half(), 0.0);
        drop(guard);
        assert!(half() > 0.0);
    }
}

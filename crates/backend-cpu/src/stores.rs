//! Where kernels may write. A kernel says of each task which [`Window`]s of memory are its own; in debug
//! builds, and with the feature `checked-stores`, each store is checked against them, so that a store
//! beyond them panics instead of changing another task's results.
//!
//! Besides its windows a task may write the scratch memory of its worker and what is on its stack.

use std::cell::Cell;

/// Whether stores are checked.
pub(crate) const CHECKED: bool = cfg!(any(debug_assertions, feature = "checked-stores"));

/// Runs of memory of equal length, at equal distances in up to two directions. All in bytes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Window {
    at: usize,
    length: usize,
    /// How many times and how far apart, the inner direction first.
    times: [(usize, usize); 2],
}

impl Window {
    /// One run of so many elements.
    pub(crate) fn run<T>(at: *const T, count: usize) -> Window {
        Window { at: at as usize, length: count * size_of::<T>(), times: [(1, 0); 2] }
    }

    /// The same so many times, `step` f32 elements apart. The first direction is the inner one, whose
    /// steps are smaller.
    pub(crate) fn times(mut self, count: usize, step: usize) -> Window {
        let step = step * size_of::<f32>();
        if self.times[0].0 == 1 && step == self.length {
            // One run behind the other.
            self.length *= count;
        } else if self.times[0].0 == 1 {
            self.times[0] = (count, step);
        } else {
            self.times[1] = (count, step);
        }
        self
    }

    /// Whether the bytes lie in one of the runs.
    fn holds(&self, at: usize, bytes: usize) -> bool {
        let Some(mut offset) = at.checked_sub(self.at) else { return false };
        for &(count, step) in self.times.iter().rev() {
            if let Some(index) = offset.checked_div(step) {
                offset -= index.min(count.saturating_sub(1)) * step;
            }
        }
        offset + bytes <= self.length && self.times.iter().all(|&(count, _)| count > 0)
    }

    /// Calls `f` with the first byte of each run, and its length.
    #[cfg(test)]
    pub(crate) fn each_run(&self, mut f: impl FnMut(usize, usize)) {
        let [(inner, inner_step), (outer, outer_step)] = self.times;
        for i in 0..outer {
            (0..inner).for_each(|j| f(self.at + i * outer_step + j * inner_step, self.length));
        }
    }
}

/// The most windows of a task that are told apart.
const MOST: usize = 12;

/// The windows of a task.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Windows {
    list: [Window; MOST],
    count: usize,
}

impl Windows {
    /// Adds a window. Where there are too many, the last holds all that the others do not.
    pub(crate) fn add(&mut self, window: Window) {
        if let Some(free) = self.list.get_mut(self.count) {
            *free = window;
            self.count += 1;
            return;
        }
        let end = |w: &Window| {
            w.at + w.length
                + w.times.iter().map(|&(n, step)| n.max(1).saturating_sub(1) * step).sum::<usize>()
        };
        let last = &mut self.list[MOST - 1];
        let (from, to) = (last.at.min(window.at), end(last).max(end(&window)));
        *last = Window { at: from, length: to - from, times: [(1, 0); 2] };
    }

    fn hold(&self, at: usize, bytes: usize) -> bool {
        self.list[..self.count].iter().any(|window| window.holds(at, bytes))
    }

    #[cfg(test)]
    pub(crate) fn iter(&self) -> impl Iterator<Item = &Window> {
        self.list[..self.count].iter()
    }
}

thread_local! {
    /// The windows of the task that this thread runs, if it runs one.
    static CURRENT: Cell<*const Windows> = const { Cell::new(std::ptr::null()) };
}

/// Leaves the windows, also where a task panics.
struct Entered;

impl Drop for Entered {
    fn drop(&mut self) {
        CURRENT.set(std::ptr::null());
    }
}

/// Runs `task`, whose stores are checked against its windows, if they are at all.
pub(crate) fn within<T>(windows: &Windows, task: impl FnOnce() -> T) -> T {
    if CHECKED {
        CURRENT.set(std::ptr::from_ref(windows));
    }
    let _entered = Entered;
    task()
}

/// Checks a store of `count` elements, where stores are checked.
#[inline(always)]
pub(crate) fn check<T>(to: *const T, count: usize) {
    if CHECKED {
        check_bytes(to as usize, count * size_of::<T>());
    }
}

#[inline(never)]
fn check_bytes(at: usize, bytes: usize) {
    let current = CURRENT.get();
    // SAFETY: the windows of a running task, on the stack of the function that runs it.
    let Some(windows) = (unsafe { current.as_ref() }) else { return };
    // What lies between this function's frame and that of the task's caller is the task's.
    let here = 0u8;
    let stack = (&raw const here as usize)..current as usize;
    let on_stack = stack.contains(&at) && at + bytes <= stack.end;
    assert!(
        bytes == 0 || on_stack || windows.hold(at, bytes),
        "a kernel writes {bytes} bytes at {at:#x}, which is not its task's: {windows:x?}"
    );
}

/// Writes one element.
///
/// # Safety
/// As for a store through the pointer.
#[inline(always)]
pub(crate) unsafe fn put<T>(to: *mut T, x: T) {
    check(to, 1);
    // SAFETY: the caller vouches for the element.
    unsafe { *to = x };
}

/// Zeros.
///
/// # Safety
/// There are so many elements.
#[inline(always)]
pub(crate) unsafe fn zeros(to: *mut f32, count: usize) {
    check(to, count);
    // SAFETY: the caller vouches for the elements.
    unsafe { std::ptr::write_bytes(to, 0, count) };
}

/// Copies elements.
///
/// # Safety
/// Both have so many elements, and do not overlap.
#[inline(always)]
pub(crate) unsafe fn copy<T>(from: *const T, to: *mut T, count: usize) {
    check(to, count);
    // SAFETY: the caller vouches for the elements.
    unsafe { std::ptr::copy_nonoverlapping(from, to, count) };
}

/// Elements to be written.
///
/// # Safety
/// There are so many, and nothing else uses them meanwhile.
#[inline(always)]
pub(crate) unsafe fn elements<'a, T>(to: *mut T, count: usize) -> &'a mut [T] {
    check(to, count);
    // SAFETY: the caller vouches for the elements.
    unsafe { std::slice::from_raw_parts_mut(to, count) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cpu_kernel::{Context, CpuKernel};
    use crate::pool::Turn;

    #[test]
    fn a_window_holds_its_runs_and_nothing_else() {
        let memory = [0f32; 100];
        let at = |i: usize| memory.as_ptr().wrapping_add(i) as usize;
        // Elements 10..13, 20..23 and 30..33, and those 40 further on.
        let window = Window::run(memory.as_ptr().wrapping_add(10), 3).times(3, 10).times(2, 40);
        let mut held = Vec::new();
        for i in 0..100 {
            held.extend(window.holds(at(i), 4).then_some(i));
            let three = [10, 20, 30, 50, 60, 70].contains(&i);
            assert_eq!(window.holds(at(i), 12), three, "{i}");
            assert!(!window.holds(at(i), 16), "{i}");
        }
        let runs = [10, 20, 30, 50, 60, 70].into_iter().flat_map(|i| i..i + 3);
        assert_eq!(held, runs.collect::<Vec<_>>());
        let joined = Window::run(memory.as_ptr(), 5).times(4, 5).times(2, 50);
        assert!(joined.holds(at(0), 80) && joined.holds(at(55), 60) && !joined.holds(at(20), 4));
        assert!(!Window::run(memory.as_ptr(), 5).times(0, 9).holds(at(0), 4));
    }

    #[test]
    fn too_many_windows_are_held_by_the_last() {
        let memory = [0f32; 100];
        let mut windows = Windows::default();
        for i in 0..20 {
            windows.add(Window::run(memory.as_ptr().wrapping_add(5 * i), 2));
        }
        let holds = |i: usize| windows.hold(memory.as_ptr().wrapping_add(i) as usize, 8);
        assert!((0..20).all(|i| holds(5 * i)));
        assert!(!holds(3) && !holds(99));
    }

    struct Wild;

    impl CpuKernel for Wild {
        fn scratch(&self) -> crate::cpu_kernel::ScratchNeed {
            crate::cpu_kernel::ScratchNeed::default()
        }
        fn tasks(&self, job: usize) -> Option<usize> {
            (job == 0).then_some(1)
        }
        fn windows(&self, _: usize, context: &Context<'_>, _: Turn, windows: &mut Windows) {
            windows.add(Window::run(context.bases[0].cast::<f32>(), 4));
        }
        unsafe fn task(&self, _: usize, context: &Context<'_>, _: Turn) {
            struct Store(*mut f32);
            impl crate::simd::Task for Store {
                type Output = ();
                #[inline(always)]
                unsafe fn run<S: crate::simd::Simd>(self) {
                    let mut own = [0.0f32; crate::simd::MAX_LANES];
                    // SAFETY: the test's memory has these elements.
                    unsafe {
                        S::store(own.as_mut_ptr(), S::splat(1.0));
                        S::store_lanes(self.0, S::load(own.as_ptr()), 0, 2);
                    }
                }
            }
            let at = context.bases[0].cast::<f32>().wrapping_add(context.key.seed as usize);
            // SAFETY: the level is available.
            unsafe { context.level.run(Store(at)) };
        }
    }

    /// A kernel that writes beyond its window is stopped, on each level.
    #[test]
    #[cfg(any(debug_assertions, feature = "checked-stores"))]
    fn a_store_beyond_the_window_panics() {
        for level in crate::simd::Level::available() {
            for (seed, fits) in [(0, true), (2, true), (3, false), (4, false), (20, false)] {
                let mut memory = vec![0f32; 64];
                let bases = [memory.as_mut_ptr().cast::<u8>()];
                let key = crate::simd::RandomKey { seed, step: 0 };
                let (scratch, need) = (std::ptr::null_mut(), Default::default());
                let context = Context { bases: &bases, key, level, scratch, need };
                let mut pool = crate::pool::Pool::new(1).unwrap();
                // SAFETY: the memory is larger than what is written.
                let done = unsafe { crate::run::run(&Wild, &context, &mut pool) };
                assert_eq!(done.is_ok(), fits, "{level}: at element {seed}");
            }
        }
    }
}

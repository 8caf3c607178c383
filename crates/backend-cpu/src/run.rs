//! Running a kernel, task by task.

use crate::cpu_kernel::{Context, CpuKernel};
use crate::pool::{Pool, TaskPanicked, Turn};
use crate::stores::{CHECKED, Window, Windows, within};

/// Runs a kernel.
///
/// # Safety
/// `context` has the addresses of the plan that the kernel was lowered from, and at least the
/// scratch memory that it asked for; nothing else uses them meanwhile.
pub(crate) unsafe fn run(
    kernel: &dyn CpuKernel,
    context: &Context<'_>,
    pool: &mut Pool,
) -> Result<(), TaskPanicked> {
    #[cfg(any(test, feature = "faults"))]
    if crate::faults::LET_PANIC.take() {
        return pool.run(1, &|_| panic!("a test asked for it"));
    }
    let mut job = 0;
    while let Some(tasks) = kernel.tasks(job) {
        // SAFETY: the caller vouches for the context; jobs and tasks are taken in turns.
        pool.run(tasks, &|turn| unsafe { run_checked(kernel, job, context, turn) })?;
        job += 1;
    }
    Ok(())
}

/// Runs a task of a kernel, whose stores are checked if they are at all.
///
/// # Safety
/// As for [`CpuKernel::task`].
pub(crate) unsafe fn run_checked(
    kernel: &dyn CpuKernel,
    job: usize,
    context: &Context<'_>,
    turn: Turn,
) {
    let mut windows = Windows::default();
    if CHECKED {
        windows.add(Window::run(context.worker_scratch(turn.worker), context.need.worker));
        kernel.windows(job, context, turn, &mut windows);
    }
    // SAFETY: the caller vouches for the context and the task.
    within(&windows, || unsafe { kernel.task(job, context, turn) });
}

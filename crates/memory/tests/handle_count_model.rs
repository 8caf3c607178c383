//! The one lock-free part, explored by loom: every interleaving of two or three handles, under the
//! memory model. The file below is the library's own, compiled with loom's atomics.

mod sync {
    pub(crate) use loom::sync::atomic;
}

#[path = "../src/handle_count.rs"]
mod handle_count;

use handle_count::HandleCount;
use loom::cell::UnsafeCell;
use loom::sync::Arc;
use loom::thread;

/// Something that is recycled. loom fails the test if a write to `content` is not ordered after
/// each read by another thread.
struct Shared {
    handles: HandleCount,
    content: UnsafeCell<u32>,
}

// SAFETY: access to `content` is what the model checks.
unsafe impl Sync for Shared {}

impl Shared {
    fn with_handle() -> Arc<Shared> {
        let shared = Shared { handles: HandleCount::default(), content: UnsafeCell::new(0) };
        shared.handles.begin();
        Arc::new(shared)
    }

    fn read(&self) -> u32 {
        // SAFETY: the caller holds a handle, so that nothing is recycled.
        self.content.with(|content| unsafe { *content })
    }

    fn write(&self) {
        // SAFETY: the caller holds the only handle or none is left.
        self.content.with_mut(|content| unsafe { *content += 1 });
    }

    /// What dropping a handle does. Recycling writes, and starts the next life.
    fn drop_handle(&self) {
        if self.handles.release() {
            self.write();
            self.handles.begin();
        }
    }
}

#[test]
fn the_last_of_several_handles_recycles_once_after_all_reads() {
    loom::model(|| {
        let shared = Shared::with_handle();
        let threads: Vec<_> = (0..2)
            .map(|_| {
                shared.handles.retain();
                let shared = Arc::clone(&shared);
                thread::spawn(move || {
                    assert_eq!(shared.read(), 0);
                    shared.drop_handle();
                })
            })
            .collect();
        assert_eq!(shared.read(), 0);
        shared.drop_handle();
        threads.into_iter().for_each(|thread| thread.join().unwrap());
        assert_eq!((shared.read(), shared.handles.get()), (1, 1));
    });
}

#[test]
fn a_count_of_one_means_that_others_have_finished() {
    loom::model(|| {
        let shared = Shared::with_handle();
        shared.handles.retain();
        let reader = {
            let shared = Arc::clone(&shared);
            thread::spawn(move || {
                shared.read();
                assert!(!shared.handles.release());
            })
        };
        if shared.handles.get() == 1 {
            shared.write();
        }
        reader.join().unwrap();
    });
}

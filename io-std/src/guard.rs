//! The claim "no allocation after the start", executable.
//!
//! With the feature `allocation-guard`, [`GuardedAllocator`] may be made the global allocator of a program. It counts
//! what is allocated while the client's code runs, and after [`deny`] panics on it. Connecting is exempt and counted by
//! itself, and so is the end of a connection: a socket and a name look-up belong to the runtime and to the C library,
//! which allocate.
//!
//! ```
//! # #[cfg(feature = "allocation-guard")] {
//! #[global_allocator]
//! static ALLOCATOR: demitasse_io_std::guard::GuardedAllocator =
//!     demitasse_io_std::guard::GuardedAllocator::new();
//! assert_eq!(demitasse_io_std::guard::counts().client, 0);
//! # }
//! ```

#[cfg(feature = "allocation-guard")]
pub use on::*;

#[cfg(not(feature = "allocation-guard"))]
pub(crate) use off::*;

#[cfg(not(feature = "allocation-guard"))]
mod off {
    #[inline(always)]
    pub(crate) fn client<R>(f: impl FnOnce() -> R) -> R {
        f()
    }

    pub(crate) fn guarded<F: Future>(future: F) -> F {
        future
    }

    pub(crate) fn exempt<F: Future>(future: F) -> F {
        future
    }

    pub(crate) fn drop_exempt<T>(value: T) {
        drop(value);
    }
}

#[cfg(feature = "allocation-guard")]
mod on {
    #![allow(unsafe_code, reason = "a global allocator cannot be had without")]

    use std::alloc::{GlobalAlloc, Layout, System};
    use std::cell::Cell;
    use std::pin::Pin;
    use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::Relaxed};
    use std::task::{Context, Poll};

    /// Whose code runs on this thread.
    #[derive(Clone, Copy, PartialEq)]
    enum Whose {
        User,
        Client,
        Connecting,
    }

    thread_local! {
        // Const-initialised and without a destructor: reading it never allocates, at any time of a thread's life.
        static WHOSE: Cell<Whose> = const { Cell::new(Whose::User) };
    }

    static ALL: AtomicU64 = AtomicU64::new(0);
    static CLIENT: AtomicU64 = AtomicU64::new(0);
    static CONNECTING: AtomicU64 = AtomicU64::new(0);
    static DENY: AtomicBool = AtomicBool::new(false);

    /// Allocations since the program's start.
    #[derive(Clone, Copy, PartialEq, Eq, Debug)]
    pub struct Counts {
        /// By anybody.
        pub all: u64,
        /// By the client: in `send` and its kin, and in its tasks.
        pub client: u64,
        /// While it connected, or let go of a connection.
        pub connecting: u64,
    }

    /// What has been counted so far.
    pub fn counts() -> Counts {
        Counts { all: ALL.load(Relaxed), client: CLIENT.load(Relaxed), connecting: CONNECTING.load(Relaxed) }
    }

    /// From now on an allocation by the client panics; with false it is only counted again.
    pub fn deny(deny: bool) {
        DENY.store(deny, Relaxed);
    }

    /// The system's allocator, with a count.
    #[derive(Debug, Default)]
    pub struct GuardedAllocator(());

    impl GuardedAllocator {
        /// For a `#[global_allocator]` static.
        pub const fn new() -> Self {
            GuardedAllocator(())
        }
    }

    fn count() {
        ALL.fetch_add(1, Relaxed);
        match WHOSE.get() {
            Whose::User => {}
            Whose::Connecting => {
                CONNECTING.fetch_add(1, Relaxed);
            }
            Whose::Client => {
                CLIENT.fetch_add(1, Relaxed);
                if DENY.load(Relaxed) {
                    // The panic's own message may allocate: that is the user's business.
                    WHOSE.set(Whose::User);
                    panic!("demitasse allocated after its start, which it promises not to");
                }
            }
        }
    }

    // SAFETY: every call is passed on to `System` as it is, which upholds the contract of `GlobalAlloc`; `count` neither
    // allocates nor touches the layout or the pointer. A panic in `count` unwinds out of `alloc` before anything was
    // allocated; it happens only after the user asked for it by `deny(true)`.
    unsafe impl GlobalAlloc for GuardedAllocator {
        unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
            count();
            // SAFETY: the caller's promises are passed on unchanged.
            unsafe { System.alloc(layout) }
        }

        unsafe fn alloc_zeroed(&self, layout: Layout) -> *mut u8 {
            count();
            // SAFETY: as above.
            unsafe { System.alloc_zeroed(layout) }
        }

        unsafe fn realloc(&self, pointer: *mut u8, layout: Layout, size: usize) -> *mut u8 {
            count();
            // SAFETY: as above.
            unsafe { System.realloc(pointer, layout, size) }
        }

        unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
            // SAFETY: as above.
            unsafe { System.dealloc(pointer, layout) }
        }
    }

    struct Restore(Whose);

    impl Drop for Restore {
        fn drop(&mut self) {
            WHOSE.set(self.0);
        }
    }

    fn run_as<R>(whose: Whose, f: impl FnOnce() -> R) -> R {
        let _restore = Restore(WHOSE.replace(whose));
        f()
    }

    /// Runs `f` as the client's code.
    pub(crate) fn client<R>(f: impl FnOnce() -> R) -> R {
        run_as(Whose::Client, f)
    }

    /// A future whose polls are somebody's.
    struct As<F>(Whose, F);

    impl<F: Future> Future for As<F> {
        type Output = F::Output;

        fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<F::Output> {
            // SAFETY: structural pinning of the second field: it is never moved out, `As` has no `Drop` and is `Unpin`
            // only if that field is.
            let (whose, future) = unsafe {
                let this = self.get_unchecked_mut();
                (this.0, Pin::new_unchecked(&mut this.1))
            };
            run_as(whose, || future.poll(cx))
        }
    }

    /// A future of the client.
    pub(crate) fn guarded<F: Future>(future: F) -> impl Future<Output = F::Output> {
        As(Whose::Client, future)
    }

    /// A future of the client that may allocate.
    pub(crate) fn exempt<F: Future>(future: F) -> impl Future<Output = F::Output> {
        As(Whose::Connecting, future)
    }

    /// Drops what may allocate when it is dropped.
    pub(crate) fn drop_exempt<T>(value: T) {
        run_as(Whose::Connecting, || drop(value));
    }
}

//! The allocator, asked for what is in use: what a thread has taken and not given back.
use std::{
    alloc::{GlobalAlloc, Layout, System},
    cell::Cell,
};

thread_local! {
    static LIVE: Cell<i64> = const { Cell::new(0) };
}

/// Bytes that this thread holds: as they were asked for, without what the allocator itself needs for them.
pub fn live() -> i64 {
    LIVE.get()
}

/// The system's allocator, which counts.
pub struct Counting;

fn count(bytes: usize, sign: i64) {
    // Not there any more while a thread ends.
    let _ = LIVE.try_with(|live| live.set(live.get() + sign * bytes as i64));
}

// SAFETY: all is the system allocator's work; counting touches no memory but a thread-local number, which is no allocation.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        count(layout.size(), 1);
        // SAFETY: the caller's promise.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        count(layout.size(), -1);
        // SAFETY: the caller's promise.
        unsafe { System.dealloc(pointer, layout) }
    }

    unsafe fn realloc(&self, pointer: *mut u8, layout: Layout, new_size: usize) -> *mut u8 {
        count(layout.size(), -1);
        count(new_size, 1);
        // SAFETY: the caller's promise.
        unsafe { System.realloc(pointer, layout, new_size) }
    }
}

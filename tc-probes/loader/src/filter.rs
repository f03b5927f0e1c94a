//! The memory of the map `FLOW_FILTER`: which flows the programs look for in `FLOWS`.
use std::{
    os::fd::AsFd as _,
    ptr::{self, NonNull},
    sync::atomic::{AtomicU64, Ordering},
};

use aya::maps::MapData;
use rustix::mm::{MapFlags, ProtFlags, mmap, munmap};
use weft_abi::{FILTER_WORDS, FlowKey};

use crate::error::{IoContext as _, Result};

const BYTES: usize = FILTER_WORDS * size_of::<u64>();

/// All bits, and how many flows each is set for.
pub(crate) struct Filter {
    base: NonNull<u64>,
    flows: Vec<u32>,
}

// SAFETY: the mapping belongs to no thread, and is accessed by atomic instructions alone.
unsafe impl Send for Filter {}

impl Filter {
    /// Maps the map's memory.
    pub(crate) fn map(map: &MapData) -> Result<Self> {
        let protection = ProtFlags::READ | ProtFlags::WRITE;
        // SAFETY: a new mapping at an address of the kernel's choice.
        let base = unsafe { mmap(ptr::null_mut(), BYTES, protection, MapFlags::SHARED, map.fd().as_fd(), 0) }
            .map_err(std::io::Error::from)
            .at("the map FLOW_FILTER")?;
        let base = NonNull::new(base.cast()).ok_or(std::io::Error::from(std::io::ErrorKind::OutOfMemory));
        Ok(Self { base: base.at("the map FLOW_FILTER")?, flows: vec![0; FILTER_WORDS * 64] })
    }

    /// No flow has an entry.
    pub(crate) fn clear(&mut self) {
        self.flows.fill(0);
        (0..FILTER_WORDS).for_each(|word| self.word(word).store(0, Ordering::SeqCst));
    }

    fn word(&self, number: usize) -> &AtomicU64 {
        // SAFETY: within the mapping and aligned; a number that is not is the last one's.
        unsafe { AtomicU64::from_ptr(self.base.as_ptr().add(number.min(FILTER_WORDS - 1))) }
    }

    /// The flow is about to have an entry.
    pub(crate) fn add(&mut self, flow: &FlowKey) {
        let bit = flow.tuple.filter_bit() as usize;
        self.flows[bit] += 1;
        self.word(bit / 64).fetch_or(1 << (bit % 64), Ordering::SeqCst);
    }

    /// One that was added has none any more.
    pub(crate) fn remove(&mut self, flow: &FlowKey) {
        let bit = flow.tuple.filter_bit() as usize;
        self.flows[bit] = self.flows[bit].saturating_sub(1);
        if self.flows[bit] == 0 {
            self.word(bit / 64).fetch_and(!(1 << (bit % 64)), Ordering::SeqCst);
        }
    }
}

impl Drop for Filter {
    fn drop(&mut self) {
        // SAFETY: the mapping that `map` made, to which nothing refers any more. Fails only for a wrong address.
        let _ = unsafe { munmap(self.base.as_ptr().cast(), BYTES) };
    }
}

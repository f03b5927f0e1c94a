//! The memory of the map `FLOW_FILTER`: which flows the programs look for in `FLOWS`.
use std::sync::atomic::{AtomicU64, Ordering};

use aya::maps::MapData;
use weft_abi::{FILTER_WORDS, FlowKey};

use crate::{error::Result, mapped::Mapped};

/// All bits, and how many flows each is set for.
pub(crate) struct Filter {
    words: Mapped<u64>,
    flows: Vec<u32>,
}

impl Filter {
    /// Maps the map's memory.
    pub(crate) fn map(map: &MapData) -> Result<Self> {
        let words = Mapped::map(map, "FLOW_FILTER", FILTER_WORDS)?;
        Ok(Self { words, flows: vec![0; FILTER_WORDS * 64] })
    }

    /// No flow has an entry.
    pub(crate) fn clear(&mut self) {
        self.flows.fill(0);
        (0..FILTER_WORDS).for_each(|word| self.word(word).store(0, Ordering::SeqCst));
    }

    fn word(&self, number: usize) -> &AtomicU64 {
        // SAFETY: within the mapping and aligned; user space accesses it by atomic instructions alone, and programs only read.
        unsafe { AtomicU64::from_ptr(self.words.element(number)) }
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

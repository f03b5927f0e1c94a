//! Connections with a gap, by when it is given up.
use std::collections::VecDeque;

use super::TableSize;
use crate::Ktime;

/// A connection's place in the table, and the serial number that it must have: others may have been there since.
pub(super) type Which = (u32, u64);

/// First the gap that was found first. Each connection is in it once; one that is over stays until its time. At the limit
/// the first gap is given up early.
#[derive(Default)]
pub(super) struct Gaps {
    queue: VecDeque<(Ktime, Which)>,
    evicted: u64,
}

impl Gaps {
    /// A connection has a gap. Gives the one that gives way to it.
    pub(super) fn push(&mut self, deadline: Ktime, which: Which, limit: usize) -> Option<Which> {
        let full = self.queue.len() >= limit.max(1);
        let first = if full { self.queue.pop_front() } else { None };
        self.evicted += u64::from(full);
        self.queue.push_back((deadline, which));
        first.map(|(_, which)| which)
    }

    /// The next one whose time is over.
    pub(super) fn pop(&mut self, now: Ktime) -> Option<Which> {
        self.queue.pop_front_if(|(deadline, _)| *deadline <= now).map(|(_, which)| which)
    }

    pub(super) fn next_deadline(&self) -> Option<Ktime> {
        self.queue.front().map(|(deadline, _)| *deadline)
    }

    pub(super) fn size(&self, limit: usize) -> TableSize {
        TableSize {
            name: "gap_queue",
            entries: self.queue.len() as u64,
            limit: limit as u64,
            evicted: self.evicted,
        }
    }
}

//! Clients' exchanges whose response has not been read when everything else is known of them: a client may do something else
//! first. They wait for longer than others do, aside, so that nothing waits for them.
use std::collections::VecDeque;

use hashbrown::HashMap;

use super::{
    Downstream, TableSize,
    direction::Direction,
    join::{IoRange, Waiting},
};
use crate::Ktime;

/// By their numbers in the queue that they came from.
#[derive(Default)]
pub(super) struct Late {
    waiting: HashMap<u64, Waiting>,
    /// In order of coming, with until when; some are gone already.
    order: VecDeque<(Ktime, u64)>,
    evicted: u64,
    pub(super) unjoined: u64,
}

impl Late {
    /// One comes. At the limit the one that came first goes on.
    pub(super) fn take(&mut self, number: u64, waiting: Waiting, limit: usize, down: &mut impl Downstream) {
        while self.order.len() >= limit.max(1) {
            self.evicted += u64::from(self.pop(down));
        }
        self.order.push_back((waiting.read_deadline, number));
        self.waiting.insert(number, waiting);
    }

    pub(super) fn has(&self, number: u64) -> bool {
        self.waiting.contains_key(&number)
    }

    /// A call returned; says whether that one waits on.
    pub(super) fn offer(
        &mut self,
        number: u64,
        direction: Direction,
        range: &IoRange,
        down: &mut impl Downstream,
    ) -> bool {
        let Some(waiting) = self.waiting.get_mut(&number) else { return false };
        if !waiting.offer(direction, range) {
            return true;
        }
        if let Some(waiting) = self.waiting.remove(&number) {
            down.exchange(waiting.joined);
        }
        self.trim();
        false
    }

    /// Lets those go that waited for long enough.
    pub(super) fn expire(&mut self, now: Ktime, down: &mut impl Downstream) {
        while self.next_deadline().is_some_and(|deadline| deadline <= now) {
            self.pop(down);
        }
    }

    /// Lets all go.
    pub(super) fn finish(&mut self, down: &mut impl Downstream) {
        while !self.order.is_empty() {
            self.pop(down);
        }
    }

    pub(super) fn next_deadline(&self) -> Option<Ktime> {
        self.order.front().map(|(deadline, _)| *deadline)
    }

    pub(super) fn size(&self, limit: usize) -> TableSize {
        let (entries, limit) = (self.waiting.len() as u64, limit as u64);
        TableSize { name: "late_reads", entries, limit, evicted: self.evicted }
    }

    /// Lets the oldest go, if it has not gone; says whether it had not.
    fn pop(&mut self, down: &mut impl Downstream) -> bool {
        let Some((_, number)) = self.order.pop_front() else { return false };
        let Some(waiting) = self.waiting.remove(&number) else { return false };
        self.unjoined += 1;
        down.exchange(waiting.joined);
        true
    }

    /// Forgets those at the front that are gone.
    fn trim(&mut self) {
        while self.order.front().is_some_and(|(_, number)| !self.has(*number)) {
            self.order.pop_front();
        }
    }
}

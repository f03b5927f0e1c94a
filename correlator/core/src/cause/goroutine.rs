//! For whom goroutines work.
use std::collections::VecDeque;

use hashbrown::HashMap;

use super::lately::Lately;
use crate::{
    ExchangeId, Ktime,
    wire::{Moved, TableSize},
};

/// Goroutines that are known; the one that came first gives way.
const LIMIT: usize = 131_072;

/// A goroutine of a process.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) struct Worker {
    pub(super) pid: u32,
    goid: u64,
}

impl Worker {
    /// Nothing for the id 0, which is no goroutine's.
    pub(super) fn goroutine(pid: u32, goid: u64) -> Option<Self> {
        (goid != 0).then_some(Self { pid, goid })
    }

    /// Who moved bytes.
    pub(super) fn of(moved: &Moved) -> Option<Self> {
        Self::goroutine(moved.pid, moved.goid)
    }

    /// Who started that one.
    pub(super) fn parent_of(moved: &Moved) -> Option<Self> {
        Self::goroutine(moved.pid, moved.parent_goid)
    }
}

/// What one of them does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Work {
    /// Nothing that is known.
    Unknown,
    /// It reads one request after the other from this socket, and handles each.
    Connection(u64),
    /// It reads the requests of this socket, which others handle.
    Streams(u64),
    /// It handles this request, or a part of it.
    Request(ExchangeId),
    /// A goroutine that the handler of this request started has started it. So are net/http's connections, and what those write is of
    /// whoever is given one first: it tells for whom it calls, and not whose what it writes is.
    Descends(ExchangeId),
    /// It works for one request after the other, and only they can tell.
    Many,
}

/// What is known of one.
pub(super) struct Known {
    /// When it was first seen.
    pub(super) since: Ktime,
    pub(super) work: Work,
    /// When it was able to run and did not, at last.
    waits: Lately,
}

/// All of them.
#[derive(Default)]
pub(super) struct Workers {
    known: HashMap<Worker, Known>,
    order: VecDeque<Worker>,
    evicted: u64,
}

impl Workers {
    /// It was seen: known from now on.
    pub(super) fn see(&mut self, worker: Worker, at: Ktime) -> &mut Known {
        if !self.known.contains_key(&worker) {
            self.make_room();
            self.order.push_back(worker);
        }
        let new = || Known { since: at, work: Work::Unknown, waits: Lately::default() };
        self.known.entry(worker).or_insert_with(new)
    }

    fn make_room(&mut self) {
        while self.order.len() >= LIMIT {
            let Some(oldest) = self.order.pop_front() else { return };
            self.evicted += u64::from(self.known.remove(&oldest).is_some());
        }
    }

    pub(super) fn set(&mut self, worker: Worker, work: Work, at: Ktime) {
        self.see(worker, at).work = work;
    }

    pub(super) fn work(&self, worker: Worker) -> Work {
        self.known.get(&worker).map_or(Work::Unknown, |known| known.work)
    }

    /// Whether it was not seen before this time.
    pub(super) fn is_new(&self, worker: Worker, since: Ktime) -> bool {
        self.known.get(&worker).is_none_or(|known| known.since >= since)
    }

    /// It is over; its id is not used again.
    pub(super) fn end(&mut self, worker: Worker) {
        self.known.remove(&worker);
    }

    /// It was able to run, and ran only now.
    pub(super) fn waited(&mut self, worker: Worker, from: Ktime, to: Ktime) {
        self.see(worker, to).waits.push(from, to);
    }

    /// When it waited behind this time, the last time first.
    pub(super) fn waits(&self, worker: Worker, since: Ktime) -> impl Iterator<Item = (Ktime, Ktime)> {
        self.known.get(&worker).into_iter().flat_map(move |known| known.waits.since(since))
    }

    pub(super) fn size(&self) -> TableSize {
        TableSize {
            name: "goroutines",
            entries: self.known.len() as u64,
            limit: LIMIT as u64,
            evicted: self.evicted,
        }
    }
}

//! The contexts of requests, by where they are in their process's memory.
use std::collections::VecDeque;

use hashbrown::HashMap;

use crate::{ExchangeId, wire::TableSize};

/// Contexts that are known; the one that came first gives way.
const LIMIT: usize = 65_536;

/// A request's context. Its parent is the connection's, and only requests' contexts are children of that. So where the memory
/// of a context that is gone is used again, its parent mostly tells; but the memory of both may be, one behind the other, as
/// a request's context and a child of it.
#[derive(Clone, Copy)]
struct Known {
    parent: u64,
    request: ExchangeId,
    /// Which registration it was.
    serial: u64,
}

/// All of them.
#[derive(Default)]
pub(super) struct Contexts {
    known: HashMap<(u32, u64), Known>,
    order: VecDeque<(u32, u64)>,
    serial: u64,
    evicted: u64,
}

impl Contexts {
    /// A request is served with this context.
    pub(super) fn register(&mut self, pid: u32, [context, parent]: [u64; 2], request: ExchangeId) {
        if context == 0 || parent == 0 {
            return;
        }
        let place = (pid, context);
        self.serial += 1;
        if self.known.insert(place, Known { parent, request, serial: self.serial }).is_none() {
            self.order.push_back(place);
        }
        while self.order.len() > LIMIT {
            let Some(oldest) = self.order.pop_front() else { return };
            self.evicted += u64::from(self.known.remove(&oldest).is_some());
        }
    }

    /// The context is of a request that nobody knows.
    pub(super) fn forget(&mut self, pid: u32, [context, _]: [u64; 2]) {
        self.known.remove(&(pid, context));
    }

    /// None of a process's contexts is known any more.
    pub(super) fn forget_all(&mut self, pid: u32) {
        self.known.retain(|(of, _), _| *of != pid);
        self.order.retain(|(of, _)| *of != pid);
    }

    /// The request whose context is in a chain. It is one at most: of several the others are gone, and the last one that was
    /// served is at their place.
    pub(super) fn find(&self, pid: u32, chain: impl Iterator<Item = u64> + Clone) -> Option<ExchangeId> {
        let parents = chain.clone().skip(1);
        let known = chain.zip(parents).filter_map(|(context, parent)| {
            self.known.get(&(pid, context)).filter(|known| known.parent == parent)
        });
        known.max_by_key(|known| known.serial).map(|known| known.request)
    }

    pub(super) fn size(&self) -> TableSize {
        TableSize {
            name: "contexts",
            entries: self.known.len() as u64,
            limit: LIMIT as u64,
            evicted: self.evicted,
        }
    }
}

//! The contexts of requests, by where they are in their process's memory.
use std::collections::VecDeque;

use hashbrown::HashMap;

use crate::{ExchangeId, wire::TableSize};

/// Contexts that are known; the one that came first gives way.
const LIMIT: usize = 65_536;

/// A request's context. Its parent is the connection's, and only requests' contexts are children of that: so both
/// addresses together are of no other object, even where the memory of a context that is gone is used again.
#[derive(Clone, Copy)]
struct Known {
    parent: u64,
    request: ExchangeId,
}

/// All of them.
#[derive(Default)]
pub(super) struct Contexts {
    known: HashMap<(u32, u64), Known>,
    order: VecDeque<(u32, u64)>,
    evicted: u64,
}

impl Contexts {
    pub(super) fn register(&mut self, pid: u32, [context, parent]: [u64; 2], request: ExchangeId) {
        if context == 0 || parent == 0 {
            return;
        }
        let place = (pid, context);
        if self.known.insert(place, Known { parent, request }).is_none() {
            self.order.push_back(place);
        }
        while self.order.len() > LIMIT {
            let Some(oldest) = self.order.pop_front() else { return };
            self.evicted += u64::from(self.known.remove(&oldest).is_some());
        }
    }

    /// The request whose context is in a chain, innermost first.
    pub(super) fn find(&self, pid: u32, chain: impl Iterator<Item = u64> + Clone) -> Option<ExchangeId> {
        let parents = chain.clone().skip(1);
        chain.zip(parents).find_map(|(context, parent)| {
            let known = self.known.get(&(pid, context))?;
            (known.parent == parent).then_some(known.request)
        })
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

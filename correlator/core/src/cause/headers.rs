//! Requests by the trace or the request id that they carry.
use std::collections::VecDeque;

use hashbrown::HashMap;

use crate::{ExchangeId, Propagation, wire::TableSize};

/// Names that are known; the one that came first gives way.
const LIMIT: usize = 65_536;
/// Requests of one name; the oldest gives way.
const MAX_SAME: usize = 16;

/// What two messages of one pod have in common when one caused the other.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
enum Name {
    Trace(u64, u128),
    RequestId(u64, u64),
}

/// All of them.
#[derive(Default)]
pub(super) struct Headers {
    named: HashMap<Name, VecDeque<ExchangeId>>,
    order: VecDeque<Name>,
    evicted: u64,
}

impl Headers {
    /// A pod got a request.
    pub(super) fn add(&mut self, netns: u64, said: &Propagation, request: ExchangeId) {
        for name in names(netns, said) {
            let same = self.named.entry(name).or_default();
            if same.is_empty() {
                self.order.push_back(name);
            }
            if same.len() >= MAX_SAME {
                same.pop_front();
            }
            same.push_back(request);
        }
        while self.order.len() > LIMIT {
            let Some(oldest) = self.order.pop_front() else { return };
            self.evicted += u64::from(self.named.remove(&oldest).is_some());
        }
    }

    /// Those that the pod got with a name that is on what it sends.
    pub(super) fn find(&self, netns: u64, said: &Propagation) -> impl Iterator<Item = ExchangeId> {
        let found = names(netns, said).filter_map(|name| self.named.get(&name));
        found.flat_map(|same| same.iter().copied())
    }

    pub(super) fn size(&self) -> TableSize {
        TableSize {
            name: "trace_names",
            entries: self.named.len() as u64,
            limit: LIMIT as u64,
            evicted: self.evicted,
        }
    }
}

fn names(netns: u64, said: &Propagation) -> impl Iterator<Item = Name> + use<> {
    let trace = said.trace.map(|trace| Name::Trace(netns, trace.0));
    let request_id = said.request_id.map(|id| Name::RequestId(netns, id));
    trace.into_iter().chain(request_id)
}

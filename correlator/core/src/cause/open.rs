//! How many requests each pod has open, and which one it is where it is one.
use hashbrown::{HashMap, hash_map::Entry};

use super::request::Request;
use crate::{ExchangeId, Side, wire::RequestKey};

/// The servers' requests that are open, by the pods' netns cookies. As many pods as requests, which are bounded.
#[derive(Default)]
pub(super) struct Open {
    pods: HashMap<u64, Count>,
}

/// How many there are, and the exclusive or of their ids: the id itself where it is one.
#[derive(Default)]
struct Count {
    requests: u32,
    ids: u64,
}

impl Open {
    pub(super) fn begin(&mut self, key: RequestKey, netns: u64) {
        if key.side == Side::Server {
            let count = self.pods.entry(netns).or_default();
            count.requests += 1;
            count.ids ^= key.id.0;
        }
    }

    /// It is over, or not remembered any more: the first time counts.
    pub(super) fn forget(&mut self, key: RequestKey, request: &Request) {
        if key.side != Side::Server || request.ended.is_some() {
            return;
        }
        if let Entry::Occupied(mut pod) = self.pods.entry(request.netns) {
            let count = pod.get_mut();
            count.requests -= 1;
            count.ids ^= key.id.0;
            if count.requests == 0 {
                pod.remove();
            }
        }
    }

    /// The one that the pod has, if it has one.
    pub(super) fn only(&self, netns: u64) -> Option<ExchangeId> {
        self.pods.get(&netns).filter(|count| count.requests == 1).map(|count| ExchangeId(count.ids))
    }
}

use std::{
    collections::VecDeque,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use weft_core::AttributedExchange;

/// The bytes that exchanges may take, for each that may be kept: paths and hosts come from strangers, who send long ones.
const BYTES_EACH: usize = 1024;

/// The exchanges that left the pipeline last, in that order. The oldest give way; that is what `since` is for.
pub struct ExchangeStore {
    recent: Mutex<Recent>,
}

struct Recent {
    capacity: usize,
    exchanges: VecDeque<Arc<AttributedExchange>>,
    bytes: usize,
}

/// Which exchanges somebody wants.
#[derive(Clone, Debug, Default)]
pub struct ExchangeQuery {
    /// Whose last byte passed at or after this time, ns since the epoch.
    pub since: u64,
    /// At most so many: the newest ones.
    pub limit: usize,
    /// Of this pod, `namespace/name`.
    pub pod: Option<String>,
    /// With this id.
    pub exchange_id: Option<u64>,
}

impl ExchangeStore {
    /// For so many exchanges.
    pub fn new(capacity: usize) -> Self {
        // All at once: growing would end at twice the room.
        let recent = Recent { capacity, exchanges: VecDeque::with_capacity(capacity), bytes: 0 };
        Self { recent: Mutex::new(recent) }
    }

    /// Keeps so many from now on: of more that are there the newest.
    pub fn set_capacity(&self, capacity: usize) {
        let mut recent = self.lock();
        if recent.capacity == capacity {
            return;
        }
        recent.capacity = capacity;
        recent.make_room(0);
        // Exactly as large as a new one, whichever it was before.
        recent.exchanges.shrink_to(capacity);
        let more = capacity - recent.exchanges.len();
        recent.exchanges.reserve_exact(more);
    }

    /// Adds what left the pipeline, and empties the vector.
    pub fn extend(&self, exchanges: &mut Vec<Arc<AttributedExchange>>) {
        if exchanges.is_empty() {
            return;
        }
        let mut recent = self.lock();
        for exchange in exchanges.drain(..) {
            recent.push(exchange);
        }
    }

    /// The newest that match, oldest of them first.
    pub fn query(&self, query: &ExchangeQuery) -> Vec<Arc<AttributedExchange>> {
        let recent = self.lock();
        let matching = recent.exchanges.iter().rev().filter(|exchange| query.matches(exchange));
        let mut found: Vec<_> = matching.take(query.limit).map(Arc::clone).collect();
        found.reverse();
        found
    }

    fn lock(&self) -> MutexGuard<'_, Recent> {
        self.recent.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Recent {
    fn push(&mut self, exchange: Arc<AttributedExchange>) {
        self.bytes += bytes(&exchange);
        self.make_room(1);
        self.exchanges.push_back(exchange);
    }

    /// For so many more.
    fn make_room(&mut self, more: usize) {
        while self.exchanges.len() + more > self.capacity || self.bytes > self.capacity * BYTES_EACH {
            let Some(oldest) = self.exchanges.pop_front() else { break };
            self.bytes = self.bytes.saturating_sub(bytes(&oldest));
        }
    }
}

/// What an exchange takes, within some tens of bytes.
fn bytes(exchange: &AttributedExchange) -> usize {
    let wire = &exchange.joined.exchange;
    let named = [&wire.authority, &exchange.pod, &exchange.peer_pod, &exchange.peer_network];
    let names: usize = named.into_iter().flatten().map(String::len).sum();
    size_of::<AttributedExchange>() + wire.method.len() + wire.path.len() + names
}

impl ExchangeQuery {
    fn matches(&self, exchange: &AttributedExchange) -> bool {
        ended(exchange) >= self.since
            && self.pod.as_ref().is_none_or(|pod| exchange.pod.as_ref() == Some(pod))
            && self.exchange_id.is_none_or(|id| exchange.joined.exchange.id().0 == id)
    }
}

/// When the last byte passed, ns since the epoch.
fn ended(exchange: &AttributedExchange) -> u64 {
    let wire = &exchange.joined.exchange;
    let last = wire
        .response
        .map_or(wire.request.last_byte, |response| response.last_byte.max(wire.request.last_byte));
    last.0.saturating_add_signed(exchange.clock_offset)
}

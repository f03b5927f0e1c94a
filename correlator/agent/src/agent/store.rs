use std::{
    collections::VecDeque,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use weft_core::AttributedExchange;

/// The bytes that exchanges may take, for each that may be kept: paths and hosts come from strangers, who send long ones.
const BYTES_EACH: usize = 1024;

/// The exchanges that left the pipeline last, in that order. The oldest give way; that is what `since` is for.
pub struct ExchangeStore {
    capacity: usize,
    recent: Mutex<Recent>,
}

struct Recent {
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
        let recent = Recent { exchanges: VecDeque::with_capacity(capacity), bytes: 0 };
        Self { capacity, recent: Mutex::new(recent) }
    }

    /// Adds what left the pipeline, and empties the vector.
    pub fn extend(&self, exchanges: &mut Vec<Arc<AttributedExchange>>) {
        if exchanges.is_empty() {
            return;
        }
        let mut recent = self.lock();
        for exchange in exchanges.drain(..) {
            recent.push(exchange, self.capacity);
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
    fn push(&mut self, exchange: Arc<AttributedExchange>, capacity: usize) {
        self.bytes += bytes(&exchange);
        while self.exchanges.len() >= capacity || self.bytes > capacity * BYTES_EACH {
            let Some(oldest) = self.exchanges.pop_front() else { break };
            self.bytes = self.bytes.saturating_sub(bytes(&oldest));
        }
        self.exchanges.push_back(exchange);
    }
}

/// What an exchange takes, within some tens of bytes.
fn bytes(exchange: &AttributedExchange) -> usize {
    let wire = &exchange.joined.exchange;
    let authority = wire.authority.as_ref().map_or(0, String::len);
    size_of::<AttributedExchange>() + wire.method.len() + wire.path.len() + authority
}

impl ExchangeQuery {
    fn matches(&self, exchange: &AttributedExchange) -> bool {
        exchange.end() >= self.since
            && self.pod.as_ref().is_none_or(|pod| exchange.pod.as_deref() == Some(pod))
            && self.exchange_id.is_none_or(|id| exchange.joined.exchange.id().0 == id)
    }
}

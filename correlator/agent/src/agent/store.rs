use std::{
    collections::VecDeque,
    sync::{Mutex, MutexGuard, PoisonError},
};

use weft_core::AttributedExchange;

/// The most exchanges that are kept for the API. The oldest give way; that is what `since` is for.
const CAPACITY: usize = 16_384;

/// The exchanges that left the pipeline last, in that order.
pub struct ExchangeStore {
    recent: Mutex<VecDeque<AttributedExchange>>,
}

impl Default for ExchangeStore {
    fn default() -> Self {
        // All at once: growing would end at twice the room.
        Self { recent: Mutex::new(VecDeque::with_capacity(CAPACITY)) }
    }
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
    /// Adds what left the pipeline, and empties the vector.
    pub fn extend(&self, exchanges: &mut Vec<AttributedExchange>) {
        if exchanges.is_empty() {
            return;
        }
        let mut recent = self.lock();
        for exchange in exchanges.drain(..) {
            if recent.len() == CAPACITY {
                recent.pop_front();
            }
            recent.push_back(exchange);
        }
    }

    /// The newest that match, oldest of them first.
    pub fn query(&self, query: &ExchangeQuery) -> Vec<AttributedExchange> {
        let recent = self.lock();
        let mut found: Vec<_> = recent
            .iter()
            .rev()
            .filter(|exchange| query.matches(exchange))
            .take(query.limit)
            .cloned()
            .collect();
        found.reverse();
        found
    }

    fn lock(&self) -> MutexGuard<'_, VecDeque<AttributedExchange>> {
        self.recent.lock().unwrap_or_else(PoisonError::into_inner)
    }
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

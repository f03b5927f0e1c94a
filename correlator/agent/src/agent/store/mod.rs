//! The exchanges that left the pipeline last, packed, by their traces: what the API shows, and what there is without a backend.
//! The lock is held for as long as pointers are copied; unpacking is for who asked.
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use weft_core::{Packed, Pod, TableSnapshot, TraceId};

mod batch;
mod blocks;
mod newest;
mod places;
mod recent;
#[cfg(test)]
pub(super) mod tests;

pub use batch::Batch;
pub use recent::Bounds;
use recent::Recent;

/// Traces that are copied at a time.
const BATCH: usize = 64;
/// The most exchanges of one trace that are shown: the newest ones. An application may give all its requests one trace.
pub const MAX_TRACE: usize = 5000;

/// A bounded number of them, in a bounded number of bytes.
pub struct TraceStore {
    recent: Mutex<Recent>,
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

/// What is there of a trace.
#[derive(Clone, Debug)]
pub struct StoredTrace {
    /// Its id.
    pub id: TraceId,
    /// Its exchanges in order of leaving the pipeline, each with whether its span was kept by the sampler.
    pub exchanges: Vec<(Packed, bool)>,
    /// There are older ones, or there were when it began to give way.
    pub cut: bool,
}

impl TraceStore {
    /// With nothing in it.
    pub fn new(bounds: Bounds) -> Self {
        let store = Self { recent: Mutex::new(Recent::default()) };
        store.set_bounds(bounds);
        store
    }

    /// Keeps so much from now on: of more that is there the newest.
    pub fn set_bounds(&self, bounds: Bounds) {
        self.lock().set_bounds(bounds);
    }

    /// Adds what left the pipeline, and empties the batch.
    pub fn extend(&self, batch: &mut Batch) {
        if batch.is_empty() {
            return;
        }
        let (block, exchanges) = batch.take();
        let block = Arc::new(block);
        self.lock().extend(block, exchanges);
    }

    /// The newest that match, oldest of them first.
    pub fn exchanges(&self, query: &ExchangeQuery) -> Vec<Packed> {
        let pod = query.pod.as_deref();
        let packed: Vec<Packed> = {
            let recent = self.lock();
            let limit = if query.exchange_id.is_some() { usize::MAX } else { query.limit };
            recent
                .newest_first()
                .filter(|(place, _)| place.ended >= query.since)
                .filter(|(place, block)| pod.is_none_or(|pod| is_of(block.owner(place.position), pod)))
                .take(limit)
                .map(|(place, block)| Packed::new(Arc::clone(block), place.position))
                .collect()
        };
        let wanted = |packed: &Packed| query.exchange_id.is_none_or(|id| id_of(packed) == Some(id));
        let mut found: Vec<Packed> = packed.into_iter().filter(wanted).take(query.limit).collect();
        found.reverse();
        found
    }

    /// What is there of a trace; nothing where that is nothing.
    pub fn trace(&self, id: TraceId) -> Option<StoredTrace> {
        self.lock().trace(id, MAX_TRACE)
    }

    /// What is there of a trace and was not kept by the sampler: from now on it is.
    pub fn bring(&self, id: TraceId) -> Vec<Packed> {
        self.lock().bring(id)
    }

    /// Traces of which something ended at or after `since` (ns since the epoch), the one that grew last first.
    pub fn traces(&self, since: u64) -> impl Iterator<Item = StoredTrace> {
        let mut ids = self.lock().traces(since).into_iter();
        std::iter::from_fn(move || {
            let batch: Vec<_> = ids.by_ref().take(BATCH).collect();
            (!batch.is_empty()).then(|| {
                let recent = self.lock();
                batch.into_iter().filter_map(|id| recent.trace(id, MAX_TRACE)).collect::<Vec<_>>()
            })
        })
        .flatten()
    }

    /// How full it is, and what had to go.
    pub fn tables(&self) -> [TableSnapshot; 2] {
        self.lock().tables()
    }

    fn lock(&self) -> MutexGuard<'_, Recent> {
        self.recent.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Whether the owner is the pod `namespace/name`.
fn is_of(owner: Option<&Arc<Pod>>, pod: &str) -> bool {
    let owner = owner.filter(|owner| !owner.name.is_empty());
    owner.is_some_and(|owner| pod.split_once('/') == Some((&owner.namespace, &owner.name)))
}

fn id_of(packed: &Packed) -> Option<u64> {
    Some(packed.unpack()?.joined.exchange.id().0)
}

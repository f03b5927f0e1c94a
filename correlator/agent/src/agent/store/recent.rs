//! What the lock is around.
use std::sync::Arc;

use weft_core::{Block, Packed, TableSnapshot, TraceId};

use super::{
    MAX_TRACE, StoredTrace,
    batch::Kept,
    blocks::Blocks,
    newest::Newest,
    places::{Place, Places},
};

/// How much may be there at a time.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Bounds {
    /// Exchanges.
    pub spans: usize,
    /// Their bytes, with all that is needed to find them.
    pub bytes: usize,
}

/// In order of coming, and the exchanges of each trace as a chain from its newest on. Who came first goes first, and takes its
/// trace with it, unless that still grows. None of it touches the exchanges' bytes.
#[derive(Default)]
pub(super) struct Recent {
    bounds: Bounds,
    places: Places,
    newest: Newest,
    blocks: Blocks,
    /// Places that are not empty.
    exchanges: usize,
    evicted: u64,
}

/// What a place takes, with its trace's entry, which may be its own.
const PLACE: usize = Places::EACH + Newest::EACH;

impl Recent {
    pub(super) fn set_bounds(&mut self, bounds: Bounds) {
        self.bounds = bounds;
        self.make_room(0, 0);
        self.places.reserve(bounds.spans.min(bounds.bytes / PLACE));
    }

    pub(super) fn extend(&mut self, block: Arc<Block>, exchanges: impl ExactSizeIterator<Item = Kept>) {
        self.make_room(0, block.size());
        let block = self.blocks.push(block, exchanges.len());
        for kept in exchanges {
            self.make_room(1, PLACE);
            self.push(block, kept);
        }
    }

    fn push(&mut self, block: u32, kept: Kept) {
        let Kept { position, trace, ended, sampled } = kept;
        let newest = self.newest.push(trace, &self.places);
        let before = newest.map_or(0, |newest| (self.places.len() - newest) as u32);
        self.places.push(Place { trace, ended, position, block, before, sampled });
        self.exchanges += 1;
    }

    /// Each with its block.
    pub(super) fn newest_first(&self) -> impl Iterator<Item = (&Place, &Arc<Block>)> {
        self.places.newest_first().filter_map(|(_, place)| Some((place, self.blocks.get(place.block)?)))
    }

    /// Of which something ended at or after `since`, the one that grew last first.
    pub(super) fn traces(&self, since: u64) -> Vec<TraceId> {
        self.places
            .newest_first()
            .filter(|(index, place)| {
                place.ended >= since && self.newest.is(*index, place.trace, &self.places)
            })
            .map(|(_, place)| place.trace)
            .collect()
    }

    /// At most `limit` exchanges of a trace, its newest.
    pub(super) fn trace(&self, id: TraceId, limit: usize) -> Option<StoredTrace> {
        let newest = self.newest.get(id, &self.places)?;
        let mut oldest = None;
        let mut exchanges = Vec::new();
        for place in self.places.chain(newest).take(limit).filter_map(|index| self.places.get(index)) {
            exchanges.extend(self.packed(place).map(|packed| (packed, place.sampled)));
            oldest = Some(place);
        }
        exchanges.reverse();
        Some(StoredTrace { id, exchanges, cut: oldest.is_some_and(|place| place.before > 0) })
    }

    /// Its exchanges whose spans did not leave the node: from now on they do.
    pub(super) fn bring(&mut self, id: TraceId) -> Vec<Packed> {
        let Some(newest) = self.newest.get(id, &self.places) else { return Vec::new() };
        let chain: Vec<usize> = self.places.chain(newest).take(MAX_TRACE).collect();
        chain.into_iter().rev().filter_map(|index| self.bring_one(index)).collect()
    }

    pub(super) fn tables(&self) -> [TableSnapshot; 2] {
        let Bounds { spans, bytes } = self.bounds;
        let table = |table, entries: usize, limit: usize| TableSnapshot {
            table,
            entries: entries as u64,
            limit: limit as u64,
            evicted: self.evicted,
        };
        [table("stored_spans", self.exchanges, spans), table("stored_bytes", self.bytes(), bytes)]
    }

    fn bring_one(&mut self, index: usize) -> Option<Packed> {
        let place = self.places.get_mut(index)?;
        if std::mem::replace(&mut place.sampled, true) {
            return None;
        }
        self.packed(self.places.get(index)?)
    }

    fn packed(&self, place: &Place) -> Option<Packed> {
        Some(Packed::new(Arc::clone(self.blocks.get(place.block)?), place.position))
    }

    /// Of all that is there, and of what is left of what went.
    fn bytes(&self) -> usize {
        self.blocks.bytes() + self.places.len() * PLACE
    }

    /// For so many exchanges and bytes more.
    fn make_room(&mut self, exchanges: usize, bytes: usize) {
        let Bounds { spans, bytes: most } = self.bounds;
        while self.exchanges + exchanges > spans || self.bytes() + bytes > most {
            if !self.evict() {
                return;
            }
        }
    }

    /// Lets the oldest one go, and the rest of its trace, if that is of the older half; says whether there was one.
    fn evict(&mut self) -> bool {
        if let Some(trace) = self.places.get(0).map(|oldest| oldest.trace) {
            let middle = self.places.len().div_ceil(2);
            let newest = self.newest.forget_before(middle, trace, &self.places);
            self.let_go(newest.unwrap_or(0));
        }
        self.places.pop()
    }

    /// With those before it in its trace.
    fn let_go(&mut self, index: usize) {
        let mut next = Some(index);
        while let Some(index) = next {
            next = self.places.before(index);
            if let Some(gone) = self.places.take(index) {
                self.blocks.let_go(gone.block);
                self.exchanges -= 1;
                self.evicted += 1;
            }
        }
    }
}

//! What the lock is around.
use std::collections::VecDeque;

use hashbrown::{HashMap, hash_map::Entry};
use weft_core::{Packed, TableSnapshot, TraceId};

use super::{MAX_TRACE, StoredTrace};

/// How much may be there at a time.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Bounds {
    /// Exchanges.
    pub spans: usize,
    /// Their bytes, with all that is needed to find them.
    pub bytes: usize,
}

/// An exchange on its way in.
#[derive(Clone, Debug)]
pub struct Kept {
    /// What it is.
    pub packed: Packed,
    /// Its trace.
    pub trace: TraceId,
    /// When its last byte passed, ns since the epoch.
    pub ended: u64,
    /// Its span leaves the node.
    pub sampled: bool,
}

/// In order of coming, and the exchanges of each trace as a chain from its newest on. Who came first goes first, and takes its
/// trace with it, unless that still grows.
#[derive(Default)]
pub(super) struct Recent {
    bounds: Bounds,
    /// The number of `places`' first.
    first: u64,
    places: VecDeque<Place>,
    /// The number of the newest exchange of each trace.
    newest: HashMap<TraceId, u64>,
    /// Places that are not empty.
    exchanges: usize,
    bytes: usize,
    evicted: u64,
}

struct Place {
    /// Empty where it went before its turn.
    kept: Option<Kept>,
    /// How many places before there is another one of its trace; 0: none.
    before: u32,
}

/// What a place takes, with its trace's entry, which may be its own.
const PLACE: usize = size_of::<Place>() + 2 * size_of::<(TraceId, u64)>();

impl Recent {
    pub(super) fn set_bounds(&mut self, bounds: Bounds) {
        self.bounds = bounds;
        self.make_room(0, 0);
        // All at once: growing would end at twice the room.
        let places = bounds.spans.min(bounds.bytes / PLACE);
        self.places.shrink_to(places);
        self.places.reserve_exact(places.saturating_sub(self.places.len()));
    }

    pub(super) fn push(&mut self, kept: Kept) {
        let size = PLACE + kept.packed.size();
        self.make_room(1, size);
        let number = self.first + self.places.len() as u64;
        let before = self.newest.insert(kept.trace, number).map_or(0, |newest| number - newest);
        self.places.push_back(Place { kept: Some(kept), before: u32::try_from(before).unwrap_or(0) });
        self.exchanges += 1;
        self.bytes += size;
    }

    pub(super) fn newest_first(&self) -> impl Iterator<Item = &Kept> {
        self.places.iter().rev().filter_map(|place| place.kept.as_ref())
    }

    /// Of which something ended at or after `since`, the one that grew last first.
    pub(super) fn traces(&self, since: u64) -> Vec<TraceId> {
        let numbers = (0..self.places.len()).map(|index| self.first + index as u64);
        let numbered = numbers.zip(&self.places).rev();
        numbered
            .filter_map(|(number, place)| Some((number, place.kept.as_ref()?)))
            .filter(|(number, kept)| self.newest.get(&kept.trace) == Some(number) && kept.ended >= since)
            .map(|(_, kept)| kept.trace)
            .collect()
    }

    /// At most `limit` exchanges of a trace, its newest.
    pub(super) fn trace(&self, id: TraceId, limit: usize) -> Option<StoredTrace> {
        let newest = *self.newest.get(&id)?;
        let mut oldest = None;
        let mut exchanges = Vec::new();
        for place in self.chain(newest).take(limit).filter_map(|number| self.place(number)) {
            exchanges.extend(place.kept.as_ref().map(|kept| (kept.packed.clone(), kept.sampled)));
            oldest = Some(place);
        }
        exchanges.reverse();
        Some(StoredTrace { id, exchanges, cut: oldest.is_some_and(|place| place.before > 0) })
    }

    /// Its exchanges whose spans did not leave the node: from now on they do.
    pub(super) fn bring(&mut self, id: TraceId) -> Vec<Packed> {
        let Some(newest) = self.newest.get(&id).copied() else { return Vec::new() };
        let chain: Vec<u64> = self.chain(newest).take(MAX_TRACE).collect();
        let mut brought = Vec::new();
        for number in chain {
            if let Some(kept) = self.place_mut(number).and_then(|place| place.kept.as_mut())
                && !std::mem::replace(&mut kept.sampled, true)
            {
                brought.push(kept.packed.clone());
            }
        }
        brought.reverse();
        brought
    }

    pub(super) fn tables(&self) -> [TableSnapshot; 2] {
        let Bounds { spans, bytes } = self.bounds;
        let table = |table, entries: usize, limit: usize| TableSnapshot {
            table,
            entries: entries as u64,
            limit: limit as u64,
            evicted: self.evicted,
        };
        [table("stored_spans", self.exchanges, spans), table("stored_bytes", self.bytes, bytes)]
    }

    /// The numbers of a trace's exchanges, from this one on back.
    fn chain(&self, newest: u64) -> impl Iterator<Item = u64> {
        std::iter::successors(Some(newest), |number| {
            let before = self.place(*number)?.before;
            number.checked_sub(before.into()).filter(|next| before > 0 && *next >= self.first)
        })
    }

    fn place(&self, number: u64) -> Option<&Place> {
        self.places.get(usize::try_from(number.checked_sub(self.first)?).ok()?)
    }

    fn place_mut(&mut self, number: u64) -> Option<&mut Place> {
        self.places.get_mut(usize::try_from(number.checked_sub(self.first)?).ok()?)
    }

    /// For so many exchanges and bytes more.
    fn make_room(&mut self, exchanges: usize, bytes: usize) {
        let Bounds { spans, bytes: most } = self.bounds;
        while self.exchanges + exchanges > spans || self.bytes + bytes > most {
            if !self.evict() {
                return;
            }
        }
    }

    /// Lets the oldest one go; says whether there was one.
    fn evict(&mut self) -> bool {
        let Some(Place { kept, before: _ }) = self.places.pop_front() else { return false };
        let number = self.first;
        self.first += 1;
        if let Some(kept) = kept {
            self.account_for_gone(&kept);
            self.evict_trace(kept.trace, number);
        }
        true
    }

    /// The exchange with this number went: so does the rest of its trace, if that is of the older half.
    fn evict_trace(&mut self, trace: TraceId, number: u64) {
        let Entry::Occupied(entry) = self.newest.entry(trace) else { return };
        let middle = self.first + self.places.len() as u64 / 2;
        if *entry.get() >= middle {
            return;
        }
        let newest = entry.remove();
        if newest == number {
            return;
        }
        let rest: Vec<u64> = self.chain(newest).collect();
        for number in rest {
            if let Some(gone) = self.place_mut(number).and_then(|place| place.kept.take()) {
                self.account_for_gone(&gone);
            }
        }
    }

    fn account_for_gone(&mut self, kept: &Kept) {
        self.evicted += 1;
        self.exchanges -= 1;
        self.bytes -= PLACE + kept.packed.size();
    }
}

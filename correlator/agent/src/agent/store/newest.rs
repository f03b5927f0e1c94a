//! The newest exchange of each trace.
use std::hash::BuildHasher as _;

use hashbrown::{DefaultHashBuilder, HashTable, hash_table::Entry};
use weft_core::TraceId;

use super::places::Places;

/// Numbers of places alone, which know their trace: so the table is small enough for a processor's cache.
#[derive(Default)]
pub(super) struct Newest {
    numbers: HashTable<u32>,
    hasher: DefaultHashBuilder,
}

impl Newest {
    /// Bytes of an entry: a number and a byte of the table's own, for 16 of which 7 are in use where it has just grown.
    pub(super) const EACH: usize = 3 * (size_of::<u32>() + 1);

    /// The index of a trace's newest.
    pub(super) fn get(&self, trace: TraceId, places: &Places) -> Option<usize> {
        let same = |number: &u32| trace_of(places, *number) == trace;
        self.numbers.find(self.hasher.hash_one(trace), same).map(|number| places.index(*number))
    }

    /// Whether what is there is the newest of this trace, which is its own.
    pub(super) fn is(&self, index: usize, trace: TraceId, places: &Places) -> bool {
        let number = places.number(index);
        self.numbers.find(self.hasher.hash_one(trace), |other| *other == number).is_some()
    }

    /// The next place is its newest; gives the index of the one that was.
    pub(super) fn push(&mut self, trace: TraceId, places: &Places) -> Option<usize> {
        let Self { numbers, hasher } = self;
        let same = |number: &u32| trace_of(places, *number) == trace;
        let rehash = |number: &u32| hasher.hash_one(trace_of(places, *number));
        let next = places.number(places.len());
        match numbers.entry(hasher.hash_one(trace), same, rehash) {
            Entry::Occupied(mut entry) => Some(places.index(std::mem::replace(entry.get_mut(), next))),
            Entry::Vacant(entry) => {
                entry.insert(next);
                None
            }
        }
    }

    /// Forgets the trace, if its newest is before this index: gives that one's.
    pub(super) fn forget_before(&mut self, middle: usize, trace: TraceId, places: &Places) -> Option<usize> {
        let same = |number: &u32| trace_of(places, *number) == trace;
        let entry = self.numbers.find_entry(self.hasher.hash_one(trace), same).ok()?;
        let newest = places.index(*entry.get());
        if newest >= middle {
            return None;
        }
        entry.remove();
        Some(newest)
    }
}

/// The trace at a number. All in the table are those of places that are not empty.
fn trace_of(places: &Places, number: u32) -> TraceId {
    places.get(places.index(number)).map_or(TraceId(0), |place| place.trace)
}

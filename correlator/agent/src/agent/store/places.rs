//! Who came when.
use std::collections::VecDeque;

use weft_core::{Position, TraceId};

/// An exchange: all that is needed to find it, and to let it go.
#[derive(Debug)]
pub(super) struct Place {
    pub trace: TraceId,
    /// When its last byte passed, ns since the epoch.
    pub ended: u64,
    /// Where it is in its block.
    pub position: Position,
    /// The number of its block.
    pub block: u32,
    /// How many places before there is another one of its trace; 0: none.
    pub before: u32,
    /// Its span leaves the node.
    pub sampled: bool,
}

/// In order of coming, each with a number that stays: numbers go around. An index is that of one moment, 0 the oldest.
#[derive(Default)]
pub(super) struct Places {
    /// The number of the oldest.
    first: u32,
    /// Empty where one went before its turn.
    all: VecDeque<Option<Place>>,
}

const _: () = assert!(Places::EACH == 48);

impl Places {
    /// Bytes of one.
    pub(super) const EACH: usize = size_of::<Option<Place>>();

    /// Gives back the memory of more than so many, and takes that of so many. All at once: growing would end at twice the room.
    pub(super) fn reserve(&mut self, places: usize) {
        self.all.shrink_to(places);
        self.all.reserve_exact(places.saturating_sub(self.all.len()));
    }

    pub(super) fn len(&self) -> usize {
        self.all.len()
    }

    /// The number at an index, which is that of the next one where it is the length.
    pub(super) fn number(&self, index: usize) -> u32 {
        self.first.wrapping_add(index as u32)
    }

    pub(super) fn index(&self, number: u32) -> usize {
        number.wrapping_sub(self.first) as usize
    }

    pub(super) fn get(&self, index: usize) -> Option<&Place> {
        self.all.get(index)?.as_ref()
    }

    pub(super) fn get_mut(&mut self, index: usize) -> Option<&mut Place> {
        self.all.get_mut(index)?.as_mut()
    }

    pub(super) fn newest_first(&self) -> impl Iterator<Item = (usize, &Place)> {
        self.all.iter().enumerate().rev().filter_map(|(index, place)| Some((index, place.as_ref()?)))
    }

    /// The one before this one in its trace.
    pub(super) fn before(&self, index: usize) -> Option<usize> {
        let before = self.get(index)?.before;
        index.checked_sub(before as usize).filter(|_| before > 0)
    }

    /// The exchanges of a trace, from this one on back.
    pub(super) fn chain(&self, newest: usize) -> impl Iterator<Item = usize> {
        std::iter::successors(Some(newest), |index| self.before(*index))
    }

    pub(super) fn push(&mut self, place: Place) {
        self.all.push_back(Some(place));
    }

    /// Leaves it empty.
    pub(super) fn take(&mut self, index: usize) -> Option<Place> {
        self.all.get_mut(index)?.take()
    }

    /// Takes the oldest place away, with what is in it; says whether there was one.
    pub(super) fn pop(&mut self) -> bool {
        let popped = self.all.pop_front().is_some();
        self.first = self.first.wrapping_add(popped.into());
        popped
    }
}

//! The numbers of attachments: each is the index of its layout and of its count of hits.
use std::{
    collections::VecDeque,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use aya::maps::{Array, MapData, MapError};
use weft_abi::{GO_CALLS, GoCallLayout};

use crate::{
    error::{LoaderError, Result},
    maps::{Plain, failed},
};

/// The map of what to read where, and which of its elements are in use.
pub(super) struct Layouts {
    map: Array<MapData, Plain<GoCallLayout>>,
    free: Numbers,
}

impl Layouts {
    pub(super) fn new(mut map: Array<MapData, Plain<GoCallLayout>>) -> Result<Self> {
        for number in 0..GO_CALLS {
            map.set(number, Plain(GoCallLayout::default()), 0).map_err(failed("GO_CALLS"))?;
        }
        Ok(Self { map, free: Numbers::below(GO_CALLS) })
    }

    fn set(&mut self, number: u32, layout: GoCallLayout) -> std::result::Result<(), MapError> {
        self.map.set(number, Plain(layout), 0)
    }
}

/// The numbers that are free. The one that was given back last is taken last: so none is used again at once.
struct Numbers {
    free: VecDeque<u32>,
    limit: u32,
}

impl Numbers {
    fn below(limit: u32) -> Self {
        Self { free: (0..limit).collect(), limit }
    }

    fn take(&mut self) -> Result<u32> {
        self.free.pop_front().ok_or(LoaderError::TooManyAttachments { limit: self.limit })
    }

    fn give_back(&mut self, number: u32) {
        self.free.push_back(number);
    }
}

/// An element of the map, which is free again when this is dropped.
pub(super) struct Place {
    pub(super) number: u32,
    layouts: Arc<Mutex<Layouts>>,
}

impl Place {
    pub(super) fn take(layouts: &Arc<Mutex<Layouts>>, layout: GoCallLayout) -> Result<Self> {
        let mut locked = lock(layouts);
        let number = locked.free.take()?;
        let set = locked.set(number, layout);
        drop(locked);
        // If that failed, the number is given back.
        let place = Self { number, layouts: Arc::clone(layouts) };
        set.map_err(failed("GO_CALLS"))?;
        Ok(place)
    }
}

impl Place {
    /// Says anew what is to be read there. A program that runs meanwhile may see some of the old and some of the new.
    pub(super) fn set(&self, layout: GoCallLayout) -> Result<()> {
        lock(&self.layouts).set(self.number, layout).map_err(failed("GO_CALLS"))
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let mut layouts = lock(&self.layouts);
        // Nobody uses it any more: what it says until it is written again is of no consequence.
        let _ = layouts.set(self.number, GoCallLayout::default());
        layouts.free.give_back(self.number);
    }
}

fn lock(layouts: &Mutex<Layouts>) -> MutexGuard<'_, Layouts> {
    // What it guards is whole after every step.
    layouts.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn there_is_an_end_to_numbers() {
        let mut numbers = Numbers::below(2);
        assert_eq!((numbers.take().unwrap(), numbers.take().unwrap()), (0, 1));
        assert!(matches!(numbers.take(), Err(LoaderError::TooManyAttachments { limit: 2 })));
        numbers.give_back(1);
        numbers.give_back(0);
        assert_eq!(numbers.take().unwrap(), 1);
    }
}

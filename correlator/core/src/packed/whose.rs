//! Whose exchanges are in a block: many are of few pods.
use std::{hash::BuildHasher as _, sync::Arc};

use hashbrown::{DefaultHashBuilder, HashTable, hash_table::Entry};

use crate::{Identity, Pod};

/// Who an exchange's pod is, as far as that was known in time.
#[derive(Clone, Debug, Default)]
pub(super) struct Whose {
    pub owner: Option<Arc<Pod>>,
    pub identity: Option<Arc<Identity>>,
}

/// Each once, by the order of coming.
#[derive(Debug, Default)]
pub(super) struct WhoseTable {
    all: Vec<Whose>,
    /// By what they point at, of which nobody makes a second one for each exchange.
    index: HashTable<u32>,
    hasher: DefaultHashBuilder,
}

impl Whose {
    fn pointers(&self) -> (Option<*const Pod>, Option<*const Identity>) {
        (self.owner.as_ref().map(Arc::as_ptr), self.identity.as_ref().map(Arc::as_ptr))
    }
}

impl WhoseTable {
    /// Its index in what is taken next.
    pub(super) fn index_of(&mut self, owner: Option<&Arc<Pod>>, identity: Option<&Arc<Identity>>) -> u32 {
        let Self { all, index, hasher } = self;
        let pointers = (owner.map(Arc::as_ptr), identity.map(Arc::as_ptr));
        let at = |index: &u32| all.get(*index as usize).map(Whose::pointers).unwrap_or_default();
        let rehash = |index: &u32| hasher.hash_one(at(index));
        match index.entry(hasher.hash_one(pointers), |index| at(index) == pointers, rehash) {
            Entry::Occupied(entry) => *entry.get(),
            Entry::Vacant(entry) => {
                let next = all.len() as u32;
                entry.insert(next);
                all.push(Whose { owner: owner.cloned(), identity: identity.cloned() });
                next
            }
        }
    }

    /// All, and begins anew.
    pub(super) fn take(&mut self) -> Box<[Whose]> {
        self.index.clear();
        self.all.drain(..).collect()
    }
}

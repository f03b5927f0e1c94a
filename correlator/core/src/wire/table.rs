//! The connections, and in which order they give way.
use std::hash::BuildHasher as _;

use hashbrown::{DefaultHashBuilder, HashTable, hash_table::Entry};

use super::flow::Flow;
use crate::FlowId;

const NONE: u32 = u32::MAX;

/// Which connections give way first.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum List {
    /// It is over; late copies of its segments may come.
    Closed,
    /// It never carried a byte: many of those must not push out one that does.
    Silent,
    /// It carries bytes.
    Active,
}

/// In the order of giving way.
const LISTS: [List; 3] = [List::Closed, List::Silent, List::Active];

/// First the connection that was silent for longest.
#[derive(Clone, Copy)]
struct Ends {
    oldest: u32,
    newest: u32,
}

struct Slot {
    flow: Box<Flow>,
    list: List,
    older: u32,
    newer: u32,
}

/// A slab of connections, found by their id, each in one list by its last segment.
pub(super) struct Table {
    slots: Vec<Option<Slot>>,
    free: Vec<u32>,
    index: HashTable<u32>,
    /// Those whose socket is known, by its cookie; of several the one that was bound last.
    cookies: HashTable<u32>,
    hasher: DefaultHashBuilder,
    ends: [Ends; 3],
    pub(super) evicted: u64,
}

impl Table {
    /// Bytes of a connection's place, without the connection.
    #[cfg(test)]
    pub(super) const SLOT: usize = size_of::<Option<Slot>>();

    pub(super) fn new() -> Self {
        Self {
            slots: Vec::new(),
            free: Vec::new(),
            index: HashTable::new(),
            cookies: HashTable::new(),
            hasher: DefaultHashBuilder::default(),
            ends: [Ends { oldest: NONE, newest: NONE }; 3],
            evicted: 0,
        }
    }

    pub(super) fn len(&self) -> usize {
        self.index.len()
    }

    pub(super) fn find(&self, id: &FlowId) -> Option<u32> {
        let slots = &self.slots;
        let same = |key: &u32| slot(slots, *key).is_some_and(|slot| slot.flow.id == *id);
        self.index.find(self.hasher.hash_one(id), same).copied()
    }

    /// The connection of a socket.
    pub(super) fn find_cookie(&self, cookie: u64) -> Option<u32> {
        let slots = &self.slots;
        let same = |key: &u32| slot(slots, *key).is_some_and(|slot| slot.flow.cookie == cookie);
        self.cookies.find(self.hasher.hash_one(cookie), same).copied()
    }

    /// A connection's socket has become known, or is another one.
    pub(super) fn bind(&mut self, key: u32, cookie: u64) {
        self.unbind(key);
        let Some(flow) = self.flow(key) else { return };
        flow.cookie = cookie;
        let (slots, hasher) = (&self.slots, &self.hasher);
        let cookie_of = |key: &u32| slot(slots, *key).map_or(0, |slot| slot.flow.cookie);
        let same = |key: &u32| cookie_of(key) == cookie;
        let rehash = |key: &u32| hasher.hash_one(cookie_of(key));
        match self.cookies.entry(hasher.hash_one(cookie), same, rehash) {
            Entry::Occupied(mut entry) => *entry.get_mut() = key,
            Entry::Vacant(entry) => drop(entry.insert(key)),
        }
    }

    /// A connection's socket is not to be found by its cookie any more.
    fn unbind(&mut self, key: u32) {
        let Some(cookie) = self.peek(key).map(|flow| flow.cookie) else { return };
        if let Ok(entry) = self.cookies.find_entry(self.hasher.hash_one(cookie), |other| *other == key) {
            entry.remove();
        }
    }

    pub(super) fn flow(&mut self, key: u32) -> Option<&mut Flow> {
        Some(&mut *self.slots.get_mut(key as usize)?.as_mut()?.flow)
    }

    pub(super) fn peek(&self, key: u32) -> Option<&Flow> {
        slot(&self.slots, key).map(|slot| &*slot.flow)
    }

    /// Every key that may be in use.
    pub(super) fn keys(&self) -> std::ops::Range<u32> {
        0..self.slots.len() as u32
    }

    /// Puts in a connection whose id is not there.
    pub(super) fn insert(&mut self, flow: Box<Flow>) -> u32 {
        let hash = self.hasher.hash_one(flow.id);
        let slot_of_flow = Slot { flow, list: List::Silent, older: NONE, newer: NONE };
        let key = match self.free.pop() {
            Some(key) => key,
            None => {
                self.slots.push(None);
                self.slots.len() as u32 - 1
            }
        };
        if let Some(place) = self.slots.get_mut(key as usize) {
            *place = Some(slot_of_flow);
        }
        let (slots, hasher) = (&self.slots, &self.hasher);
        let rehash = |key: &u32| slot(slots, *key).map_or(0, |slot| hasher.hash_one(slot.flow.id));
        self.index.insert_unique(hash, key, rehash);
        self.link(key, List::Silent);
        key
    }

    pub(super) fn remove(&mut self, key: u32) -> Option<Box<Flow>> {
        self.unlink(key);
        self.unbind(key);
        let slot = self.slots.get_mut(key as usize)?.take()?;
        let entry = self.index.find_entry(self.hasher.hash_one(slot.flow.id), |other| *other == key);
        if let Ok(entry) = entry {
            entry.remove();
        }
        self.free.push(key);
        Some(slot.flow)
    }

    /// It is now the newest of this list.
    pub(super) fn touch(&mut self, key: u32, list: List) {
        if self.end(list).newest == key {
            return;
        }
        self.unlink(key);
        self.link(key, list);
    }

    /// The one of a list that was silent for longest.
    pub(super) fn oldest(&self, list: List) -> Option<u32> {
        let [closed, silent, active] = &self.ends;
        let ends = match list {
            List::Closed => closed,
            List::Silent => silent,
            List::Active => active,
        };
        (ends.oldest != NONE).then_some(ends.oldest)
    }

    /// The one that gives way next.
    pub(super) fn victim(&self) -> Option<u32> {
        LISTS.into_iter().find_map(|list| self.oldest(list))
    }

    fn end(&mut self, list: List) -> &mut Ends {
        let [closed, silent, active] = &mut self.ends;
        match list {
            List::Closed => closed,
            List::Silent => silent,
            List::Active => active,
        }
    }

    fn slot_mut(&mut self, key: u32) -> Option<&mut Slot> {
        self.slots.get_mut(key as usize)?.as_mut()
    }

    fn link(&mut self, key: u32, list: List) {
        let newest = std::mem::replace(&mut self.end(list).newest, key);
        if let Some(slot) = self.slot_mut(key) {
            (slot.list, slot.older, slot.newer) = (list, newest, NONE);
        }
        match self.slot_mut(newest) {
            Some(older) => older.newer = key,
            None => self.end(list).oldest = key,
        }
    }

    fn unlink(&mut self, key: u32) {
        let Some(slot) = self.slot_mut(key) else { return };
        let (list, older, newer) = (slot.list, slot.older, slot.newer);
        match self.slot_mut(older) {
            Some(slot) => slot.newer = newer,
            None => self.end(list).oldest = newer,
        }
        match self.slot_mut(newer) {
            Some(slot) => slot.older = older,
            None => self.end(list).newest = older,
        }
    }
}

fn slot(slots: &[Option<Slot>], key: u32) -> Option<&Slot> {
    slots.get(key as usize)?.as_ref()
}

//! Requests that are open or were lately, at the ends where they were seen.
use std::{collections::VecDeque, hash::BuildHasher as _, mem};

use hashbrown::{DefaultHashBuilder, HashTable, hash_table::Entry};

use super::{goroutine::Worker, link::Cause, open::Open};
use crate::{
    ExchangeId, Ktime, Propagation, Side, TraceId,
    wire::{Began, Moved, RequestKey, TableSize},
};

/// How long a request is remembered behind its end, in ns: so long it may be named as a cause.
pub(super) const MEMORY: u64 = 2_000_000_000;
/// Requests that one may cause.
const MAX_CAUSED: u32 = 10_000;
/// Of these, those whose time is kept.
const MAX_CHILDREN: usize = 256;

/// One end of a request.
pub(super) struct Request {
    key: RequestKey,
    pub(super) netns: u64,
    pub(super) cookie: u64,
    pub(super) stream_id: u32,
    pub(super) began: Ktime,
    /// The first one of its connection ([`Began::first`]).
    pub(super) first: bool,
    /// Who moved the byte that matters ([`Began::byte`]).
    pub(super) mover: Option<Moved>,
    /// The goroutine that handles it.
    pub(super) handler: Option<Worker>,
    pub(super) propagation: Propagation,
    pub(super) parent: Parent,
    /// Once it is known.
    pub(super) trace: Option<TraceId>,
    pub(super) ended: Option<Ktime>,
    /// In ns; of a whole exchange.
    pub(super) duration: Option<u64>,
    /// Until its own exchange has left.
    pub(super) children: Vec<Child>,
    /// How many it caused.
    caused: u32,
    /// The one request that its pod was asked and had not answered when it began.
    pub(super) only_open: Option<ExchangeId>,
}

/// What a client's request is caused by.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Parent {
    /// It may yet be told.
    Unknown,
    /// Nobody will tell.
    None,
    /// Here it is.
    Known(Cause),
}

/// A client's request that another one caused.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Child {
    id: ExchangeId,
    pub(super) began: Ktime,
    pub(super) ended: Option<Ktime>,
}

impl Request {
    pub(super) fn new(began: &Began) -> Self {
        Self {
            key: began.key,
            netns: began.netns,
            cookie: began.cookie,
            stream_id: began.stream_id,
            began: began.time,
            first: began.first,
            mover: None,
            handler: None,
            propagation: began.propagation.unwrap_or_default(),
            parent: Parent::Unknown,
            trace: None,
            ended: None,
            duration: None,
            children: Vec::new(),
            caused: 0,
            only_open: None,
        }
    }

    /// When the call returned that read its head.
    pub(super) fn read(&self) -> Option<Ktime> {
        self.mover.map(|mover| mover.time)
    }

    /// Whether its handler may be at work at this time, or at something that it began.
    pub(super) fn may_cause(&self, at: Ktime) -> bool {
        let remembered = self.ended.is_none_or(|ended| at <= ended.after(MEMORY));
        remembered && self.caused < MAX_CAUSED && self.began <= at
    }

    /// It caused another. Past the bound a child's time is not kept, and then nobody knows how long it waited for them.
    pub(super) fn adopt(&mut self, id: ExchangeId, began: Ktime, ended: Option<Ktime>) {
        self.caused += 1;
        if self.children.len() < MAX_CHILDREN {
            self.children.push(Child { id, began, ended });
        }
    }

    /// All that it caused is in `children`.
    pub(super) fn knows_children(&self) -> bool {
        self.caused as usize == self.children.len()
    }

    pub(super) fn child_ended(&mut self, id: ExchangeId, at: Ktime) {
        if let Some(child) = self.children.iter_mut().rev().find(|child| child.id == id) {
            child.ended = Some(at);
        }
    }
}

/// The requests. At the bound the one that ended first gives way, else the one that began first.
///
/// They are many and large, and cold when they are forgotten: so the table has their places only, what is over is forgotten
/// without a look at it, and the place that was left last is taken next.
pub(super) struct Requests {
    limit: usize,
    /// Numbers of places alone, where the requests know their keys: so small that it stays in a processor's cache.
    places: HashTable<u32>,
    hasher: DefaultHashBuilder,
    /// By place; what is at a free one is nobody's.
    requests: Vec<Request>,
    /// By place. Of two with the same key, one behind the other, they differ.
    serials: Vec<u32>,
    free: Vec<u32>,
    /// Of the next place that is taken.
    serial: u32,
    /// In order of coming. Those that are gone leave from the front on.
    begun: VecDeque<Begun>,
    ended: VecDeque<Ended>,
    open: Open,
    evicted: u64,
}

/// One that came, and whether it is gone by now.
struct Begun {
    key: RequestKey,
    serial: u32,
    gone: bool,
}

/// One that is over, with what must be known of it to forget it.
struct Ended {
    at: Ktime,
    key: RequestKey,
    serial: u32,
    cookie: u64,
}

impl Requests {
    pub(super) fn new(limit: usize) -> Self {
        Self {
            limit,
            places: HashTable::new(),
            hasher: DefaultHashBuilder::default(),
            requests: Vec::new(),
            serials: Vec::new(),
            free: Vec::new(),
            serial: 0,
            begun: VecDeque::new(),
            ended: VecDeque::new(),
            open: Open::default(),
            evicted: 0,
        }
    }

    pub(super) fn set_limit(&mut self, limit: usize) {
        self.limit = limit;
    }

    pub(super) fn get(&self, key: RequestKey) -> Option<&Request> {
        self.requests.get(self.place(key)?)
    }

    pub(super) fn get_mut(&mut self, key: RequestKey) -> Option<&mut Request> {
        let place = self.place(key)?;
        self.requests.get_mut(place)
    }

    fn place(&self, key: RequestKey) -> Option<usize> {
        let Self { places, hasher, requests, .. } = self;
        let same = |place: &u32| key_at(requests, *place) == Some(key);
        places.find(hasher.hash_one(key), same).map(|place| *place as usize)
    }

    pub(super) fn served(&self, id: ExchangeId) -> Option<&Request> {
        self.get(RequestKey { id, side: Side::Server })
    }

    /// Takes one in; gives those that gave way, with their sockets.
    pub(super) fn insert(
        &mut self,
        key: RequestKey,
        mut request: Request,
        gone: &mut impl FnMut(RequestKey, u64),
    ) {
        while self.places.len() >= self.limit.max(1) {
            let ended = self.ended.pop_front().map(|ended| (ended.key, ended.serial));
            let Some((victim, serial)) = ended.or_else(|| self.oldest()) else { break };
            if let Some(cookie) = self.remove(victim, serial) {
                self.evicted += 1;
                gone(victim, cookie);
            }
        }
        if key.side == Side::Client {
            request.only_open = self.open.only(request.netns);
        }
        self.open.begin(key, request.netns);
        self.serial = self.serial.wrapping_add(1);
        if let Some(left) = self.put(key, request) {
            self.open.forget(key, &left);
            gone(key, left.cookie);
        }
        self.begun.push_back(Begun { key, serial: self.serial, gone: false });
        self.trim();
    }

    /// Puts it into its place, with the latest serial number; gives the one that had its key.
    fn put(&mut self, key: RequestKey, request: Request) -> Option<Request> {
        let Self { places, hasher, requests, serials, serial, .. } = self;
        let same = |place: &u32| key_at(requests, *place) == Some(key);
        let rehash = |place: &u32| key_at(requests, *place).map_or(0, |key| hasher.hash_one(key));
        match places.entry(hasher.hash_one(key), same, rehash) {
            Entry::Occupied(known) => {
                let place = *known.get() as usize;
                let gone = serials.get_mut(place).map(|known| mem::replace(known, *serial));
                let left = requests.get_mut(place).map(|known| mem::replace(known, request));
                if let Some(gone) = gone {
                    self.note_gone(gone);
                }
                left
            }
            Entry::Vacant(new) => {
                new.insert(take_place(&mut self.free, (requests, request), (serials, *serial)));
                None
            }
        }
    }

    /// Takes the first one off the order of coming.
    fn oldest(&mut self) -> Option<(RequestKey, u32)> {
        self.begun.pop_front().map(|begun| (begun.key, begun.serial))
    }

    /// Gives its socket, if it is this one that is there.
    fn remove(&mut self, key: RequestKey, serial: u32) -> Option<u64> {
        let place = self.forget(key, serial)?;
        let request = self.requests.get(place as usize)?;
        self.open.forget(key, request);
        Some(request.cookie)
    }

    /// Gives up its place without a look at what is there.
    fn forget(&mut self, key: RequestKey, serial: u32) -> Option<u32> {
        let serials = &self.serials;
        let same = |place: &u32| serials.get(*place as usize) == Some(&serial);
        let (place, _) = self.places.find_entry(self.hasher.hash_one(key), same).ok()?.remove();
        self.free.push(place);
        self.note_gone(serial);
        Some(place)
    }

    /// The one with this serial number leaves the order of coming, at once where it is the first. Its place there is known from
    /// the first one's number, unless others left from between.
    fn note_gone(&mut self, serial: u32) {
        let Some(first) = self.begun.front().map(|begun| begun.serial) else { return };
        let since = |begun: &Begun| begun.serial.wrapping_sub(first);
        let wanted = serial.wrapping_sub(first);
        let guess = self.begun.get(wanted as usize).filter(|begun| begun.serial == serial);
        let found = if guess.is_some() {
            Ok(wanted as usize)
        } else {
            self.begun.binary_search_by_key(&wanted, since)
        };
        if let Some(begun) = found.ok().and_then(|position| self.begun.get_mut(position)) {
            begun.gone = true;
        }
        while self.begun.pop_front_if(|begun| begun.gone).is_some() {}
    }

    /// Drops those that are gone behind one that is not, before they are more than those that are there.
    fn trim(&mut self) {
        if self.begun.len() > 2 * self.places.len() + 64 {
            self.begun.retain(|begun| !begun.gone);
        }
    }

    /// It is over.
    pub(super) fn end(&mut self, key: RequestKey, at: Ktime, duration: Option<u64>) {
        let Some(place) = self.place(key) else { return };
        let (Some(request), Some(&serial)) = (self.requests.get_mut(place), self.serials.get(place)) else {
            return;
        };
        self.open.forget(key, request);
        request.ended = Some(at);
        request.duration = duration;
        self.ended.push_back(Ended { at, key, serial, cookie: request.cookie });
    }

    /// Forgets what ended long ago.
    pub(super) fn expire(&mut self, now: Ktime, gone: &mut impl FnMut(RequestKey, u64)) {
        while let Some(ended) = self.ended.pop_front_if(|ended| ended.at.after(MEMORY) < now) {
            if self.forget(ended.key, ended.serial).is_some() {
                gone(ended.key, ended.cookie);
            }
        }
    }

    pub(super) fn size(&self) -> TableSize {
        TableSize {
            name: "requests",
            entries: self.places.len() as u64,
            limit: self.limit as u64,
            evicted: self.evicted,
        }
    }
}

/// Whose place it is.
fn key_at(requests: &[Request], place: u32) -> Option<RequestKey> {
    requests.get(place as usize).map(|request| request.key)
}

/// Puts a request and its serial number where none is; gives where that is.
fn take_place(
    free: &mut Vec<u32>,
    (requests, request): (&mut Vec<Request>, Request),
    (serials, serial): (&mut Vec<u32>, u32),
) -> u32 {
    if let Some(place) = free.pop()
        && let Some(left) = requests.get_mut(place as usize)
        && let Some(known) = serials.get_mut(place as usize)
    {
        (*left, *known) = (request, serial);
        return place;
    }
    requests.push(request);
    serials.push(serial);
    // As many as the limit, which is far below 2^32.
    (requests.len() - 1) as u32
}

#[cfg(test)]
mod tests {
    use super::*;

    fn request(key: RequestKey, cookie: u64) -> Request {
        Request::new(&Began {
            key,
            netns: 1,
            cookie,
            stream_id: 0,
            time: Ktime(0),
            byte: 0,
            first: true,
            moved: None,
            propagation: None,
        })
    }

    #[test]
    fn of_two_with_one_id_the_first_ones_end_is_not_the_second_ones() {
        let key = RequestKey { id: ExchangeId(7), side: Side::Server };
        let (mut requests, mut gone) = (Requests::new(8), Vec::new());
        let mut note = |key: RequestKey, cookie| gone.push((key.id, cookie));
        requests.insert(key, request(key, 1), &mut note);
        requests.end(key, Ktime(10), None);
        requests.insert(key, request(key, 2), &mut note);
        requests.expire(Ktime(11 + MEMORY), &mut note);
        assert_eq!(requests.get(key).map(|request| request.cookie), Some(2));
        requests.end(key, Ktime(20 + MEMORY), None);
        requests.expire(Ktime(21 + 2 * MEMORY), &mut note);
        assert!(requests.get(key).is_none());
        assert_eq!(gone, [(ExchangeId(7), 1), (ExchangeId(7), 2)]);
    }

    /// However a request is forgotten, it is not open any more; and it is not closed twice.
    #[test]
    fn what_is_forgotten_is_not_open() {
        let key = |id| RequestKey { id: ExchangeId(id), side: Side::Server };
        let mut requests = Requests::new(2);
        let only = |requests: &Requests| requests.open.only(1).map(|id| id.0);
        for id in 1..=5 {
            requests.insert(key(id), request(key(id), id), &mut |_, _| {});
        }
        assert_eq!(only(&requests), None, "two are left");
        requests.end(key(4), Ktime(10), None);
        requests.end(key(4), Ktime(11), None);
        assert_eq!(only(&requests), Some(5));
        requests.insert(key(5), request(key(5), 6), &mut |_, _| {});
        assert_eq!(only(&requests), Some(5));
        requests.expire(Ktime(20 + MEMORY), &mut |_, _| {});
        assert_eq!(only(&requests), Some(5));
        requests.end(key(5), Ktime(30 + MEMORY), None);
        assert_eq!(only(&requests), None);
    }

    #[test]
    fn one_id_again_and_again_takes_no_more_room() {
        let key = RequestKey { id: ExchangeId(7), side: Side::Server };
        let mut requests = Requests::new(8);
        for cookie in 0..1000 {
            requests.insert(key, request(key, cookie), &mut |_, _| {});
        }
        let Requests { places, requests, free, begun, .. } = &requests;
        assert_eq!((places.len(), requests.len(), free.len(), begun.len()), (1, 1, 0, 1));
    }

    /// One that stays open keeps no more of those behind it in mind than there are; and who came first still gives way first.
    #[test]
    fn the_order_of_coming_outlives_those_that_are_gone() {
        let key = |id| RequestKey { id: ExchangeId(id), side: Side::Server };
        let (mut requests, mut gone) = (Requests::new(4), Vec::new());
        requests.serial = u32::MAX - 500;
        let mut note = |key: RequestKey, _| gone.push(key.id.0);
        let mut insert =
            |requests: &mut Requests, id| requests.insert(key(id), request(key(id), id), &mut note);
        insert(&mut requests, 0);
        for id in 1..1000 {
            insert(&mut requests, id);
            if id % 100 != 0 {
                requests.end(key(id), Ktime(id), None);
            }
        }
        assert!(requests.begun.len() < 100, "{}", requests.begun.len());
        // Four fit: the one that is over goes first, then those that are open as they came.
        (1000..1006).for_each(|id| insert(&mut requests, id));
        assert_eq!(gone.split_off(gone.len() - 6), [999, 700, 800, 900, 1000, 1001]);
    }
}

//! Requests that are open or were lately, at the ends where they were seen.
use std::collections::VecDeque;

use hashbrown::HashMap;

use super::{goroutine::Worker, link::Cause};
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
    pub(super) children: Vec<Child>,
    /// How many it caused.
    caused: u32,
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
    pub(super) fn adopt(&mut self, id: ExchangeId, began: Ktime) {
        self.caused += 1;
        if self.children.len() < MAX_CHILDREN {
            self.children.push(Child { id, began, ended: None });
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
pub(super) struct Requests {
    limit: usize,
    requests: HashMap<RequestKey, Request>,
    /// In order of coming; some are gone already.
    begun: VecDeque<RequestKey>,
    /// In order of ending, with when.
    ended: VecDeque<(Ktime, RequestKey)>,
    evicted: u64,
}

impl Requests {
    pub(super) fn new(limit: usize) -> Self {
        let (begun, ended) = (VecDeque::new(), VecDeque::new());
        Self { limit, requests: HashMap::new(), begun, ended, evicted: 0 }
    }

    pub(super) fn set_limit(&mut self, limit: usize) {
        self.limit = limit;
    }

    pub(super) fn get(&self, key: RequestKey) -> Option<&Request> {
        self.requests.get(&key)
    }

    pub(super) fn get_mut(&mut self, key: RequestKey) -> Option<&mut Request> {
        self.requests.get_mut(&key)
    }

    pub(super) fn served(&self, id: ExchangeId) -> Option<&Request> {
        self.get(RequestKey { id, side: Side::Server })
    }

    /// Takes one in; gives those that gave way.
    pub(super) fn insert(
        &mut self,
        key: RequestKey,
        request: Request,
        gone: &mut impl FnMut(RequestKey, &Request),
    ) {
        while self.requests.len() >= self.limit.max(1) {
            let victim = self.ended.pop_front().map(|(_, key)| key).or_else(|| self.begun.pop_front());
            let Some(victim) = victim else { break };
            if let Some(request) = self.requests.remove(&victim) {
                self.evicted += 1;
                gone(victim, &request);
            }
        }
        if self.requests.insert(key, request).is_none() {
            self.begun.push_back(key);
        }
        self.trim();
    }

    /// Drops the names of those that are gone, before they are more than those that are there.
    fn trim(&mut self) {
        if self.begun.len() > 2 * self.requests.len() + 64 {
            let requests = &self.requests;
            self.begun.retain(|key| requests.contains_key(key));
        }
    }

    /// It is over.
    pub(super) fn end(&mut self, key: RequestKey, at: Ktime, duration: Option<u64>) {
        let Some(request) = self.requests.get_mut(&key) else { return };
        request.ended = Some(at);
        request.duration = duration;
        self.ended.push_back((at, key));
    }

    /// Forgets what ended long ago.
    pub(super) fn expire(&mut self, now: Ktime, gone: &mut impl FnMut(RequestKey, &Request)) {
        while let Some((_, key)) = self.ended.pop_front_if(|(ended, _)| ended.after(MEMORY) < now) {
            if let Some(request) = self.requests.remove(&key) {
                gone(key, &request);
            }
        }
    }

    pub(super) fn size(&self) -> TableSize {
        TableSize {
            name: "requests",
            entries: self.requests.len() as u64,
            limit: self.limit as u64,
            evicted: self.evicted,
        }
    }
}

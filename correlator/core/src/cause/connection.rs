//! What is open on one connection, and what a process said that it is about to send there.
use std::collections::VecDeque;

use super::link::Cause;
use crate::{
    Ktime,
    wire::{Began, Moved, RequestKey},
};

/// Requests of a connection whose mover is waited for, calls that were announced, and requests that are remembered: of
/// each so many; the oldest gives way. A client of grpc-go opens as many streams as its server allows, by default without end
/// (`MaxConcurrentStreams`, grpc/server.go).
pub(super) const MAX_WAITING: usize = 8192;

/// A client announced a request before it sent it.
#[derive(Clone, Copy, Debug)]
pub(super) struct Announced {
    pub(super) stream_id: u32,
    pub(super) time: Ktime,
    pub(super) cause: Option<Cause>,
}

/// A server began to handle a stream whose head was not read here yet.
#[derive(Clone, Copy, Debug)]
pub(super) struct Handled {
    pub(super) stream_id: u32,
    pub(super) pid: u32,
    pub(super) goid: u64,
    pub(super) time: Ktime,
    /// Its context and that one's parent.
    pub(super) contexts: [u64; 2],
}

/// One connection.
#[derive(Default)]
pub(super) struct Connection {
    /// Its requests that are remembered, by their streams' ids. So they mostly come (RFC 9113, 5.1.1), but those that a server pushes
    /// have ids of their own.
    pub(super) requests: VecDeque<(u32, RequestKey)>,
    /// Those of them whose mover is not known.
    unmoved: VecDeque<(u64, RequestKey)>,
    announced: VecDeque<Announced>,
    handled: VecDeque<Handled>,
}

impl Connection {
    /// A request begins. Says how much gave way to it.
    pub(super) fn begin(&mut self, began: &Began) -> usize {
        let Began { key, stream_id, byte, moved, .. } = *began;
        let left = make_room(&mut self.requests);
        let place = self.requests.partition_point(|(id, _)| *id <= stream_id);
        self.requests.insert(place, (stream_id, key));
        left + if moved.is_some() { 0 } else { push(&mut self.unmoved, (byte, key)) }
    }

    pub(super) fn find(&self, stream_id: u32) -> Option<RequestKey> {
        let behind = self.requests.partition_point(|(id, _)| *id <= stream_id);
        let (id, key) = self.requests.get(behind.checked_sub(1)?)?;
        (*id == stream_id).then_some(*key)
    }

    /// A request whose byte the call moved; call it until there is none.
    pub(super) fn moved(&mut self, moved: &Moved) -> Option<RequestKey> {
        let place = self.unmoved.iter().position(|(byte, _)| moved.covers(*byte))?;
        self.unmoved.remove(place).map(|(_, key)| key)
    }

    /// It is over. The last one of HTTP/1 stays: its handler may be at work behind its response. Who moved it may be told yet: a
    /// call on a busy processor returns behind the response to what it sent.
    pub(super) fn over(&mut self, key: RequestKey) {
        let Some(place) = self.requests.iter().position(|(_, known)| *known == key) else { return };
        match self.requests.get(place) {
            Some((0, _)) => drop(self.requests.drain(..place)),
            _ => drop(self.requests.remove(place)),
        }
    }

    /// Nothing of it is remembered any more.
    pub(super) fn forget(&mut self, key: RequestKey) {
        self.over(key);
        self.requests.pop_front_if(|(_, known)| *known == key);
        // They are forgotten in the order in which they ended: it is among the first.
        if let Some(place) = self.unmoved.iter().position(|(_, known)| *known == key) {
            self.unmoved.remove(place);
        }
    }

    pub(super) fn is_idle(&self) -> bool {
        let Self { requests, unmoved, announced, handled } = self;
        requests.is_empty() && unmoved.is_empty() && announced.is_empty() && handled.is_empty()
    }

    /// A request is about to be sent. Says how much gave way to that.
    pub(super) fn announce(&mut self, call: Announced) -> usize {
        push(&mut self.announced, call)
    }

    /// The announcement of a request that began at this time: on HTTP/1 the last one before it, of a stream the first one, because
    /// grpc-go makes one a message. Older ones are of requests that were not sent.
    pub(super) fn announced(&mut self, stream_id: u32, time: Ktime) -> Option<Announced> {
        let place = match stream_id {
            0 => self.announced.iter().rposition(|call| call.stream_id == 0 && call.time <= time),
            id => self.announced.iter().position(|call| call.stream_id == id),
        }?;
        let call = self.announced.get(place).copied();
        match stream_id {
            0 => drop(self.announced.drain(..=place)),
            id => self.announced.retain(|call| call.stream_id > id),
        }
        call
    }

    /// A server handles a request. Says how much gave way to that.
    pub(super) fn handle(&mut self, handled: Handled) -> usize {
        push(&mut self.handled, handled)
    }

    /// What was said up to then is of no use any more. Says how much that was.
    pub(super) fn unsay(&mut self, until: Ktime) -> usize {
        let before = self.announced.len() + self.handled.len();
        while self.announced.pop_front_if(|call| call.time <= until).is_some() {}
        while self.handled.pop_front_if(|handled| handled.time <= until).is_some() {}
        before - self.announced.len() - self.handled.len()
    }

    pub(super) fn handled(&mut self, stream_id: u32) -> Option<Handled> {
        let place = self.handled.iter().position(|handled| handled.stream_id == stream_id)?;
        self.handled.remove(place)
    }
}

/// Says how many gave way.
fn push<T>(queue: &mut VecDeque<T>, item: T) -> usize {
    let left = make_room(queue);
    queue.push_back(item);
    left
}

/// Says how many gave way.
fn make_room<T>(queue: &mut VecDeque<T>) -> usize {
    let full = queue.len() >= MAX_WAITING;
    if full {
        queue.pop_front();
    }
    usize::from(full)
}

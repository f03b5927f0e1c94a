//! What is open on one connection, and what a process said that it is about to send there.
use std::collections::VecDeque;

use super::link::Cause;
use crate::{
    Ktime,
    wire::{Moved, RequestKey},
};

/// Requests of a connection whose mover is waited for, calls that were announced, and requests that are remembered: of
/// each so many; the oldest gives way.
const MAX_WAITING: usize = 1024;

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
    /// Its context and that one's parent.
    pub(super) contexts: [u64; 2],
}

/// One connection.
#[derive(Default)]
pub(super) struct Connection {
    /// Its requests that are remembered, in their order.
    pub(super) requests: VecDeque<(u32, RequestKey)>,
    /// Those of them whose mover is not known.
    unmoved: VecDeque<(u64, RequestKey)>,
    announced: VecDeque<Announced>,
    handled: VecDeque<Handled>,
}

impl Connection {
    pub(super) fn begin(&mut self, stream_id: u32, key: RequestKey, byte: u64, moved: bool) {
        push(&mut self.requests, (stream_id, key));
        if !moved {
            push(&mut self.unmoved, (byte, key));
        }
    }

    pub(super) fn find(&self, stream_id: u32) -> Option<RequestKey> {
        self.requests.iter().rev().find(|(id, _)| *id == stream_id).map(|(_, key)| *key)
    }

    /// A request whose byte the call moved; call it until there is none.
    pub(super) fn moved(&mut self, moved: &Moved) -> Option<RequestKey> {
        let place = self.unmoved.iter().position(|(byte, _)| moved.covers(*byte))?;
        self.unmoved.remove(place).map(|(_, key)| key)
    }

    /// It is over. The last one of HTTP/1 stays: its handler may be at work behind its response.
    pub(super) fn over(&mut self, key: RequestKey) {
        self.unmoved.retain(|(_, known)| *known != key);
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
    }

    pub(super) fn is_idle(&self) -> bool {
        self.requests.is_empty() && self.announced.is_empty() && self.handled.is_empty()
    }

    /// Of a stream the first announcement counts: grpc-go makes one a message.
    pub(super) fn announce(&mut self, call: Announced) {
        let known = |known: &Announced| call.stream_id != 0 && known.stream_id == call.stream_id;
        if !self.announced.iter().any(known) {
            push(&mut self.announced, call);
        }
    }

    /// The announcement of a request that began at this time: on HTTP/1 the last one before it. Older ones are of
    /// requests that were not sent: streams are opened in order (RFC 9113, 5.1.1).
    pub(super) fn announced(&mut self, stream_id: u32, time: Ktime) -> Option<Announced> {
        let is_its = |call: &Announced| match stream_id {
            0 => call.stream_id == 0 && call.time <= time,
            id => call.stream_id == id,
        };
        let place = self.announced.iter().rposition(is_its)?;
        let call = self.announced.get(place).copied();
        match stream_id {
            0 => drop(self.announced.drain(..=place)),
            id => self.announced.retain(|call| call.stream_id > id),
        }
        call
    }

    pub(super) fn handle(&mut self, handled: Handled) {
        push(&mut self.handled, handled);
    }

    pub(super) fn handled(&mut self, stream_id: u32) -> Option<Handled> {
        let place = self.handled.iter().position(|handled| handled.stream_id == stream_id)?;
        self.handled.remove(place)
    }
}

fn push<T>(queue: &mut VecDeque<T>, item: T) {
    if queue.len() >= MAX_WAITING {
        queue.pop_front();
    }
    queue.push_back(item);
}

//! The connections of which something is remembered.
use std::collections::VecDeque;

use hashbrown::{HashMap, hash_map::Entry};

use super::{
    connection::{Announced, Connection, Handled},
    request::MEMORY,
};
use crate::{
    Ktime,
    wire::{Began, RequestKey, TableSize},
};

/// What processes said of requests that were not seen yet. Of many connections none ever is: of TLS, of ports that nobody wants.
const LIMIT: usize = 65_536;

/// By the sockets' cookies. A connection is remembered as long as a request of it, or what a process said of one.
#[derive(Default)]
pub(super) struct Connections {
    known: HashMap<u64, Connection>,
    /// When processes said something, and of which connection, in the order in which they did.
    said: VecDeque<(Ktime, u64)>,
    /// What gave way before its time.
    evicted: u64,
}

impl Connections {
    pub(super) fn get(&self, cookie: u64) -> Option<&Connection> {
        self.known.get(&cookie)
    }

    pub(super) fn get_mut(&mut self, cookie: u64) -> Option<&mut Connection> {
        self.known.get_mut(&cookie)
    }

    /// A request begins.
    pub(super) fn begin(&mut self, began: &Began) -> &mut Connection {
        let connection = self.known.entry(began.cookie).or_default();
        self.evicted += connection.begin(began) as u64;
        connection
    }

    pub(super) fn announce(&mut self, cookie: u64, call: Announced) {
        self.evicted += self.known.entry(cookie).or_default().announce(call) as u64;
        self.says(call.time, cookie);
    }

    pub(super) fn handle(&mut self, cookie: u64, handled: Handled) {
        self.evicted += self.known.entry(cookie).or_default().handle(handled) as u64;
        self.says(handled.time, cookie);
    }

    fn says(&mut self, time: Ktime, cookie: u64) {
        if self.said.len() >= LIMIT
            && let Some((until, of)) = self.said.pop_front()
        {
            self.evicted += self.unsay(of, until) as u64;
        }
        self.said.push_back((time, cookie));
    }

    /// What was said so long ago is of no use any more.
    pub(super) fn expire(&mut self, now: Ktime) {
        while let Some((time, cookie)) = self.said.pop_front_if(|(time, _)| time.after(MEMORY) < now) {
            self.unsay(cookie, time);
        }
    }

    fn unsay(&mut self, cookie: u64, until: Ktime) -> usize {
        self.take_from(cookie, |connection| connection.unsay(until)).unwrap_or(0)
    }

    /// A request is not remembered any more.
    pub(super) fn forget(&mut self, key: RequestKey, cookie: u64) {
        self.take_from(cookie, |connection| connection.forget(key));
    }

    /// Takes something from a connection, which goes with the last thing that is known of it.
    fn take_from<T>(&mut self, cookie: u64, take: impl FnOnce(&mut Connection) -> T) -> Option<T> {
        let Entry::Occupied(mut connection) = self.known.entry(cookie) else { return None };
        let taken = take(connection.get_mut());
        if connection.get().is_idle() {
            connection.remove();
        }
        Some(taken)
    }

    pub(super) fn size(&self) -> TableSize {
        TableSize {
            name: "announced",
            entries: self.said.len() as u64,
            limit: LIMIT as u64,
            evicted: self.evicted,
        }
    }

    #[cfg(test)]
    pub(super) fn len(&self) -> usize {
        self.known.len()
    }
}

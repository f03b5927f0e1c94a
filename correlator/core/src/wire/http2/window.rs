//! Flow control (RFC 9113, 5.2): how much a sender may still send, and how long it could send nothing.
use std::collections::VecDeque;

use super::super::stretch::Which;
use crate::Ktime;

/// Of a connection, and of a stream until SETTINGS_INITIAL_WINDOW_SIZE says otherwise (6.9.2).
pub(super) const INITIAL: u32 = 65_535;

/// What one sender may send on the whole connection.
pub(super) struct Window {
    credit: i64,
    /// Since when it is used up.
    blocked: Option<Ktime>,
    /// For how long it was used up so far.
    total: u64,
}

impl Window {
    pub(super) fn new() -> Self {
        Self { credit: INITIAL.into(), blocked: None, total: 0 }
    }

    fn total(&self, now: Ktime) -> u64 {
        self.total + self.blocked.map_or(0, |since| now.since(since))
    }

    fn use_up(&mut self, bytes: u32, now: Ktime) {
        self.credit -= i64::from(bytes);
        if self.credit <= 0 {
            self.blocked.get_or_insert(now);
        }
    }

    /// The same by frames that the program read, and of which it says whether the last one used the window up. What opened it
    /// in the meantime may not be known yet, so that it may seem to be used up when it is not.
    pub(super) fn use_up_by_run(&mut self, bytes: u32, used_up: bool, now: Ktime) {
        self.credit -= i64::from(bytes);
        if used_up && self.credit <= 0 {
            self.blocked.get_or_insert(now);
        }
    }

    /// WINDOW_UPDATEs that the program read, and of which it says whether the last one opened a window that was used up.
    pub(super) fn open_by_run(&mut self, bytes: u32, was_used_up: bool, now: Ktime) {
        if was_used_up {
            return self.open(bytes, now);
        }
        self.credit = self.credit.saturating_add(bytes.into());
        if self.credit > 0 {
            self.blocked = None;
        }
    }

    /// How much may still be sent.
    pub(super) fn credit(&self) -> i64 {
        self.credit
    }

    /// A WINDOW_UPDATE of stream 0 passed.
    pub(super) fn open(&mut self, bytes: u32, now: Ktime) {
        self.credit = self.credit.saturating_add(bytes.into());
        if self.credit > 0
            && let Some(since) = self.blocked.take()
        {
            self.total = self.total.saturating_add(now.since(since));
        }
    }
}

/// Changes of the initial window that are remembered while streams are open; programs in use make one.
const CHANGES: usize = 8;

/// The initial window of a sender's streams, as its receiver sets it. A change of it is one of every open stream's window, too
/// (6.9.2): each learns of it when something happens to it next, so that a change costs no more for many streams.
pub(super) struct InitialWindow {
    size: u32,
    /// Since streams are open.
    changes: Option<Box<Changes>>,
}

/// How often it was changed, and the last changes.
#[derive(Default)]
struct Changes {
    number: u32,
    last: VecDeque<Change>,
}

/// The initial window got another size.
#[derive(Clone, Copy)]
struct Change {
    time: Ktime,
    size: u32,
    /// For how long the connection's window had been used up by then.
    connection_total: u64,
}

impl InitialWindow {
    pub(super) fn new() -> Self {
        Self { size: INITIAL, changes: None }
    }

    pub(super) fn size(&self) -> u32 {
        self.size
    }

    /// SETTINGS_INITIAL_WINDOW_SIZE passed, with streams open or not.
    pub(super) fn set(&mut self, size: u32, connection: &Window, streams: bool, now: Ktime) {
        if self.size == size {
            return;
        }
        self.size = size;
        if !streams {
            return self.changes = None;
        }
        let changes = self.changes.get_or_insert_default();
        changes.number = changes.number.wrapping_add(1);
        changes.last.push_back(Change { time: now, size, connection_total: connection.total(now) });
        if changes.last.len() > CHANGES {
            changes.last.pop_front();
        }
    }

    /// No stream is open that has not learned of them.
    pub(super) fn forget_changes(&mut self) {
        self.changes = None;
    }

    fn number(&self) -> u32 {
        self.changes.as_ref().map_or(0, |changes| changes.number)
    }

    /// The changes behind the first so many, as far as they are remembered.
    fn since(&self, number: u32) -> impl Iterator<Item = &Change> {
        let missed = self.number().wrapping_sub(number) as usize;
        let last = self.changes.as_ref().map(|changes| &changes.last);
        last.into_iter().flat_map(move |last| last.iter().skip(last.len().saturating_sub(missed)))
    }
}

/// What one sender may send on one stream.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct StreamWindow {
    /// What may be sent, without the initial window.
    credit: i64,
    /// How many changes of the initial window it knows.
    changes: u32,
    /// Since when it is used up, and for how long the connection's was by then.
    blocked: Option<(Ktime, u64)>,
    /// For how long it was used up since the last DATA frame while the connection's was not.
    own: u64,
    /// For how long the connection's was used up by the end of the last frame.
    mark: u64,
    /// What counts: the sender went on with DATA, or could not until the stream ended.
    counted: u64,
}

impl StreamWindow {
    /// The message begins with its head: from now on it may have to wait, where nothing may be sent from the beginning.
    pub(super) fn begin(&mut self, connection: &Window, initial: &InitialWindow, now: Ktime) {
        let mark = connection.total(now);
        (self.changes, self.own, self.mark) = (initial.number(), 0, mark);
        self.blocked = self.is_used_up(initial.size).then_some((now, mark));
    }

    fn is_used_up(&self, initial: u32) -> bool {
        self.credit.saturating_add(initial.into()) <= 0
    }

    /// The initial window may have changed since something happened to the stream.
    fn catch_up(&mut self, initial: &InitialWindow) {
        for change in initial.since(self.changes) {
            if self.is_used_up(change.size) {
                self.blocked.get_or_insert((change.time, change.connection_total));
            } else {
                self.unblock(change.time, change.connection_total);
            }
        }
        self.changes = initial.number();
    }

    /// A DATA frame that uses up windows begins. So whatever seems used up by now is not.
    pub(super) fn resume(&mut self, connection: &mut Window, initial: &InitialWindow) {
        connection.blocked = None;
        self.catch_up(initial);
        self.blocked = None;
        self.count(connection.total);
    }

    /// It ended, with a payload of so many bytes.
    pub(super) fn use_up(
        &mut self,
        bytes: u32,
        connection: &mut Window,
        initial: &InitialWindow,
        now: Ktime,
    ) {
        connection.use_up(bytes, now);
        self.credit -= i64::from(bytes);
        self.begin(connection, initial, now);
    }

    /// Frames ended that the program read: see [`Window::use_up_by_run`].
    pub(super) fn use_up_by_run(
        &mut self,
        bytes: u32,
        used_up: Which,
        connection: &mut Window,
        initial: &InitialWindow,
        now: Ktime,
    ) {
        connection.use_up_by_run(bytes, used_up.connection, now);
        self.credit -= i64::from(bytes);
        self.begin(connection, initial, now);
        if !used_up.stream {
            self.blocked = None;
        }
    }

    /// See [`Window::open_by_run`].
    pub(super) fn open_by_run(
        &mut self,
        bytes: u32,
        was_used_up: bool,
        connection: &Window,
        initial: &InitialWindow,
        now: Ktime,
    ) {
        self.catch_up(initial);
        let opened = Self { credit: self.credit.saturating_add(bytes.into()), ..*self };
        if !was_used_up && !opened.is_used_up(initial.size) {
            self.blocked = None;
        }
        self.open(bytes, connection, initial, now);
    }

    /// How much may still be sent, without the initial window.
    pub(super) fn credit(&self) -> i64 {
        self.credit
    }

    /// A WINDOW_UPDATE of the stream passed.
    pub(super) fn open(&mut self, bytes: u32, connection: &Window, initial: &InitialWindow, now: Ktime) {
        self.catch_up(initial);
        self.credit = self.credit.saturating_add(bytes.into());
        if !self.is_used_up(initial.size) {
            self.unblock(now, connection.total(now));
        }
    }

    /// The stream ended before its sender had sent all. Where it could send nothing by then, it was kept from it since the
    /// last frame, as if it had gone on now.
    pub(super) fn end(&mut self, connection: &Window, initial: &InitialWindow, now: Ktime) {
        self.catch_up(initial);
        if self.blocked.is_some() || connection.blocked.is_some() {
            let total = connection.total(now);
            self.unblock(now, total);
            self.count(total);
        }
    }

    /// Time in which the connection's window was used up, too, counts once.
    fn unblock(&mut self, now: Ktime, connection_total: u64) {
        if let Some((since, before)) = self.blocked.take() {
            let both = connection_total.saturating_sub(before);
            self.own += now.since(since).saturating_sub(both);
        }
    }

    /// The time since the last frame in which nothing could be sent counts.
    fn count(&mut self, connection_total: u64) {
        let connection = connection_total.saturating_sub(self.mark);
        self.counted = self.counted.saturating_add(self.own).saturating_add(connection);
        (self.own, self.mark) = (0, connection_total);
    }

    /// For how long the message could not be sent, in ns.
    pub(super) fn blocked_ns(&self) -> u64 {
        self.counted
    }
}

/// DATA of a stream that nobody knows uses the connection's window up all the same.
pub(super) fn use_up_unknown(connection: &mut Window, bytes: u32, now: Ktime) {
    connection.use_up(bytes, now);
}

#[cfg(test)]
mod tests;

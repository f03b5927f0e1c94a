//! Flow control (RFC 9113, 5.2): how much a sender may still send, and how long it could send nothing.
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

/// The initial window of a sender's streams, as its receiver sets it.
pub(super) struct InitialWindow {
    size: u32,
    /// When it last changed.
    changed: Ktime,
}

impl InitialWindow {
    pub(super) fn new() -> Self {
        Self { size: INITIAL, changed: Ktime(0) }
    }

    /// It changes those of all open streams, too.
    pub(super) fn set(&mut self, size: u32, now: Ktime) {
        if self.size != size {
            (self.size, self.changed) = (size, now);
        }
    }
}

/// What one sender may send on one stream.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct StreamWindow {
    /// What may be sent, without the initial window.
    credit: i64,
    /// Since when it is used up, and for how long the connection's was by then.
    blocked: Option<(Ktime, u64)>,
    /// For how long it was used up since the last DATA frame while the connection's was not.
    own: u64,
    /// For how long the connection's was used up by the end of the last frame.
    mark: u64,
    /// What counts: the sender went on with DATA.
    counted: u64,
}

impl StreamWindow {
    /// The message begins: from now on it may have to wait.
    pub(super) fn begin(&mut self, connection: &Window, now: Ktime) {
        self.mark = connection.total(now);
    }

    /// A DATA frame that uses up windows begins. So whatever seemed used up until now was not.
    pub(super) fn resume(&mut self, connection: &mut Window, initial: &InitialWindow) {
        connection.blocked = None;
        if let Some((since, _)) = self.blocked
            && initial.changed > since
        {
            self.unblock(connection, initial.changed);
        }
        self.blocked = None;
        self.counted = self.counted.saturating_add(self.own + connection.total.saturating_sub(self.mark));
        (self.own, self.mark) = (0, connection.total);
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
        self.mark = connection.total(now);
        if self.credit.saturating_add(initial.size.into()) <= 0 {
            self.blocked = Some((now, self.mark));
        }
    }

    /// A WINDOW_UPDATE of the stream passed.
    pub(super) fn open(&mut self, bytes: u32, connection: &Window, initial: &InitialWindow, now: Ktime) {
        self.credit = self.credit.saturating_add(bytes.into());
        if self.credit.saturating_add(initial.size.into()) > 0 {
            self.unblock(connection, now);
        }
    }

    /// Time in which the connection's window was used up, too, counts once.
    fn unblock(&mut self, connection: &Window, now: Ktime) {
        if let Some((since, connection_total)) = self.blocked.take() {
            let both = connection.total(now).saturating_sub(connection_total);
            self.own += now.since(since).saturating_sub(both);
        }
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
mod tests {
    use super::*;

    /// A sender with one stream, and the times of what happens to it.
    struct Sender {
        connection: Window,
        initial: InitialWindow,
        stream: StreamWindow,
    }

    impl Sender {
        fn new() -> Self {
            let (connection, initial) = (Window::new(), InitialWindow::new());
            Self { connection, initial, stream: StreamWindow::default() }
        }

        fn data(&mut self, bytes: u32, now: u64) {
            self.stream.resume(&mut self.connection, &self.initial);
            self.stream.use_up(bytes, &mut self.connection, &self.initial, Ktime(now));
        }

        fn stream_update(&mut self, bytes: u32, now: u64) {
            self.stream.open(bytes, &self.connection, &self.initial, Ktime(now));
        }
    }

    #[test]
    fn blocked_by_the_stream() {
        let mut sender = Sender::new();
        sender.connection.open(1 << 20, Ktime(0));
        sender.data(65_535, 100);
        sender.stream_update(10, 400);
        assert_eq!(sender.stream.blocked_ns(), 0, "it has sent no more yet");
        sender.data(10, 500);
        assert_eq!(sender.stream.blocked_ns(), 300);
        sender.stream_update(1000, 900);
        sender.data(5, 1000);
        sender.data(5, 2000);
        assert_eq!(sender.stream.blocked_ns(), 700);
    }

    #[test]
    fn time_in_which_both_are_used_up_counts_once() {
        let mut sender = Sender::new();
        sender.data(65_535, 100);
        sender.stream_update(1000, 400);
        sender.connection.open(1000, Ktime(600));
        sender.data(1000, 700);
        assert_eq!(sender.stream.blocked_ns(), 500);
        sender.connection.open(1000, Ktime(800));
        sender.stream_update(1000, 1000);
        sender.data(1, 1100);
        assert_eq!(sender.stream.blocked_ns(), 800);
    }

    #[test]
    fn a_larger_initial_window_opens_a_stream() {
        let mut sender = Sender::new();
        sender.connection.open(1 << 20, Ktime(0));
        sender.data(65_535, 100);
        sender.initial.set(1 << 20, Ktime(250));
        sender.data(1, 300);
        assert_eq!(sender.stream.blocked_ns(), 150);
    }

    #[test]
    fn a_sender_that_goes_on_was_not_blocked() {
        let mut sender = Sender::new();
        sender.data(70_000, 100);
        sender.data(1, 300);
        assert_eq!(sender.stream.blocked_ns(), 0);
    }
}

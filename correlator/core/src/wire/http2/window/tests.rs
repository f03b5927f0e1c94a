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

    fn set(&mut self, size: u32, now: u64) {
        self.initial.set(size, &self.connection, true, Ktime(now));
    }

    fn end(&mut self, now: u64) {
        self.stream.end(&self.connection, &self.initial, Ktime(now));
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
    sender.set(1 << 20, 250);
    sender.data(1, 300);
    assert_eq!(sender.stream.blocked_ns(), 150);
}

#[test]
fn a_smaller_initial_window_blocks_a_stream() {
    let mut sender = Sender::new();
    sender.data(1000, 100);
    sender.set(500, 200);
    sender.set(2000, 250);
    sender.set(10, 300);
    sender.stream_update(995, 400);
    sender.data(5, 500);
    assert_eq!(sender.stream.blocked_ns(), 50 + 100);
}

#[test]
fn nothing_may_be_sent_from_the_beginning() {
    let mut sender = Sender::new();
    sender.initial.set(0, &sender.connection, false, Ktime(0));
    sender.stream.begin(&sender.connection, &sender.initial, Ktime(100));
    sender.stream_update(10, 300);
    sender.data(10, 400);
    assert_eq!(sender.stream.blocked_ns(), 200);
}

#[test]
fn a_stream_that_ends_blocked_was_blocked_until_then() {
    let mut sender = Sender::new();
    sender.connection.open(1 << 20, Ktime(0));
    sender.data(65_535, 100);
    let mut opened = sender.stream;
    sender.end(300);
    assert_eq!(sender.stream.blocked_ns(), 200);
    opened.open(1, &sender.connection, &sender.initial, Ktime(200));
    opened.end(&sender.connection, &sender.initial, Ktime(300));
    assert_eq!(opened.blocked_ns(), 0, "it could have gone on and did not");
    let mut other = Sender::new();
    other.data(65_535, 100);
    other.end(300);
    assert_eq!(other.stream.blocked_ns(), 200, "both windows count once");
}

#[test]
fn more_changes_than_are_remembered() {
    let mut sender = Sender::new();
    for change in 1..100 {
        sender.set(change % 2, u64::from(change) * 10);
    }
    assert_eq!(sender.initial.changes.as_ref().map(|changes| changes.last.len()), Some(CHANGES));
    sender.data(1, 2000);
    assert_eq!(sender.stream.blocked_ns(), 4 * 10);
}

#[test]
fn a_sender_that_goes_on_was_not_blocked() {
    let mut sender = Sender::new();
    sender.data(70_000, 100);
    sender.data(1, 300);
    assert_eq!(sender.stream.blocked_ns(), 0);
}

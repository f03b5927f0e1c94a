//! The thread that looks after Go processes: it finds them, has their binaries read, tells the programs and the pipeline of
//! them, and keeps the probes within their budget. Nobody waits for it.
use std::{
    sync::{
        Arc,
        mpsc::{Receiver, RecvTimeoutError},
    },
    time::{Duration, Instant},
};

use super::{
    events::{Message, Shared},
    pending::Pending,
    processes::Processes,
};

/// How often all processes are looked at though nobody says that anything changed.
const LOOK_INTERVAL: Duration = Duration::from_secs(30);
/// How soon when something found no room.
const LOOK_AGAIN: Duration = Duration::from_secs(1);
/// How often the probes' cost is measured.
const MEASURE_INTERVAL: Duration = Duration::from_secs(1);
/// How often the runtimes' counters are read.
const COUNT_INTERVAL: Duration = Duration::from_secs(10);
/// How long what has changed is gathered before it is published.
const PUBLISH_INTERVAL: Duration = Duration::from_millis(100);
/// Processes that wait to be looked at.
const PENDING: usize = 1024;
/// What is done before the messages are looked at again.
const BATCH: usize = 64;

/// The thread's own.
pub struct Worker {
    messages: Receiver<Message>,
    shared: Arc<Shared>,
    pending: Pending,
    processes: Processes,
    due: Due,
}

/// When what is done regularly is due.
struct Due {
    look: Instant,
    measure: Instant,
    count: Instant,
    publish: Instant,
}

impl Worker {
    /// Everything is due at once.
    pub fn new(messages: Receiver<Message>, shared: Arc<Shared>, processes: Processes) -> Self {
        let now = Instant::now();
        let due = Due { look: now, measure: now, count: now, publish: now };
        Self { messages, shared, pending: Pending::new(PENDING), processes, due }
    }

    /// Until nobody can say anything any more.
    pub fn run(mut self) {
        loop {
            let wait = self.next().saturating_duration_since(Instant::now());
            match self.messages.recv_timeout(wait) {
                Ok(message) => self.take_all(message),
                Err(RecvTimeoutError::Timeout) => {}
                Err(RecvTimeoutError::Disconnected) => return,
            }
            self.work(Instant::now());
        }
    }

    /// When something is to be done.
    fn next(&self) -> Instant {
        let Due { look, measure, count, publish } = self.due;
        let publish = self.processes.changed().then_some(publish);
        let others = [self.pending.next(), self.processes.attach_at(), publish];
        others.into_iter().flatten().chain([look, measure, count]).min().unwrap_or(look)
    }

    fn take_all(&mut self, first: Message) {
        self.take(first);
        for _ in 1..BATCH {
            let Ok(message) = self.messages.try_recv() else { return };
            self.take(message);
        }
    }

    fn take(&mut self, message: Message) {
        let now = Instant::now();
        match message {
            Message::Exec(pid) => {
                // What it was it is no longer.
                self.processes.gone(pid, now);
                self.wait(pid, now);
            }
            Message::Exit(pid) => {
                self.pending.remove(pid);
                self.processes.gone(pid, now);
            }
            Message::Pods => self.due.look = now,
            Message::Configure(settings) => self.processes.configure(*settings, now),
            Message::Read(read) => self.processes.read(*read, &self.shared.pods(), now),
        }
    }

    fn wait(&mut self, pid: u32, now: Instant) {
        if !self.pending.add(pid, now) {
            self.processes.counts.overflow.pending += 1;
            self.look_soon(now);
        }
    }

    fn look_soon(&mut self, now: Instant) {
        self.due.look = self.due.look.min(now + LOOK_AGAIN);
    }

    fn work(&mut self, now: Instant) {
        if self.shared.take_demand() || self.processes.take_demand() {
            self.look_soon(now);
        }
        for _ in 0..BATCH {
            let Some(pid) = self.pending.due(now) else { break };
            self.processes.look(pid, &self.shared.pods(), now);
        }
        if self.due.look <= now {
            self.due.look = now + LOOK_INTERVAL;
            self.processes.look_at_all(&self.shared.pods(), now);
        }
        self.processes.attach(now);
        self.keep_time(now);
        if self.processes.changed() {
            self.processes.look_after_functions(&self.shared.pods());
        }
        self.publish(now);
    }

    fn keep_time(&mut self, now: Instant) {
        if self.due.measure <= now {
            self.due.measure = now + MEASURE_INTERVAL;
            self.processes.measure(now);
        }
        if self.due.count <= now {
            self.due.count = now + COUNT_INTERVAL;
            self.processes.count();
        }
    }

    fn publish(&mut self, now: Instant) {
        if self.processes.changed() && self.due.publish <= now {
            self.due.publish = now + PUBLISH_INTERVAL;
            self.shared.publish(self.processes.view(self.shared.missed()));
        }
    }
}

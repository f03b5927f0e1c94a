//! What the other threads say to the one that looks after Go processes. None of them waits for it: what finds no room is
//! counted, and a look at all processes makes up for it.
use std::sync::{
    Arc, OnceLock,
    atomic::{AtomicBool, AtomicU64, Ordering},
    mpsc::{Receiver, SyncSender, TrySendError, sync_channel},
};

use arc_swap::ArcSwap;
use weft_abi::{GoCount, GoCountKey, KIND_PROCESS, Process, process};
use weft_loader::go::GoCounts;
use zerocopy::FromBytes as _;

use super::{functions::Settings, pods::Pods, read::ReadFile, view::View};

/// Messages that wait.
const MESSAGES: usize = 4096;

/// A message.
pub enum Message {
    /// The process executes another program now.
    Exec(u32),
    /// It is gone.
    Exit(u32),
    /// The pods are others.
    Pods,
    /// A binary was read.
    Read(Box<ReadFile>),
    /// Another configuration is in force.
    Configure(Box<Settings>),
}

/// The way to the thread, and what it publishes.
#[derive(Clone)]
pub struct GoHandle {
    messages: SyncSender<Message>,
    shared: Arc<Shared>,
}

/// What both sides see.
#[derive(Default)]
pub struct Shared {
    pods: ArcSwap<Pods>,
    view: ArcSwap<View>,
    /// What is counted at functions.
    counts: OnceLock<GoCounts>,
    /// Events that found no room.
    missed: AtomicU64,
    /// All processes have to be looked at.
    look: AtomicBool,
}

impl GoHandle {
    /// A handle, and the other end of its channel.
    pub fn new() -> (Self, Receiver<Message>, Arc<Shared>) {
        let (messages, receiver) = sync_channel(MESSAGES);
        let shared = Arc::new(Shared::default());
        (Self { messages, shared: Arc::clone(&shared) }, receiver, shared)
    }

    /// Takes what a record of the ring says of processes. Never waits.
    pub fn record(&self, record: &[u8]) {
        if record.first() != Some(&KIND_PROCESS) {
            return;
        }
        let Ok((event, _)) = Process::read_from_prefix(record) else { return };
        match event.header.detail {
            process::EXEC => self.send(Message::Exec(event.pid)),
            process::EXIT => self.send(Message::Exit(event.pid)),
            _ => {}
        }
    }

    /// These are the traced pods. Never waits.
    pub fn pods(&self, pods: Pods) {
        if **self.shared.pods.load() != pods {
            self.shared.pods.store(Arc::new(pods));
            self.send(Message::Pods);
        }
    }

    /// What came of reading a binary. Waits for room.
    pub fn read(&self, read: ReadFile) {
        // The thread is gone only when the agent ends.
        let _ = self.messages.send(Message::Read(Box::new(read)));
    }

    /// Another configuration is in force. Waits for room.
    pub fn configure(&self, settings: Settings) {
        // Where the thread could not be started, nothing is listened at.
        let _ = self.messages.send(Message::Configure(Box::new(settings)));
    }

    /// What is known.
    pub fn view(&self) -> Arc<View> {
        self.shared.view.load_full()
    }

    /// What was counted of a metric's function for a pod.
    pub fn counted(&self, key: GoCountKey) -> Option<GoCount> {
        self.shared.counts.get()?.get(key)
    }

    fn send(&self, message: Message) {
        if let Err(TrySendError::Full(_)) = self.messages.try_send(message) {
            self.shared.missed.fetch_add(1, Ordering::Relaxed);
            self.shared.look.store(true, Ordering::Release);
        }
    }
}

impl Shared {
    /// The traced pods.
    pub fn pods(&self) -> Arc<Pods> {
        self.pods.load_full()
    }

    /// Where others read what is counted at functions.
    pub fn show_counts(&self, counts: GoCounts) {
        let _ = self.counts.set(counts);
    }

    /// Publishes what is known.
    pub fn publish(&self, view: View) {
        self.view.store(Arc::new(view));
    }

    /// Events that found no room.
    pub fn missed(&self) -> u64 {
        self.missed.load(Ordering::Relaxed)
    }

    /// Whether all processes have to be looked at; no longer from now on.
    pub fn take_demand(&self) -> bool {
        self.look.swap(false, Ordering::AcqRel)
    }
}

#[cfg(test)]
mod tests {
    use weft_abi::Header;
    use zerocopy::{FromZeros as _, IntoBytes as _};

    use super::*;

    fn record(detail: u8, pid: u32) -> Vec<u8> {
        let mut header = Header::new_zeroed();
        (header.kind, header.detail) = (KIND_PROCESS, detail);
        Process { header, pid, pad: 0 }.as_bytes().to_vec()
    }

    #[test]
    fn processes_that_come_and_go_are_peeled_off() {
        let (handle, messages, _shared) = GoHandle::new();
        handle.record(&record(process::EXEC, 7));
        handle.record(&record(process::EXIT, 8));
        handle.record(&record(99, 9));
        handle.record(&record(process::EXEC, 10)[..30]);
        handle.record(&[]);
        handle.record(&[weft_abi::KIND_SEGMENT; 100]);
        let told: Vec<_> = messages.try_iter().collect();
        assert!(matches!(told[..], [Message::Exec(7), Message::Exit(8)]));
    }

    #[test]
    fn a_storm_is_counted_and_demands_a_look_at_all() {
        let (handle, messages, shared) = GoHandle::new();
        (0..5000).for_each(|pid| handle.record(&record(process::EXEC, pid)));
        assert_eq!(shared.missed(), 5000 - MESSAGES as u64);
        assert!(shared.take_demand() && !shared.take_demand());
        assert_eq!(messages.try_iter().count(), MESSAGES);
    }

    #[test]
    fn pods_that_are_the_same_are_no_news() {
        let (handle, messages, shared) = GoHandle::new();
        let pods = || {
            [(5, super::super::pods::PodNetns { netns: 1, label: "a/b".into() })]
                .into_iter()
                .collect::<Pods>()
        };
        handle.pods(pods());
        handle.pods(pods());
        assert_eq!(messages.try_iter().count(), 1);
        assert!(shared.pods().at(5).is_some());
    }
}

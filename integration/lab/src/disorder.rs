//! A link that duplicates and reorders, for one pod: its segments pass a queue of NFQUEUE, where this process holds some
//! of them back and sends some of them twice.

use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::net::Ipv4Addr;
use std::os::fd::{AsRawFd as _, OwnedFd};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use anyhow::{Context, Result, anyhow, ensure};
use nix::sys::socket::{
    AddressFamily, MsgFlags, SockFlag, SockProtocol, SockType, SockaddrIn, sendto, setsockopt, socket,
    sockopt,
};

use crate::Pod;
use crate::nfqueue::{Packet, Queue};
use crate::pcap::{self, CapturedSegment};
use crate::rules::{Place, Rule};

/// What this process sends carries it, and is not queued again.
const MARK: u32 = 0x0077_6566;
/// The longest that a packet waits for its turn behind another's deadline.
const STEP: Duration = Duration::from_millis(1);

/// What happens to a pod's segments. Without `delay` and `duplicate` they only pass user space one by one, which also
/// makes packets of a device's MTU of GSO segments.
#[derive(Clone, Copy, Debug)]
pub struct Mess {
    /// Where random numbers begin: the same seed decides the same for the same packets in the same order.
    pub seed: u64,
    /// The share of packets (0 to 1) that pass twice; only of what the pod sends.
    pub duplicate: f64,
    /// The share of packets that wait for 1 to 20 ms, while later ones pass.
    pub delay: f64,
}

impl Mess {
    /// 5% of each, from a seed that is `WEFT_LAB_SEED` or else random, and is printed.
    ///
    /// # Errors
    /// When the variable is no number.
    pub fn usual() -> Result<Self> {
        let seed = match std::env::var("WEFT_LAB_SEED") {
            Ok(seed) => seed.parse().context("WEFT_LAB_SEED is no number")?,
            Err(_) => u64::from(crate::lab::random()?),
        };
        eprintln!("lab: WEFT_LAB_SEED={seed}");
        Ok(Self { seed, duplicate: 0.05, delay: 0.05 })
    }
}

/// What was done, and what the pod's sockets sent: their segments with the times at which they came here.
type Report = (Done, Vec<CapturedSegment>);

/// What was done.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Done {
    /// Packets that passed.
    pub packets: u64,
    /// Of these, packets that waited.
    pub delayed: u64,
    /// Of these, packets that passed twice.
    pub duplicated: u64,
}

/// A pod's disordered link. Dropping it lets everything go on that waits, and makes the link a plain one.
#[derive(Debug)]
pub struct Disorder<'a> {
    // First: nothing more comes into the queue then.
    rule: Option<Rule<'a>>,
    stop: Arc<AtomicBool>,
    worker: Option<JoinHandle<Result<Report>>>,
}

impl<'a> Disorder<'a> {
    /// Disorders what `pod` sends, before its vantage.
    ///
    /// # Errors
    /// When the queue or the rule cannot be made.
    pub fn of_output(pod: &'a Pod, mess: Mess) -> Result<Self> {
        Self::start(pod, Place::Output(pod), 1, mess)
    }

    /// Reorders what `pod` receives, behind its vantage.
    ///
    /// # Errors
    /// When the queue or the rule cannot be made, or `mess` duplicates.
    pub fn of_input(pod: &'a Pod, mess: Mess) -> Result<Self> {
        ensure!(mess.duplicate == 0.0, "only what a pod sends can pass twice");
        Self::start(pod, Place::Input(pod), 2, mess)
    }

    fn start(pod: &'a Pod, place: Place<'a>, number: u16, mess: Mess) -> Result<Self> {
        let (queue, raw) =
            pod.netns().run(|| -> Result<_> { Ok((Queue::bind(number)?, raw_socket()?)) })??;
        let stop = Arc::new(AtomicBool::new(false));
        let link = Link {
            queue,
            raw,
            random: mess.seed ^ u64::from(number),
            mess,
            held: BinaryHeap::new(),
            done: Done::default(),
            sent: Vec::new(),
        };
        let flag = Arc::clone(&stop);
        let worker = Some(std::thread::spawn(move || link.work(&flag)));
        let mut disorder = Self { rule: None, stop, worker };
        disorder.rule = Some(Rule::queue(place, number, MARK)?);
        Ok(disorder)
    }

    /// Ends it, and says what it did, and what the pod's sockets sent meanwhile.
    ///
    /// # Errors
    /// When it had failed.
    pub fn finish(mut self) -> Result<(Done, Vec<CapturedSegment>)> {
        self.end()
    }

    fn end(&mut self) -> Result<Report> {
        self.rule = None;
        self.stop.store(true, Ordering::Relaxed);
        let Some(worker) = self.worker.take() else { return Ok(Report::default()) };
        worker.join().map_err(|_| anyhow!("the link's thread panicked"))?
    }
}

impl Drop for Disorder<'_> {
    fn drop(&mut self) {
        if let Err(error) = self.end() {
            eprintln!("lab: disorder: {error:#}");
        }
    }
}

/// A packet that waits: until when, which.
type Held = Reverse<(Instant, u32)>;

struct Link {
    queue: Queue,
    raw: OwnedFd,
    random: u64,
    mess: Mess,
    held: BinaryHeap<Held>,
    done: Done,
    sent: Vec<CapturedSegment>,
}

impl Link {
    fn work(mut self, stop: &AtomicBool) -> Result<Report> {
        let mut came = Vec::new();
        while !stop.load(Ordering::Relaxed) {
            let limit = if self.held.is_empty() { 50 * STEP } else { STEP };
            self.queue.receive(limit, |packet| came.push(packet))?;
            for packet in came.drain(..) {
                self.pass(&packet)?;
            }
            self.release(Instant::now())?;
        }
        while let Some(Reverse((_, id))) = self.held.pop() {
            self.queue.accept(id)?;
        }
        Ok((self.done, self.sent))
    }

    fn pass(&mut self, packet: &Packet) -> Result<()> {
        self.done.packets += 1;
        let now = SystemTime::now().duration_since(UNIX_EPOCH).context("a clock before 1970")?;
        self.sent.extend(pcap::of_ip(now.as_nanos() as u64, &packet.bytes));
        if self.chance(self.mess.delay) {
            self.done.delayed += 1;
            let wait = Duration::from_micros(1000 + self.next() % 19_000);
            self.held.push(Reverse((Instant::now() + wait, packet.id)));
        } else {
            self.queue.accept(packet.id)?;
        }
        if self.chance(self.mess.duplicate) {
            self.done.duplicated += 1;
            self.send(&packet.bytes)?;
        }
        Ok(())
    }

    fn release(&mut self, now: Instant) -> Result<()> {
        while let Some(Reverse((due, id))) = self.held.peek().copied() {
            if due > now {
                break;
            }
            self.held.pop();
            self.queue.accept(id)?;
        }
        Ok(())
    }

    /// Sends a whole packet, with its own IP header (raw(7)).
    fn send(&self, packet: &[u8]) -> Result<()> {
        let destination: [u8; 4] =
            packet.get(16..20).and_then(|four| four.try_into().ok()).context("no IPv4")?;
        let to = SockaddrIn::from(std::net::SocketAddrV4::new(Ipv4Addr::from(destination), 0));
        sendto(self.raw.as_raw_fd(), packet, &to, MsgFlags::empty()).context("cannot send a packet again")?;
        Ok(())
    }

    fn chance(&mut self, share: f64) -> bool {
        (self.next() >> 11) as f64 / (1_u64 << 53) as f64 <= share && share > 0.0
    }

    /// splitmix64: a generator that any seed is good for.
    fn next(&mut self) -> u64 {
        self.random = self.random.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mixed = (self.random ^ (self.random >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }
}

fn raw_socket() -> Result<OwnedFd> {
    let raw = socket(AddressFamily::Inet, SockType::Raw, SockFlag::SOCK_CLOEXEC, SockProtocol::Raw)
        .context("no raw socket (root?)")?;
    setsockopt(&raw, sockopt::Mark, &MARK).context("cannot mark packets")?;
    Ok(raw)
}

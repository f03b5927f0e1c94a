//! Everything that outlives a program's run. All of it is pinned by the loader under the version of the ABI.
use aya_ebpf::{
    bindings::BPF_F_MMAPABLE,
    macros::map,
    maps::{Array, HashMap, PerCpuArray, PerCpuHashMap, RingBuf},
};
use weft_abi::{
    Control, FILTER_WORDS, FlowFraming, FlowKey, FlowRef, FlowSlot, FramedRun, GO_CALLS as MAX_GO_CALLS,
    GO_COUNTS as MAX_GO_COUNTS, GO_FUNCTIONS, GO_PROCESSES as MAX_GO_PROCESSES, GoCallLayout, GoCount,
    GoCountKey, GoCountLayout, GoProcessEntry, Header, LOSS_REASONS, MAX_CAPTURE, PORTS, Segment, Vantage,
    VantageKey,
};

use crate::{
    packet::Packet,
    parents::{self, Parent},
    runnable::{self, Runnable},
    sock_call::{self, Begun},
};

/// Entries are few and user space alone makes them: memory is taken when one is made.
const NO_PREALLOC: u32 = aya_ebpf::bindings::BPF_F_NO_PREALLOC;

/// Where records go. The loader sets its size.
#[map]
pub static RECORDS: RingBuf = RingBuf::with_byte_size(8 << 20, 0);

/// Where user space was in the ring when a program woke it last, and 1.
#[map]
pub static WOKEN: Array<u64> = Array::with_max_entries(1, 0);

#[map]
pub static CONTROL: Array<Control> = Array::with_max_entries(1, 0);

/// Whose device or socket it is, and the counters of what passed it. No entry: not a pod's.
#[map]
pub static VANTAGES: PerCpuHashMap<VantageKey, Vantage> = PerCpuHashMap::with_max_entries(16384, NO_PREALLOC);

/// The flows of which user space wants less than everything.
#[map]
pub static FLOWS: HashMap<FlowKey, FlowRef> = HashMap::with_max_entries(weft_abi::SLOTS, NO_PREALLOC);

/// What it wants of them. User space has this memory mapped: it changes a want without a system call, and takes runs away.
#[map]
pub static SLOTS: Array<FlowSlot> = Array::with_max_entries(weft_abi::SLOTS, BPF_F_MMAPABLE);

/// Which flows may have an entry there: most have none, and to look for it takes a hash of 48 bytes and memory that is rarely in a
/// cache.
#[map]
pub static FLOW_FILTER: Array<[u64; FILTER_WORDS]> = Array::with_max_entries(1, BPF_F_MMAPABLE);

#[map]
pub static PORT_FILTER: Array<u8> = Array::with_max_entries(PORTS, 0);

#[map]
pub static LOSSES: PerCpuArray<u64> = PerCpuArray::with_max_entries(LOSS_REASONS.len() as u32, 0);

/// Where the goroutines of a process are found. No entry: not a Go process.
#[map]
pub static GO_PROCESSES: HashMap<u32, GoProcessEntry> =
    HashMap::with_max_entries(MAX_GO_PROCESSES, NO_PREALLOC);

/// What to read at each place in Go functions that a program is attached to, by the attachment's cookie.
#[map]
pub static GO_CALLS: Array<GoCallLayout> = Array::with_max_entries(MAX_GO_CALLS, 0);

/// How often each of them was come by.
#[map]
pub static GO_HITS: PerCpuArray<u64> = PerCpuArray::with_max_entries(MAX_GO_CALLS, 0);

/// What counts of the calls of each metric's function.
#[map]
pub static GO_COUNT_LAYOUTS: Array<GoCountLayout> = Array::with_max_entries(GO_FUNCTIONS, 0);

/// How many there were, by pod. One value for all CPUs: what a probe costs leaves them no time to get in each other's way.
#[map]
pub static GO_COUNTS: HashMap<GoCountKey, GoCount> = HashMap::with_max_entries(MAX_GO_COUNTS, NO_PREALLOC);

/// Sends and receives that have begun, where the kernel does not give their arguments when they end.
#[map]
pub static SOCK_CALLS: Array<Begun> = Array::with_max_entries(sock_call::PLACES, 0);

/// Who created a goroutine.
#[map]
pub static PARENTS: Array<Parent> = Array::with_max_entries(parents::PLACES, 0);

/// Goroutines that wait for a processor.
#[map]
pub static RUNNABLES: Array<Runnable> = Array::with_max_entries(runnable::PLACES, 0);

/// Records while they are put together: larger than a program's stack.
#[repr(C)]
pub struct Scratch {
    /// With its payload right behind it.
    pub segment: Segment,
    pub payload: [u8; MAX_CAPTURE],
    pub run: FramedRun,
    pub parts: Parts,
    pub reading: Reading,
    pub seen: Seen,
    /// Bytes of this CPU's segments in the ring since it looked how much waits there.
    pub unwatched: u64,
}

/// What was seen of a segment.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct Seen {
    pub packet: Packet,
    /// Of its record.
    pub header: Header,
    pub cookie: u64,
}

/// How far a segment's records are. In memory and not in registers, because the verifier then knows nothing of it, and so
/// finds each round of the loop over the parts like the one before.
#[repr(C)]
pub struct Parts {
    /// Where in the packet the payload is.
    pub payload_offset: u32,
    pub payload_len: u32,
    /// Sequence number of its first byte.
    pub seq: u32,
    /// The flags of the last part.
    pub flags: u32,
    pub max_capture: u32,
    /// Payload bytes that have a record.
    pub at: u32,
    /// Bytes at the next part's beginning that nobody wants.
    pub skipped: u32,
    /// Bytes that found no room in the ring.
    pub unrecorded: u32,
}

/// How far the framing in a segment is read. In memory for the same reason.
#[repr(C)]
pub struct Reading {
    /// Of the flow, as it is at `at`.
    pub framing: FlowFraming,
    /// `framing.sums` at `joins`.
    pub joined_sums: [u64; 2],
    /// A unit of framing, and room for reading it.
    pub bytes: [u8; 32],
    /// Of the packet.
    pub payload_offset: u32,
    /// Of the packet.
    pub payload_len: u32,
    /// Payload bytes that were read.
    pub at: u32,
    /// The first so many bytes are not wanted, once `odd` says that this is known.
    pub joins: u32,
    /// 1: something was found that is wanted.
    pub odd: u32,
    /// Where the last line with a chunk's size began.
    pub line: u32,
    /// Where in what was searched a unit of framing begins.
    pub found: u32,
    /// `WANT_*`.
    pub kind: u32,
    /// 1: what is not wanted joins the run.
    pub may_join: u32,
    /// 1: the program began to read with this segment.
    pub begun: u32,
    pub windows: Windows,
}

/// What has to be known of the windows of a connection of HTTP/2.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct Windows {
    /// As in [`FlowFraming`].
    pub limits: [i32; 2],
    /// The sums of the other direction.
    pub sums: [u64; 2],
}

/// One a CPU is enough: TC programs run with bottom halves off and do not nest.
#[map]
pub static SCRATCH: PerCpuArray<Scratch> = PerCpuArray::with_max_entries(1, 0);

#[cfg(feature = "user")]
use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout};

use crate::Tuple;

/// One direction of a connection at a pod's vantages: the key of the map `FLOWS`. A flow without an entry is captured up
/// to the limit a segment.
#[repr(C)]
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[cfg_attr(feature = "user", derive(FromBytes, IntoBytes, Immutable, KnownLayout))]
pub struct FlowKey {
    /// The netns cookie of the pod.
    pub netns: u64,
    /// Addresses and ports as on the wire in this direction.
    pub tuple: Tuple,
    /// The vantage's interface index.
    pub ifindex: u32,
}

/// Where a flow's slot is: the value of the map `FLOWS`.
#[repr(C)]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "user", derive(FromBytes, IntoBytes, Immutable, KnownLayout))]
pub struct FlowRef {
    /// Index into the map `SLOTS`.
    pub slot: u32,
    /// The slot's serial number while it is this flow's.
    pub serial: u32,
}

/// Entries of the map `SLOTS`.
pub const SLOTS: u32 = 65536;

/// How much payload user space wants of a flow: the two halves of `FlowSlot::want`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FlowWant {
    /// `WANT_*`; the upper half.
    pub kind: u32,
    /// What the kind needs; the lower half.
    pub argument: u32,
}

/// `FlowWant::kind`: all payload is wanted.
pub const WANT_ALL: u32 = 0;
/// Payload from the sequence number `argument` on.
pub const WANT_FROM: u32 = 1;
/// No payload.
pub const WANT_NONE: u32 = 2;

/// What user space wants of a flow, and the [`Run`](crate::Run) that is being gathered: an element of the map `SLOTS`,
/// which user space has mapped into its memory. A cache line.
#[repr(C, align(64))]
#[derive(Clone, Copy, Debug, Default)]
#[cfg_attr(feature = "user", derive(FromBytes, IntoBytes, Immutable, KnownLayout))]
pub struct FlowSlot {
    /// 1 while somebody, program or user space, reads or changes anything but `want`.
    pub lock: u64,
    /// A [`FlowWant`], `kind` in the upper half. Written by user space alone, at any time.
    pub want: u64,
    /// Sequence number of the run's first byte.
    pub seq: u32,
    /// The run's bytes; 0: nothing is being gathered.
    pub len: u32,
    /// The run's segments.
    pub segments: u32,
    /// Acknowledgement number of its last segment; 0 without the ACK flag.
    pub ack: u32,
    /// When its first segment passed.
    pub first_time: u64,
    /// When its last one did.
    pub last_time: u64,
    /// The sequence number behind what passed in order so far, once `follows` says that it is known.
    pub next: u32,
    /// 1: `next` is known.
    pub follows: u8,
    /// `Header::bank` of the run.
    pub bank: u8,
    /// `Header::vantage` of the run.
    pub vantage: u8,
    /// `Header::detail` of the run.
    pub direction: u8,
    /// Raised by one whenever the slot becomes another flow's or nobody's: what points here with another number is
    /// out of date.
    pub serial: u32,
    /// Zero.
    pub pad: u32,
}

const _: () = assert!(size_of::<FlowKey>() == 48);
const _: () = assert!(size_of::<FlowRef>() == 8);
const _: () = assert!(size_of::<FlowSlot>() == 64);

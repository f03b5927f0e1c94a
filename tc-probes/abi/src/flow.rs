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

/// Words of the one value of the map `FLOW_FILTER`: bits, by [`Tuple::filter_bit`]. Where a flow's is not set the map `FLOWS` has no
/// entry for it, or none yet. Written by user space, which has the memory mapped.
pub const FILTER_WORDS: usize = 256;

impl Tuple {
    /// The bit of the flows with these ports, below 64 times [`FILTER_WORDS`]. The multiplier is 2^32 divided by the golden ratio,
    /// made odd: the upper bits of the product depend on all of the ports'.
    #[inline(always)]
    pub const fn filter_bit(&self) -> u32 {
        let ports = (self.source_port as u32) << 16 | self.destination_port as u32;
        ports.wrapping_mul(0x9e37_79b1) >> (32 - (64 * FILTER_WORDS as u32).trailing_zeros())
    }
}

/// How much payload user space wants of a flow.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FlowWant {
    /// `WANT_*`; the upper half of `FlowSlot::want`.
    pub kind: u32,
    /// What the kind needs; the lower half.
    pub argument: u32,
    /// More of what the kinds need that let the program read framing.
    pub framing: Option<FramingWant>,
}

/// What a program needs to read a flow's framing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FramingWant {
    /// HTTP/2: the stream whose DATA is not wanted. Else 0.
    pub stream_id: u32,
    /// HTTP/2: `FlowFraming::limits`.
    pub limits: [i32; 2],
    /// HTTP/2: `FlowFraming::max_frame`.
    pub max_frame: u32,
    /// Where user space is, if it knows what comes there.
    pub place: Option<FramingPlace>,
    /// About where the program began.
    pub verdict: Option<FramingVerdict>,
}

/// What user space says to a [`Border`](crate::Border).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FramingVerdict {
    /// The border's place.
    pub seq: u32,
    /// A unit of framing begins there, and nothing that passed before the program saw the flow lies behind what it has seen.
    pub right: bool,
}

/// A place in a flow's framing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FramingPlace {
    /// Its sequence number.
    pub seq: u32,
    /// How many bytes of a frame's payload, or of a chunk, come there; 0: a unit of framing begins.
    pub left: u32,
    /// Chunks: bytes from one chunk's end to the next one's, where the last ones were alike; else 0.
    pub period: u32,
}

/// `FlowWant::kind`: all payload is wanted.
pub const WANT_ALL: u32 = 0;
/// Payload from the sequence number `argument` on.
pub const WANT_FROM: u32 = 1;
/// No payload.
pub const WANT_NONE: u32 = 2;
/// HTTP/2 (RFC 9113): no DATA of one stream. The program reads the frames' headers.
///
/// Of this kind and the following ones all payload is wanted until user space finds right where the program began
/// ([`FramingVerdict`]); `argument` is 0.
pub const WANT_FRAMES: u32 = 3;
/// HTTP/2: no WINDOW_UPDATE of the connection or of one stream.
pub const WANT_UPDATES: u32 = 4;
/// Chunked transfer coding (RFC 9112, 7.1): no chunks. The program reads the lines with their sizes.
pub const WANT_CHUNKS: u32 = 5;

/// The limit of a window that is not looked at.
pub const NO_LIMIT: i32 = i32::MAX;
/// `FlowSlot::peer` where there is none.
pub const NO_PEER: u32 = u32::MAX;

/// What user space wants of a flow, and the [`Run`](crate::Run) that is being gathered: an element of the map `SLOTS`,
/// which user space has mapped into its memory. Two cache lines, of which the second is for flows whose framing is read.
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
    /// The sequence number behind what passed in order so far, as far as `follows` says that it is known.
    pub next: u32,
    /// `order::*`.
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
    /// HTTP/2: the slot of the connection's other direction, where that one's `peer` is this slot; else [`NO_PEER`].
    pub peer: u32,
    /// What the program knows of the framing.
    pub framing: FlowFraming,
}

/// How far a program has read a flow's framing: frames of HTTP/2, or chunks.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default)]
#[cfg_attr(feature = "user", derive(FromBytes, IntoBytes, Immutable, KnownLayout))]
pub struct FlowFraming {
    /// HTTP/2, in the slot of DATA: what could be sent on the connection and on the stream at both slots' `anchor`, or
    /// [`NO_LIMIT`]. Written by user space.
    pub limits: [i32; 2],
    /// HTTP/2, connection and stream: bytes by which frames since `anchor` used up the window (DATA), or opened it
    /// (WINDOW_UPDATE).
    pub sums: [u64; 2],
    /// A unit of framing of which not all passed. HTTP/2: the bytes of a frame's header, in their order in memory. Chunks:
    /// the size that the digits so far give.
    pub partial: u64,
    /// Sequence number of the unit with which the program began.
    pub anchor: u32,
    /// HTTP/2: the stream. Written by user space.
    pub stream_id: u32,
    /// Bytes of the frame's payload, or of the chunk, that come next.
    pub left: u32,
    /// HTTP/2: how many there are of them in all. Chunks: bytes of the line's extension so far.
    pub length: u32,
    /// Of the run: what [`FramedRun::counts`](crate::FramedRun) says, so far.
    pub counts: [u32; 2],
    /// HTTP/2: bytes in `partial`. Chunks: `chunk_phase::*`.
    pub have: u8,
    /// `knowledge::*`.
    pub known: u8,
    /// HTTP/2: bits of `frame_class` of the frame of which `left` bytes come next.
    pub class: u8,
    /// `Header::kind` of the run.
    pub run_kind: u8,
    /// HTTP/2: no frame's payload is longer; what seems to be one is none. Written by user space.
    pub max_frame: u32,
}

/// What is known of `FlowSlot::next`.
pub mod order {
    /// Nothing.
    pub const UNKNOWN: u8 = 0;
    /// A segment passed, and what begins there follows it.
    pub const SEEN: u8 = 1;
    /// User space has come so far; no segment passed since. What begins there may have passed before.
    pub const TOLD: u8 = 2;
}

/// What is known of a flow's framing.
pub mod knowledge {
    /// Nothing: the program searches for a place to begin.
    pub const NONE: u8 = 0;
    /// User space knows a place. Unless what passes shows that it has been passed, the program begins with it.
    pub const TOLD: u8 = 1;
    /// The program reads from a place that user space has still to find right.
    pub const BEGUN: u8 = 2;
    /// From one that it found right.
    pub const RIGHT: u8 = 3;
}

/// What a frame of HTTP/2 is to the program that reads DATA: bits.
pub mod frame_class {
    /// DATA: it uses up the connection's window.
    pub const DATA: u32 = 1;
    /// Of the stream: its window, too.
    pub const STREAM: u32 = 2;
    /// Not wanted: neither the stream's end, nor with padding.
    pub const PLAIN: u32 = 4;
}

/// Where in a chunked body a flow is.
pub mod chunk_phase {
    /// In a chunk.
    pub const DATA: u8 = 0;
    /// Behind it, before the end of the line.
    pub const DATA_END: u8 = 1;
    /// Before the first digit of a size.
    pub const SIZE: u8 = 2;
    /// Behind a digit.
    pub const DIGITS: u8 = 3;
    /// Behind the size, before the end of the line.
    pub const EXTENSION: u8 = 4;
}

const _: () = assert!(size_of::<FlowKey>() == 48);
const _: () = assert!(size_of::<FlowRef>() == 8);
const _: () = assert!(size_of::<FlowFraming>() == 64);
const _: () = assert!(size_of::<FlowSlot>() == 128);

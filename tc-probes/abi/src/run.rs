#[cfg(feature = "user")]
use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout};

use crate::{Header, Tuple};

/// The most bytes of one [`Run`].
pub const MAX_RUN: u32 = 1 << 28;

/// Segments of one direction of a connection that lie one behind the other in sequence numbers, passed in that order, and
/// carried payload that user space does not want: together one record, which is written before that of what ended it.
#[repr(C)]
#[derive(Clone, Copy, Debug)]
#[cfg_attr(feature = "user", derive(FromBytes, IntoBytes, Immutable, KnownLayout))]
pub struct Run {
    /// The record's header; its time is that of the last segment, its bank that of all of them.
    pub header: Header,
    /// Addresses and ports.
    pub tuple: Tuple,
    /// Sequence number of the first byte.
    pub seq: u32,
    /// Bytes of TCP payload; at most [`MAX_RUN`].
    pub len: u32,
    /// Acknowledgement number of the last segment; 0 without the ACK flag.
    pub ack: u32,
    /// When the first segment passed.
    pub first_time: u64,
    /// Cookie of the pod's own socket, or 0: as in [`Segment`](crate::Segment).
    pub cookie: u64,
    /// How many segments; a part of one counts as one.
    pub segments: u32,
    /// Zero.
    pub pad: [u32; 5],
}

/// A [`Run`] whose framing the program has read: what is in it, and where in the framing it ends.
#[repr(C)]
#[derive(Clone, Copy, Debug)]
#[cfg_attr(feature = "user", derive(FromBytes, IntoBytes, Immutable, KnownLayout))]
pub struct FramedRun {
    /// The run, with a kind of its own in its header.
    pub run: Run,
    /// See [`FlowFraming::partial`](crate::FlowFraming): of what the run ends in.
    pub partial: u64,
    /// DATA: bytes of payload, and headers of which the last byte is in the run. WINDOW_UPDATE: by how much they opened the
    /// connection's window, and the stream's. Chunks: bytes of body, and lines with a size of which the last byte is in
    /// the run.
    pub counts: [u32; 2],
    /// HTTP/2: the stream.
    pub stream_id: u32,
    /// DATA: the length of the last frame whose header is in the run. Chunks: bytes of the extension that the run ends in.
    pub length: u32,
    /// Bytes of the frame's payload, or of the chunk, that come behind the run.
    pub left: u32,
    /// See [`FlowFraming::have`](crate::FlowFraming): of what the run ends in.
    pub have: u8,
    /// `window::*`: DATA that used them up, or WINDOW_UPDATE that opened them when they were used up. That ends a run.
    pub windows: u8,
    /// Zero.
    pub pad: u16,
}

/// Bits of `FramedRun::windows`, by their place in the pairs of connection and stream.
pub mod window {
    /// The connection's.
    pub const CONNECTION: u8 = 1;
    /// The stream's.
    pub const STREAM: u8 = 2;
}

/// Where a program believes that a unit of a flow's framing begins: a frame's header, or a chunk's size. From there on it reads
/// the framing. All payload is recorded until user space finds it right (see [`WANT_FRAMES`](crate::WANT_FRAMES)): so user
/// space, which is always late, need not know where the flow has come in the meantime. Written before the record of the segment.
#[repr(C)]
#[derive(Clone, Copy, Debug)]
#[cfg_attr(feature = "user", derive(FromBytes, IntoBytes, Immutable, KnownLayout))]
pub struct Border {
    /// The record's header.
    pub header: Header,
    /// Addresses and ports.
    pub tuple: Tuple,
    /// The place's sequence number.
    pub seq: u32,
    /// The sequence number up to which the program has seen the flow, with this segment.
    pub next: u32,
    /// Zero.
    pub pad: u32,
}

const _: () = assert!(size_of::<Run>() == 112);
const _: () = assert!(size_of::<FramedRun>() == 144);
const _: () = assert!(size_of::<Border>() == 72);

//! Stretches of a stream that the programs read themselves, and of which they tell what was in them.
use std::ops::Range;

use weft_abi::{FramedRun, KIND_CHUNK_RUN, KIND_FRAME_RUN, KIND_UPDATE_RUN, chunk_phase, window};

/// Where a program begins to read a direction's framing.
#[derive(Clone, Copy, Debug)]
pub(super) struct Border {
    /// Its stream offset.
    pub(super) offset: u64,
    /// Nothing is known to have passed behind what the program has seen: what follows that it has not passed before.
    pub(super) saw_all: bool,
}

/// What was in a stretch of bytes of which nobody has any.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Stretch {
    /// DATA frames of one stream of HTTP/2.
    Frames(FrameRun),
    /// WINDOW_UPDATE frames of HTTP/2.
    Updates(UpdateRun),
    /// Chunks of a body in chunked transfer coding.
    Chunks(ChunkRun),
}

/// DATA frames of one stream without flags, and nothing else. May begin within one and end within another.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct FrameRun {
    pub(super) stream_id: u32,
    /// Bytes of payload.
    pub(super) body: u32,
    /// Headers of which the last byte is in it.
    pub(super) headers: u32,
    /// The length of the frame with the last of these headers.
    pub(super) length: u32,
    /// Bytes of the last frame's payload that come behind it.
    pub(super) left: u32,
    /// The windows that its last frame used up.
    pub(super) used_up: Which,
}

/// WINDOW_UPDATE of the connection and of one stream.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct UpdateRun {
    pub(super) stream_id: u32,
    /// By how much they opened the connection's window, and the stream's.
    pub(super) opened: [u32; 2],
    /// The windows that were used up until the last one.
    pub(super) were_used_up: Which,
}

/// A window of the connection, of the stream, or of both.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Which {
    pub(super) connection: bool,
    pub(super) stream: bool,
}

/// Parts of a chunked body.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct ChunkRun {
    /// Bytes of the body.
    pub(super) body: u32,
    /// Lines with a size of which the last byte is in it.
    pub(super) lines: u32,
    pub(super) end: ChunkEnd,
}

/// Where in its framing a stretch of chunks ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum ChunkEnd {
    /// So many bytes of the chunk come behind it.
    Data(u64),
    /// The end of the line behind a chunk.
    DataEnd,
    /// In a size: its value so far, and whether it has digits.
    Size(u64, bool),
    /// Behind this size, before the line's end; and how long the extension is so far.
    Extension(u64, u32),
}

impl Stretch {
    /// What a record says, and which bytes of `FramedRun::partial` are the run's last: those of a frame's header of which
    /// some may have come before the run. Nothing where it contradicts itself.
    pub(super) fn of(framed: &FramedRun) -> Option<(Self, Range<usize>)> {
        let [first, second] = framed.counts;
        let FramedRun { stream_id, left, length, .. } = *framed;
        let windows = Which::of(framed.windows);
        let have = usize::from(framed.have);
        let stretch = match framed.run.header.kind {
            KIND_FRAME_RUN if have <= size_of::<u64>() && (have == 0 || left == 0) => {
                let (body, headers, used_up) = (first, second, windows);
                Self::Frames(FrameRun { stream_id, body, headers, length, left, used_up })
            }
            KIND_UPDATE_RUN => {
                let run = UpdateRun { stream_id, opened: framed.counts, were_used_up: windows };
                return Some((Self::Updates(run), 0..0));
            }
            KIND_CHUNK_RUN => {
                let end = ChunkEnd::of(framed)?;
                return Some((Self::Chunks(ChunkRun { body: first, lines: second, end }), 0..0));
            }
            _ => return None,
        };
        let tail = have.min(framed.run.len as usize);
        Some((stretch, have - tail..have))
    }
}

impl ChunkEnd {
    fn of(framed: &FramedRun) -> Option<Self> {
        match framed.have {
            chunk_phase::DATA => Some(Self::Data(framed.left.into())),
            chunk_phase::DATA_END => Some(Self::DataEnd),
            chunk_phase::SIZE => Some(Self::Size(0, false)),
            chunk_phase::DIGITS => Some(Self::Size(framed.partial, true)),
            chunk_phase::EXTENSION => Some(Self::Extension(framed.partial, framed.length)),
            _ => None,
        }
    }
}

impl Which {
    fn of(bits: u8) -> Self {
        Self { connection: bits & window::CONNECTION != 0, stream: bits & window::STREAM != 0 }
    }
}

//! Frames that the program in the kernel has read, and of which it tells no more than how many they were.
use super::{
    super::{conversation::Link, direction::Direction, stream::Chunk, work::Work},
    connection::{Connection, Cx},
    frame::{FrameHeader, FrameType, HEADER},
    half::{At, Half},
    messages::Growth,
};
use crate::{Anomalies, Anomaly, Protocol};

/// A stretch of one direction in which there are DATA frames of one stream without flags, and nothing else. It may begin
/// within the payload of the first one and end within that of the last one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::wire) struct FrameRun {
    pub(in crate::wire) stream_id: u32,
    /// Frames that begin in it.
    pub(in crate::wire) frames: u32,
    /// Bytes of the last one's payload that come behind it.
    pub(in crate::wire) left: u32,
}

/// A body is worth leaving out when so much of it was seen.
const BULK: u64 = 64 * 1024;

impl Connection {
    /// Such a stretch passed: `chunk` says where, and when its last byte did.
    pub(in crate::wire) fn run(
        &mut self,
        link: &Link,
        direction: Direction,
        chunk: &Chunk<'_>,
        run: FrameRun,
        work: &mut Work<'_>,
    ) {
        let cx = &mut Cx { link, direction, work };
        let Some(last) = self.half(direction).last_frame(chunk.len, run) else {
            cx.work.opaque(direction, chunk.len);
            return self.lose(cx, Anomaly::Gap, chunk.time);
        };
        cx.decoded(chunk.len);
        if run.frames > 0 {
            if let At::Payload(frame, _) = self.half(direction).at {
                self.use_up(cx, frame, chunk.time);
            }
            self.resume_window(direction, run.stream_id);
        }
        self.grow_by_run(cx, chunk, run);
        self.half(direction).at = At::Payload(last, run.left);
        if run.left == 0 {
            self.close_frame(cx, last, chunk.end(), chunk.time);
        }
    }

    fn grow_by_run(&mut self, cx: &mut Cx<'_, '_>, chunk: &Chunk<'_>, run: FrameRun) {
        let body = chunk.len.saturating_sub(run.header_bytes());
        let (bytes, end, time, odd) = (chunk.len, chunk.end(), chunk.time, Anomalies::default());
        self.grow(cx, run.stream_id, Growth { bytes, body, end, time, odd });
        if let Some(role) = self.role(cx.direction)
            && let Some(slot) = self.streams.get(run.stream_id)
        {
            slot.message(role).walk.miss(body);
        }
    }

    /// The stream whose DATA frames without flags need not be looked at in a direction: a large body of which nothing but
    /// its length is of use. gRPC's has messages in it.
    pub(in crate::wire) fn bulk_stream(&mut self, direction: Direction) -> Option<u32> {
        let role = self.role(direction)?;
        let At::Payload(frame, _) = self.half(direction).at else { return None };
        let slot = self.streams.get(frame.stream_id).filter(|_| frame.kind == FrameType::Data)?;
        let exchange = &slot.stream.exchange;
        let body = slot.body_bytes(role);
        (exchange.protocol != Protocol::Grpc && body >= BULK).then_some(frame.stream_id)
    }
}

impl FrameRun {
    fn header_bytes(self) -> u64 {
        HEADER as u64 * u64::from(self.frames)
    }
}

impl Half {
    /// The frame that a run of `len` bytes ends in; nothing where no such run can be here. As nothing is sent between its
    /// frames, those that begin in it count as one for flow control.
    fn last_frame(&self, len: u64, run: FrameRun) -> Option<FrameHeader> {
        let (frame, left) = match self.at {
            At::Payload(frame, left) if frame.is_plain_data_of(run.stream_id) => (Some(frame), left),
            At::Header if self.piece.is_empty() && self.block.is_none() => (None, 0),
            _ => return None,
        };
        if run.frames == 0 {
            return frame.filter(|_| len.checked_add(run.left.into()) == Some(left.into()));
        }
        let payloads = len.checked_sub(run.header_bytes())?.checked_sub(left.into())?;
        let length = u32::try_from(payloads).ok()?.checked_add(run.left)?;
        Some(FrameHeader { length, kind: FrameType::Data, flags: 0, stream_id: run.stream_id })
    }
}

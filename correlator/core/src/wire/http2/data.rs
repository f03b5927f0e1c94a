//! DATA (RFC 9113, 6.1).
use super::{
    super::{direction::Direction, stream::Chunk},
    connection::{Connection, Cx},
    frame::{FrameHeader, HEADER, flag},
    messages::Growth,
    stream::Role,
    window,
};
use crate::{Anomaly, Ktime, Protocol};

impl Connection {
    /// A frame's header is complete; the chunk begins behind it.
    pub(super) fn begin_data(&mut self, cx: &mut Cx<'_, '_>, frame: FrameHeader, chunk: &Chunk<'_>) {
        if frame.stream_id == 0 {
            cx.violation();
        }
        let direction = cx.direction;
        if frame.length > 0 {
            self.resume_window(direction, frame.stream_id);
        }
        let odd = self.half(direction).odd;
        let (bytes, end, time) = (HEADER as u64, chunk.offset, chunk.time);
        self.grow(cx, frame.stream_id, Growth { bytes, body: 0, end, time, odd });
    }

    /// DATA is sent: what it waited for is there.
    pub(super) fn resume_window(&mut self, direction: Direction, stream_id: u32) {
        if let Some(role) = self.role(direction)
            && let Some(slot) = self.streams.get(stream_id)
        {
            let half = direction.of_mut(&mut self.halves);
            slot.message(role).window.resume(&mut half.window, &half.initial_window);
        }
    }

    /// A part of the payload; `left` bytes of it were left before.
    pub(super) fn data(&mut self, cx: &mut Cx<'_, '_>, frame: FrameHeader, left: u32, part: Chunk<'_>) {
        cx.decoded(part.len);
        let mut body = part;
        let mut left = left;
        if frame.has(flag::PADDED) && self.half(cx.direction).pad.is_none() {
            let pad = body.take(1).front().first().copied();
            cx.work.safe(cx.direction, part.offset, pad.as_slice());
            left -= 1;
            self.half(cx.direction).pad = Some(pad.unwrap_or(0));
            if pad.is_none() {
                self.break_message(cx, frame.stream_id, Anomaly::Gap);
            }
        }
        let padding = self.half(cx.direction).pad.unwrap_or(0);
        let body = body.take(left.saturating_sub(padding.into()).into());
        let (end, time, odd) = (part.end(), part.time, part.odd);
        self.grow(cx, frame.stream_id, Growth { bytes: part.len, body: body.len, end, time, odd });
        self.walk(cx, frame.stream_id, &body);
    }

    /// The messages of a gRPC call.
    fn walk(&mut self, cx: &mut Cx<'_, '_>, stream_id: u32, body: &Chunk<'_>) {
        let Some(role) = self.role(cx.direction) else { return };
        let Some(slot) = self.streams.get(stream_id) else { return };
        if slot.stream.exchange.protocol == Protocol::Grpc {
            let walk = &mut slot.message(role).walk;
            walk.miss(body.hole);
            if cx.work.redacts() {
                let at = body.offset + body.hole;
                walk.prefixes(body.data, |from, prefix| {
                    cx.work.safe(cx.direction, at + from as u64, prefix);
                });
            }
            walk.take(body.data, body.time);
            walk.miss(body.len - body.hole - body.data.len() as u64);
        }
    }

    /// The frame is complete.
    pub(super) fn end_data(&mut self, cx: &mut Cx<'_, '_>, frame: FrameHeader, time: Ktime) {
        self.use_up(cx, frame, time);
        if frame.ends_stream() {
            self.end_message(cx, frame.stream_id);
        }
    }

    /// The whole payload counts, padding too (6.9.1).
    pub(super) fn use_up(&mut self, cx: &Cx<'_, '_>, frame: FrameHeader, time: Ktime) {
        let role = self.role(cx.direction);
        let half = cx.direction.of_mut(&mut self.halves);
        let slot = self.streams.get(frame.stream_id).filter(|_| frame.length > 0);
        match (role, slot) {
            (Some(role), Some(slot)) => {
                let window = &mut slot.message(role).window;
                window.use_up(frame.length, &mut half.window, &half.initial_window, time);
            }
            _ => window::use_up_unknown(&mut half.window, frame.length, time),
        }
    }

    /// Some of a message was not seen.
    pub(super) fn break_message(&mut self, cx: &Cx<'_, '_>, stream_id: u32, anomaly: Anomaly) {
        let Some(role) = self.role(cx.direction) else { return };
        if let Some(slot) = self.streams.get(stream_id) {
            slot.break_message(role, anomaly);
        }
    }

    /// Whether it is the request's or the response's sender that sends.
    pub(super) fn is_request(&self, cx: &Cx<'_, '_>) -> bool {
        self.role(cx.direction) == Some(Role::Request)
    }
}

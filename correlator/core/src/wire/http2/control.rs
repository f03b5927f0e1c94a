//! Frames that are about a connection or about the life of a stream.
use super::{
    super::stream::Chunk,
    connection::{Connection, Cx},
    frame::{FrameHeader, FrameType, id},
    half::At,
    stream::{Phase, Role},
};
use crate::{Anomaly, ErrorCode, Ktime};

/// Bytes of the payload that belong together; 0 where the payload is of no interest.
fn unit(kind: FrameType) -> usize {
    match kind {
        FrameType::Settings => 6,
        FrameType::RstStream | FrameType::WindowUpdate => 4,
        FrameType::GoAway => 8,
        _ => 0,
    }
}

impl Connection {
    pub(super) fn control(&mut self, cx: &mut Cx<'_, '_>, frame: FrameHeader, part: Chunk<'_>) {
        cx.decoded(part.len);
        let size = unit(frame.kind);
        if size == 0 || frame.kind == FrameType::GoAway && self.consumed(cx, part.len) >= size as u64 {
            return;
        }
        let mut bytes = part.front();
        if bytes.len() as u64 != part.len {
            return self.lose(cx, Anomaly::Gap, part.time);
        }
        if cx.work.redacts() {
            let most = if frame.kind == FrameType::GoAway {
                (size as u64).saturating_sub(self.consumed(cx, part.len))
            } else {
                part.len
            };
            let most = bytes.len().min(usize::try_from(most).unwrap_or(usize::MAX));
            cx.work.safe(cx.direction, part.offset, bytes.get(..most).unwrap_or_default());
        }
        while !bytes.is_empty() {
            let piece = &mut self.half(cx.direction).piece;
            let (used, whole) = piece.fill(size, bytes);
            bytes = bytes.get(used..).unwrap_or_default();
            if whole {
                let [a, b, c, d, e, f, g, h, _] = piece.take();
                let numbers = [[a, b, c, d], [e, f, g, h]];
                self.unit(cx, frame, numbers, part.time);
                if frame.kind == FrameType::GoAway {
                    return;
                }
            }
        }
    }

    /// How much of the payload came before the last `len` bytes.
    fn consumed(&mut self, cx: &Cx<'_, '_>, len: u64) -> u64 {
        match self.half(cx.direction).at {
            At::Payload(frame, left) => u64::from(frame.length - left).saturating_sub(len),
            _ => 0,
        }
    }

    fn unit(&mut self, cx: &mut Cx<'_, '_>, frame: FrameHeader, numbers: [[u8; 4]; 2], time: Ktime) {
        let [first, second] = numbers;
        let [a, b, c, d] = first;
        let [e, f, ..] = second;
        match frame.kind {
            FrameType::Settings => {
                self.setting(cx, u16::from_be_bytes([a, b]), u32::from_be_bytes([c, d, e, f]), time);
            }
            FrameType::WindowUpdate => self.window_update(cx, frame.stream_id, id(first), time),
            FrameType::RstStream => {
                self.reset(cx, frame.stream_id, ErrorCode(u32::from_be_bytes(first)), time);
            }
            FrameType::GoAway => self.go_away(cx, id(first), time),
            _ => {}
        }
    }

    /// RFC 9113, 6.9. What the other end may send.
    fn window_update(&mut self, cx: &mut Cx<'_, '_>, stream_id: u32, bytes: u32, time: Ktime) {
        self.note_update(cx.direction, stream_id, bytes);
        let sender = cx.direction.reverse();
        let role = self.role(sender);
        let half = sender.of_mut(&mut self.halves);
        if stream_id == 0 {
            return half.window.open(bytes, time);
        }
        if let (Some(role), Some(slot)) = (role, self.streams.get(stream_id)) {
            slot.message(role).window.open(bytes, &half.window, &half.initial_window, time);
        }
    }

    /// RFC 9113, 6.4 and 8.1: a server that has answered and needs no more of the request says NO_ERROR.
    fn reset(&mut self, cx: &mut Cx<'_, '_>, stream_id: u32, code: ErrorCode, time: Ktime) {
        if stream_id == 0 {
            return cx.violation();
        }
        let (role, all_seen) = (self.role(cx.direction), self.all_seen);
        let Self { halves, requests, streams, .. } = self;
        let Some(slot) = streams.get(stream_id) else { return };
        slot.end_waits(halves, *requests, time);
        let stream = &mut slot.stream;
        stream.exchange.reset = Some(code);
        stream.cancelled |= role == Some(Role::Request) && code == ErrorCode::CANCEL;
        let over = code == ErrorCode::NO_ERROR && slot.is_done(Role::Response);
        if over {
            slot.message(Role::Request).phase = Phase::Done;
        }
        self.streams.finish(stream_id, over, all_seen, cx.work);
    }

    /// RFC 9113, 6.8: streams of the other end above the last one will never be looked at.
    fn go_away(&mut self, cx: &mut Cx<'_, '_>, last: u32, time: Ktime) {
        let Some(role) = self.role(cx.direction) else { return };
        // A server speaks of what the client opened, a client of what was pushed.
        let odd = u32::from(role == Role::Response);
        let Self { halves, requests, streams, all_seen, .. } = self;
        streams.end_above(last, odd, *all_seen, cx.work, |slot| slot.end_waits(halves, *requests, time));
    }
}

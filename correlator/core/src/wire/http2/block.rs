//! Header blocks (RFC 9113, 4.3): HEADERS or PUSH_PROMISE and what CONTINUATION follows, from their frames to fields.
use super::{
    super::stream::Chunk,
    connection::{Connection, Cx},
    fields::Fields,
    frame::{self, FrameHeader, FrameType, HEADER, flag},
    half::{Block, Start},
    hpack::Literals,
};
use crate::{Anomalies, Anomaly, Ktime};

/// A block of at most so many bytes is kept, however few of a head are configured to be: without it the header table, and
/// with it the connection's later heads, would not be known.
const MAX_BLOCK: u64 = 64 * 1024;

/// A header block with its place on the wire.
pub(super) struct Head {
    pub(super) stream_id: u32,
    /// The stream that it promises, or 0.
    pub(super) promised: u32,
    pub(super) ends_stream: bool,
    pub(super) fields: Fields,
    pub(super) anomalies: Anomalies,
    pub(super) start: Start,
    /// Behind its last byte.
    pub(super) end: u64,
    /// Of its last byte.
    pub(super) time: Ktime,
    /// Of its frames.
    pub(super) bytes: u64,
    pub(super) odd: Anomalies,
}

impl Connection {
    /// A header block must be followed by its continuation, and by nothing else (6.10). Gives the frame as what it is for
    /// us: a continuation of nothing begins no block.
    pub(super) fn expect_continuation(&mut self, cx: &mut Cx<'_, '_>, frame: FrameHeader) -> FrameHeader {
        let half = self.half(cx.direction);
        let continues = frame.kind == FrameType::Continuation;
        let expected = half.block.as_deref().map(|block| block.frame.stream_id);
        if continues && expected == Some(frame.stream_id) {
            return frame;
        }
        if let Some(mut block) = half.block.take() {
            block.abandon(cx.direction, cx.work);
        }
        half.forget_table(cx.work);
        cx.violation();
        let kind = if continues { FrameType::Unknown(frame::CONTINUATION) } else { frame.kind };
        FrameHeader { kind, ..frame }
    }

    /// A part of a frame's payload.
    pub(super) fn fragment(&mut self, cx: &mut Cx<'_, '_>, frame: FrameHeader, part: Chunk<'_>) {
        let bytes = part.front();
        if bytes.len() as u64 != part.len {
            cx.work.opaque(cx.direction, part.len);
            return self.lose(cx, Anomaly::Gap, part.time);
        }
        let limit = MAX_BLOCK.max(cx.work.config.max_header_bytes as u64);
        let half = self.half(cx.direction);
        if half.block.is_none() {
            cx.work.forget_block(cx.direction);
        }
        cx.work.block_part(cx.direction, frame, &part);
        let half = self.half(cx.direction);
        let whole = part.len == u64::from(frame.length) && frame.has(flag::END_HEADERS);
        if whole && half.block.is_none() && part.len <= limit && frame.kind != FrameType::Continuation {
            cx.decoded(part.len);
            return self.whole_block(cx, frame, bytes, &part);
        }
        let (start, odd) = (half.start, half.odd);
        let block = half.block.get_or_insert_with(|| Box::new(Block::new(frame, start)));
        block.odd |= odd;
        if block.is_kept() && !block.fits(part.len, limit) {
            block.too_large = true;
            block.release(cx.direction, cx.work);
        }
        if !block.is_kept() {
            return cx.decoded(part.len);
        }
        if !block.append(cx.direction, bytes, cx.work) {
            cx.work.opaque(cx.direction, part.len);
            self.lose(cx, Anomaly::Evicted, part.time);
        }
    }

    /// A block that is in one piece, as most are.
    fn whole_block(&mut self, cx: &mut Cx<'_, '_>, frame: FrameHeader, payload: &[u8], part: &Chunk<'_>) {
        let half = self.half(cx.direction);
        let (start, odd) = (half.start, half.odd);
        let mut block = Block::new(frame, start);
        block.odd = odd;
        block.wire_bytes = HEADER as u64 + part.len;
        let Some((promised, fragment)) = frame.fragment(payload) else {
            block.malformed = true;
            return self.end_block(cx, &block, &[], part.end(), part.time);
        };
        block.promised = promised;
        self.end_block(cx, &block, fragment, part.end(), part.time);
    }

    /// A frame of a block is complete.
    pub(super) fn end_fragment(&mut self, cx: &mut Cx<'_, '_>, frame: FrameHeader, end: u64, time: Ktime) {
        if frame.length == 0 && frame.kind != FrameType::Continuation {
            self.begin_empty(cx, frame);
        }
        let half = self.half(cx.direction);
        let Some(block) = half.block.as_deref_mut() else { return };
        block.wire_bytes += HEADER as u64 + u64::from(frame.length);
        if block.is_kept() {
            block.end_frame(frame, cx.direction, cx.work);
        }
        if !frame.has(flag::END_HEADERS) {
            return;
        }
        let Some(mut block) = half.block.take() else { return };
        let bytes = block.release(cx.direction, cx.work);
        self.end_block(cx, &block, &bytes, end, time);
    }

    /// A block may begin with nothing, and end with it: then it has no fields.
    fn begin_empty(&mut self, cx: &mut Cx<'_, '_>, frame: FrameHeader) {
        cx.work.forget_block(cx.direction);
        let half = self.half(cx.direction);
        let mut block = Box::new(Block::new(frame, half.start));
        block.odd = half.odd;
        half.block = Some(block);
    }

    fn end_block(&mut self, cx: &mut Cx<'_, '_>, block: &Block, bytes: &[u8], end: u64, time: Ktime) {
        let (fields, anomalies) = self.decode(cx, block, bytes);
        let head = Head {
            stream_id: block.frame.stream_id,
            promised: block.promised,
            ends_stream: block.frame.ends_stream(),
            fields,
            anomalies,
            start: block.start,
            end,
            time,
            bytes: block.wire_bytes,
            odd: block.odd,
        };
        self.head(cx, head);
    }

    fn decode(&mut self, cx: &mut Cx<'_, '_>, block: &Block, bytes: &[u8]) -> (Fields, Anomalies) {
        let mut fields = Fields::default();
        let mut anomalies = Anomalies::default();
        let decoder = &mut self.half(cx.direction).decoder;
        cx.work.safe_block(cx.direction, !block.too_large, || {
            if block.is_kept() { decoder.literals(bytes) } else { Literals::default() }
        });
        let redact = cx.work.config.redact_query;
        let wrong = if !block.is_kept() {
            decoder.lost_block();
            fields.unknown = true;
            Some(if block.too_large { Anomaly::HeaderTooLarge } else { Anomaly::ProtocolError })
        } else {
            let scratch = &mut cx.work.out.scratch;
            let done = decoder.decode(bytes, scratch, |field| fields.take(&field, redact));
            match done {
                Ok(summary) => (summary.oversized > 0).then_some(Anomaly::HeaderTooLarge),
                Err(_) => Some(Anomaly::ProtocolError),
            }
        };
        // What was not handed on may be any of them.
        fields.unknown |= wrong == Some(Anomaly::HeaderTooLarge);
        self.half(cx.direction).weigh(cx.work);
        self.confirmed |= wrong.is_none() && (fields.of_request || fields.of_response);
        if let Some(anomaly) = wrong {
            cx.work.tally.count(anomaly);
            anomalies.insert(anomaly);
        }
        (fields, anomalies)
    }
}

//! What one direction of an HTTP/1 connection is in the middle of.
use super::{
    super::{
        direction::Direction,
        stream::Chunk,
        work::{HEAD_BYTES, Work},
    },
    body::{Body, Progress, Reached},
    head::Parsed,
    lines::HeadEnd,
    long::Partial,
};
use crate::{Anomalies, Anomaly, Ktime, MessageSpan};

/// Where in its messages a direction is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in super::super) enum State {
    /// A message begins here, or within a head that came in pieces.
    Head,
    /// Within a body.
    Body(Body),
    /// Somewhere: bytes are opaque until a message's beginning is found again.
    Lost,
    /// What comes is no HTTP/1, or can never be told again.
    Opaque,
}

/// The message that a direction is in, and what is kept of it.
pub(in super::super) struct Reader {
    pub(in super::super) state: State,
    /// Stream offset of the message's first byte.
    pub(in super::super) start: u64,
    /// The message so far.
    pub(in super::super) span: MessageSpan,
    /// Acknowledgement number of the segment that first carried the first byte, as an offset of the reverse stream.
    pub(in super::super) ack: Option<u64>,
    /// What was odd about the way of its bytes.
    pub(in super::super) odd: Anomalies,
    pub(super) partial: Option<Box<Partial>>,
}

/// What a chunk did for a head.
pub(in super::super) enum HeadStep<T> {
    /// There it is; the chunk now begins behind it.
    Complete(T),
    /// More bytes are needed; the chunk is used up.
    Partial,
    /// There is none, for this reason; the chunk is as it was.
    Failed(Anomaly),
}

const NEVER: MessageSpan = MessageSpan { first_byte: Ktime(0), last_byte: Ktime(0), bytes: 0, body_bytes: 0 };

impl Reader {
    pub(in super::super) fn new(state: State) -> Self {
        Self { state, start: 0, span: NEVER, ack: None, odd: Anomalies::default(), partial: None }
    }

    /// Whether no byte of a message came yet.
    pub(in super::super) fn at_boundary(&self) -> bool {
        self.state == State::Head && self.partial.is_none()
    }

    /// The bytes of a head that came so far; of a long one, what is kept of them.
    pub(in super::super) fn partial(&self) -> &[u8] {
        match self.partial.as_deref() {
            None => &[],
            Some(Partial::Whole { bytes, .. }) => bytes,
            Some(Partial::Long(head)) => head.kept(),
        }
    }

    /// The same as a chunk, where a direction's first bytes wait to be told apart.
    pub(in super::super) fn waited(&self) -> Option<Chunk<'_>> {
        let data = self.partial();
        (!data.is_empty()).then_some(Chunk {
            offset: self.start,
            len: data.len() as u64,
            hole: 0,
            data,
            stretch: None,
            time: self.span.last_byte,
            first_time: self.span.first_byte,
            ack: self.ack,
            reverse_end: 0,
            segment_start: true,
            odd: self.odd,
        })
    }

    /// A message begins with this chunk.
    pub(in super::super) fn begin(&mut self, chunk: &Chunk<'_>) {
        self.start = chunk.offset;
        self.span = MessageSpan { first_byte: chunk.time, last_byte: chunk.time, bytes: 0, body_bytes: 0 };
        self.ack = chunk.ack;
        self.odd = Anomalies::default();
    }

    /// Reads a head, in place where the chunk has all of it. `parse` is given the bytes and the limit.
    pub(in super::super) fn head<T>(
        &mut self,
        direction: Direction,
        chunk: &mut Chunk<'_>,
        work: &mut Work<'_>,
        parse: impl Fn(&[u8], usize) -> Parsed<T>,
    ) -> HeadStep<T> {
        self.odd |= chunk.odd;
        match self.partial.as_deref() {
            Some(Partial::Whole { .. }) => return self.more(direction, chunk, work, parse),
            Some(Partial::Long(_)) => return self.more_long(direction, chunk, work, parse),
            None => {}
        }
        match parse(chunk.front(), work.config.max_header_bytes) {
            Parsed::Complete(head, len) => {
                work.safe_head(direction, self.start, chunk.front().get(..len).unwrap_or_default());
                self.take_head(direction, chunk, len as u64, work);
                HeadStep::Complete(head)
            }
            Parsed::Partial => self.keep(direction, chunk, work),
            Parsed::Invalid => HeadStep::Failed(Anomaly::Garbage),
            Parsed::TooLarge => self.long(direction, chunk, work, parse),
        }
    }

    pub(super) fn take_head(
        &mut self,
        direction: Direction,
        chunk: &mut Chunk<'_>,
        len: u64,
        work: &mut Work<'_>,
    ) {
        self.span.bytes += len;
        self.span.last_byte = chunk.time;
        work.decoded(direction, len);
        chunk.advance(len);
    }

    /// Keeps a whole chunk as the first part of a head; fails where not all of it was captured.
    pub(in super::super) fn keep<T>(
        &mut self,
        direction: Direction,
        chunk: &mut Chunk<'_>,
        work: &mut Work<'_>,
    ) -> HeadStep<T> {
        let mut end = HeadEnd::default();
        end.find(chunk.front());
        self.partial = Some(Box::new(Partial::Whole { bytes: Vec::new(), end }));
        self.append(direction, chunk, work)
    }

    /// More bytes of a head that came in pieces: it is parsed once, when its end is there.
    fn more<T>(
        &mut self,
        direction: Direction,
        chunk: &mut Chunk<'_>,
        work: &mut Work<'_>,
        parse: impl Fn(&[u8], usize) -> Parsed<T>,
    ) -> HeadStep<T> {
        let limit = work.config.max_header_bytes;
        let Some(Partial::Whole { bytes: begun, end }) = self.partial.as_deref_mut() else {
            return HeadStep::Failed(Anomaly::Garbage);
        };
        let room = limit.saturating_sub(begun.len());
        let bytes = chunk.front().get(..room).unwrap_or(chunk.front());
        let Some(found) = end.find(bytes) else {
            let full = bytes.len() >= room;
            return if full {
                self.long(direction, chunk, work, parse)
            } else {
                self.append(direction, chunk, work)
            };
        };
        let waited = begun.len();
        begun.extend_from_slice(bytes.get(..found).unwrap_or_default());
        let parsed = parse(begun, limit);
        work.safe_head(direction, self.start, begun);
        begun.truncate(waited);
        let Parsed::Complete(head, _) = parsed else { return HeadStep::Failed(Anomaly::Garbage) };
        let waited = self.release(work);
        work.account(direction).decode_pending(waited);
        self.span.bytes += waited;
        self.take_head(direction, chunk, found as u64, work);
        HeadStep::Complete(head)
    }

    pub(in super::super) fn append<T>(
        &mut self,
        direction: Direction,
        chunk: &mut Chunk<'_>,
        work: &mut Work<'_>,
    ) -> HeadStep<T> {
        let bytes = chunk.front();
        if bytes.len() as u64 != chunk.len {
            return HeadStep::Failed(Anomaly::Gap);
        }
        if work.tally.heads + chunk.len > HEAD_BYTES {
            work.tally.head_overflows += 1;
            return HeadStep::Failed(Anomaly::Evicted);
        }
        if let Some(Partial::Whole { bytes: begun, .. }) = self.partial.as_deref_mut() {
            begun.extend_from_slice(bytes);
        }
        self.span.last_byte = chunk.time;
        work.tally.heads += chunk.len;
        work.account(direction).pending += chunk.len;
        chunk.advance(chunk.len);
        HeadStep::Partial
    }

    /// Frees the part of a head; says how many bytes of it were not accounted for.
    pub(super) fn release(&mut self, work: &mut Work<'_>) -> u64 {
        let (kept, pending) = (self.partial().len() as u64, !self.is_long());
        self.partial = None;
        work.tally.heads = work.tally.heads.saturating_sub(kept);
        if pending { kept } else { 0 }
    }

    /// The part of a head, for another reader: nobody has accounted for its bytes then.
    pub(in super::super) fn take_partial(&mut self, direction: Direction, work: &mut Work<'_>) -> Vec<u8> {
        if self.is_long() {
            self.release(work);
        }
        let Some(Partial::Whole { bytes, .. }) = self.partial.take().map(|partial| *partial) else {
            return Vec::new();
        };
        work.tally.heads = work.tally.heads.saturating_sub(bytes.len() as u64);
        work.account(direction).take_pending(bytes.len() as u64);
        bytes
    }

    /// The part of a head will never be one.
    pub(in super::super) fn abandon(&mut self, direction: Direction, work: &mut Work<'_>) {
        match self.partial.as_deref_mut() {
            None => {}
            Some(Partial::Whole { bytes, .. }) => work.safe_head(direction, self.start, bytes),
            Some(Partial::Long(head)) => head.tell(direction, work),
        }
        let bytes = self.release(work);
        work.account(direction).abandon_pending(bytes);
    }

    /// The same, because the connection ended within the head.
    pub(in super::super) fn cut_off(&mut self, direction: Direction, work: &mut Work<'_>) {
        if self.partial.is_some() {
            work.tally.count(Anomaly::Truncated);
        }
        self.abandon(direction, work);
    }

    /// What of the chunk belongs to the body.
    pub(in super::super) fn body(
        &mut self,
        direction: Direction,
        mut body: Body,
        chunk: &mut Chunk<'_>,
        work: &mut Work<'_>,
    ) -> Reached {
        let time = chunk.time;
        if work.redacts() {
            body.framing(chunk, |offset, framing| work.safe(direction, offset, framing));
        }
        let progress = body.take(chunk);
        work.decoded(direction, progress.bytes);
        self.odd |= chunk.odd;
        self.advance(body, progress, time);
        progress.state
    }

    /// Bytes of the body are missing; says how many, and where in the body that leads.
    pub(in super::super) fn body_gap(&mut self, mut body: Body, bytes: u64) -> Progress {
        let progress = body.skip(bytes);
        let last_seen = self.span.last_byte;
        self.advance(body, progress, last_seen);
        progress
    }

    /// The message is over: what there was of it, where it ended, and what was odd about its way.
    pub(in super::super) fn finish(&mut self) -> (MessageSpan, u64, Anomalies) {
        let over = (self.span, self.start + self.span.bytes, self.odd);
        self.state = State::Head;
        self.span = NEVER;
        self.odd = Anomalies::default();
        over
    }

    fn advance(&mut self, body: Body, progress: Progress, time: Ktime) {
        self.state = State::Body(body);
        self.span.bytes += progress.bytes;
        self.span.body_bytes += progress.body_bytes;
        if progress.bytes > 0 {
            self.span.last_byte = time;
        }
    }
}

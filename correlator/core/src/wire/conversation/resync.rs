//! What is done where messages cannot be followed. No exchange is better than a wrong one: a direction that lost its
//! place goes on only where the acknowledgement numbers prove whose answer is whose (see `Pairing::may_resume`).
use super::{
    super::{
        direction::Direction,
        http1::{Body, State},
        protocol::{Guess, NOTHING_KNOWN, STATUS_LINE, guess, is_request_line, is_usual_request_line},
        stream::Chunk,
        work::Work,
    },
    Conversation, Link, Spoken, spend,
};
use crate::{Anomaly, Protocol};

impl Conversation {
    /// A direction's place is lost. The message that it was in ends here, incomplete.
    pub(super) fn lose(&mut self, direction: Direction, anomaly: Anomaly, work: &mut Work<'_>) {
        let was_head = self.reader(direction).state == State::Head;
        let start = self.reader(direction).start;
        let at_boundary = self.reader(direction).at_boundary();
        let reader = self.reader(direction);
        reader.abandon(direction, work);
        reader.finish();
        reader.state = State::Lost;
        if self.spoken == Spoken::Unknown {
            self.doubt = Some(Anomaly::Gap);
        } else if self.spoken == Spoken::Http1(direction) {
            self.doubt = Some(Anomaly::Gap);
            self.break_request(anomaly, work);
        } else if self.pairing.pipelined {
            self.give_up(work);
        } else if !(was_head && at_boundary) {
            self.pairing.drop_before(start + 1, anomaly, work);
        }
    }

    /// The last request's end will not be seen; its response may still come.
    fn break_request(&mut self, anomaly: Anomaly, work: &mut Work<'_>) {
        if let Some(open) = self.pairing.last()
            && !open.request_done
        {
            open.request_done = true;
            open.broken = true;
            open.note(anomaly);
        }
        self.pairing.release(work);
    }

    /// What should be a head is none.
    pub(super) fn fail_head(
        &mut self,
        direction: Direction,
        anomaly: Anomaly,
        chunk: &mut Chunk<'_>,
        work: &mut Work<'_>,
    ) {
        self.show_failed(direction, anomaly, chunk, work);
        if !self.confirmed && anomaly != Anomaly::Gap && !self.looks_like_http1(direction, chunk) {
            work.safe(direction, self.reader(direction).start, NOTHING_KNOWN);
            return self.set_opaque(Protocol::Tcp, work);
        }
        let behind_message = self.reader(direction).at_boundary() && !chunk.segment_start;
        let anomaly = match anomaly {
            Anomaly::Garbage if behind_message => Anomaly::BodyLongerThanAnnounced,
            other => other,
        };
        if self.spoken == Spoken::Http1(direction) && behind_message {
            self.note_last(anomaly, work);
        } else {
            work.tally.count(anomaly);
        }
        self.lose(direction, anomaly, work);
        spend(direction, chunk, work);
    }

    /// What failed must fail again once it is masked: other protocols' lines as what they are, so nothing of them is shown.
    fn show_failed(
        &mut self,
        direction: Direction,
        anomaly: Anomaly,
        chunk: &Chunk<'_>,
        work: &mut Work<'_>,
    ) {
        let may_be_none = !matches!(anomaly, Anomaly::HeaderTooLarge | Anomaly::Gap);
        let reader = self.reader(direction);
        // Of a long head every line was told.
        if !work.redacts() || reader.is_long() || may_be_none && !self.looks_like_http1(direction, chunk) {
            return;
        }
        let reader = self.reader(direction);
        let (start, head) = (reader.start, [reader.partial(), chunk.front()].concat());
        let limit = head.len().min(work.config.max_header_bytes);
        work.safe_head(direction, start, head.get(..limit).unwrap_or_default());
    }

    fn looks_like_http1(&mut self, direction: Direction, chunk: &Chunk<'_>) -> bool {
        let partial = self.reader(direction).partial();
        let bytes = if partial.is_empty() { chunk.front() } else { partial };
        is_request_line(bytes) || guess(bytes) == Guess::Response
    }

    /// Bytes of a response that no request waits for.
    pub(super) fn unsolicited(&mut self, direction: Direction, chunk: &mut Chunk<'_>, work: &mut Work<'_>) {
        let requests_followed =
            !matches!(self.reader(direction.reverse()).state, State::Lost | State::Opaque);
        if requests_followed && chunk.segment_start {
            let response = guess(chunk.front()) == Guess::Response;
            if response {
                work.safe(direction, chunk.offset, STATUS_LINE);
            }
            work.tally.count(if response { Anomaly::ResponseWithoutRequest } else { Anomaly::Garbage });
        }
        self.reader(direction).state = State::Lost;
        if self.pairing.pipelined {
            self.give_up(work);
        }
        spend(direction, chunk, work);
    }

    /// Looks for the place where a lost direction can be followed again.
    pub(super) fn resume(&mut self, direction: Direction, chunk: &mut Chunk<'_>, work: &mut Work<'_>) {
        if self.spoken == Spoken::Http1(direction) {
            self.resume_requests(direction, chunk, work);
        } else {
            self.resume_responses(direction, chunk, work);
        }
    }

    fn resume_requests(&mut self, direction: Direction, chunk: &mut Chunk<'_>, work: &mut Work<'_>) {
        if chunk.segment_start && is_usual_request_line(chunk.front()) {
            if self.pairing.may_resume(chunk.ack, chunk.reverse_end) {
                self.pairing.resumed = true;
                self.reader(direction).state = State::Head;
                return;
            }
            // What looks like a request must look like one again.
            work.safe_line(direction, chunk);
            if self.pairing.pipelined {
                self.reader(direction).state = State::Opaque;
            }
        }
        spend(direction, chunk, work);
    }

    /// A response begins exactly where its request's sender had received everything before.
    fn resume_responses(&mut self, direction: Direction, chunk: &mut Chunk<'_>, work: &mut Work<'_>) {
        self.pairing.drop_before(chunk.offset, Anomaly::Gap, work);
        let answer_at = self.pairing.awaited().and_then(|open| open.answer_at);
        let Some(at) = answer_at.filter(|at| *at >= chunk.offset) else {
            return spend(direction, chunk, work);
        };
        let mut before = chunk.take(at.saturating_sub(chunk.offset));
        spend(direction, &mut before, work);
        if chunk.offset == at && chunk.len > 0 {
            self.pairing.resumed = true;
            self.reader(direction).state = State::Head;
        }
    }

    /// A request begins. A client that has received of a response, and goes on, does not read that up to the connection's
    /// end, whatever its head says: where it ends nobody can tell then.
    pub(super) fn end_until_close(
        &mut self,
        link: &Link,
        responses: Direction,
        received: Option<u64>,
        work: &mut Work<'_>,
    ) {
        let reader = self.reader(responses);
        let begun = received.is_some_and(|received| received > reader.start);
        if begun && reader.state == State::Body(Body::UntilClose) {
            work.tally.count(Anomaly::ConflictingLength);
            self.lose(responses, Anomaly::ConflictingLength, work);
            // The kernel was told that nothing is wanted of it.
            self.want(link, responses, 0, 0, work);
        }
    }

    /// The sender of a direction will send no more.
    pub(super) fn end(&mut self, direction: Direction, work: &mut Work<'_>) {
        let Spoken::Http1(requests) = self.spoken else {
            return self.reader(direction).cut_off(direction, work);
        };
        if self.reader(direction).state == State::Body(Body::UntilClose) {
            self.finish(direction, 0, work);
        }
        let reader = self.reader(direction);
        reader.cut_off(direction, work);
        reader.state = State::Opaque;
        if direction == requests {
            if self.pairing.last().is_some_and(|open| !open.request_done) {
                work.tally.count(Anomaly::Truncated);
            }
            self.break_request(Anomaly::Truncated, work);
        } else {
            self.pairing.drop_all(None, work);
        }
    }
}

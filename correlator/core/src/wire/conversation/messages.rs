//! Messages from their first byte to their last.
use super::{
    super::{
        direction::Direction,
        http1::{self, Body, End, Framing, HeadStep, Reached, RequestHead, ResponseHead, Target},
        pair::Open,
        stream::Chunk,
        work::{Begun, Work},
    },
    Conversation, Link, Spoken, spend,
};
use crate::{Anomaly, Config, Exchange, Ktime, MessageSpan, Propagation, Protocol, Side};

/// A request's head that outlives its bytes.
struct OwnedHead {
    method: String,
    target: Target,
    propagation: Option<Box<Propagation>>,
    end: End,
}

impl OwnedHead {
    fn new(head: &RequestHead<'_>, config: &Config) -> Self {
        let target = Target::of(head, config.redact_query);
        let propagation = head.propagation.finish();
        Self { method: head.method.to_owned(), target, propagation, end: head.end }
    }
}

impl Conversation {
    /// Whether a message begins with the chunk. Blank lines before it are no part of it (RFC 9112, 2.2).
    fn begins(&mut self, direction: Direction, chunk: &mut Chunk<'_>, work: &mut Work<'_>) -> bool {
        if !self.reader(direction).at_boundary() {
            return false;
        }
        let blank = chunk.front().iter().take_while(|byte| matches!(byte, b'\r' | b'\n')).count() as u64;
        work.decoded(direction, blank);
        work.safe(direction, chunk.offset, chunk.front().get(..blank as usize).unwrap_or_default());
        let segment_start = chunk.segment_start;
        chunk.advance(blank);
        chunk.segment_start = segment_start;
        chunk.len > 0
    }

    pub(super) fn request_head(
        &mut self,
        link: &Link,
        direction: Direction,
        chunk: &mut Chunk<'_>,
        work: &mut Work<'_>,
    ) {
        if let Some(end) = self.pairing.awaits_tunnel() {
            return self.early(direction, end, chunk, work);
        }
        if self.begins(direction, chunk, work) {
            self.end_until_close(link, direction.reverse(), chunk.ack, work);
            self.pairing.note_pipelining(chunk.ack, chunk.reverse_end);
            if self.pairing.pipelined && self.pairing.resumed {
                return self.give_up(work);
            }
            self.reader(direction).begin(chunk);
        }
        if chunk.len == 0 {
            return;
        }
        let config = work.config;
        let parse =
            |bytes: &[u8], limit| http1::request(bytes, limit).map(|head| OwnedHead::new(&head, config));
        match self.reader(direction).head(direction, chunk, work, parse) {
            HeadStep::Complete(head) => self.begin_request(link, direction, head, work),
            HeadStep::Partial => {}
            HeadStep::Failed(anomaly) => self.fail_head(direction, anomaly, chunk, work),
        }
    }

    fn begin_request(&mut self, link: &Link, direction: Direction, head: OwnedHead, work: &mut Work<'_>) {
        self.confirmed = true;
        let end = head.end;
        let open = self.open(link, direction, head);
        let begun = (!open.doubtful).then(|| Begun::new(&open.exchange, direction, open.request));
        if !self.pairing.push(open, work) {
            work.tally.count(Anomaly::TooManyPending);
            return self.lose(direction, Anomaly::TooManyPending, work);
        }
        work.out.begun.extend(begun);
        for anomaly in anomalies(end) {
            self.note_last(anomaly, work);
        }
        match Body::new(end.framing) {
            None => self.lose(direction, Anomaly::ConflictingLength, work),
            Some(body) if body.is_complete() => self.finish_request(direction, work),
            Some(body) => self.reader(direction).state = http1::State::Body(body),
        }
    }

    fn open(&mut self, link: &Link, direction: Direction, head: OwnedHead) -> Open {
        let doubt = self.doubt.take();
        let reader = self.reader(direction);
        let mut anomalies = reader.odd;
        doubt.into_iter().for_each(|doubt| anomalies.insert(doubt));
        let (start, span, answer_at) = (reader.start, reader.span, reader.ack);
        Open {
            exchange: Exchange {
                flow: link.id,
                vantage: link.vantage,
                side: if direction == Direction::FromPod { Side::Client } else { Side::Server },
                protocol: Protocol::Http1,
                method: head.method,
                path: head.target.path,
                authority: head.target.authority,
                status: None,
                stream_id: 0,
                socket_cookie: link.cookie,
                request_seq: link.seq_of(direction, start),
                request_ack: answer_at.map_or(0, |at| link.seq_of(direction.reverse(), at)),
                request: span,
                response: None,
                grpc: None,
                propagation: head.propagation,
                flow_control: None,
                reset: None,
                connection: None,
                complete: false,
                anomalies,
            },
            answer_at,
            request: (start, start + span.bytes),
            response: None,
            request_done: false,
            response_done: false,
            broken: false,
            latest: Ktime(0),
            again: None,
            doubtful: doubt.is_some(),
        }
    }

    pub(super) fn note_last(&mut self, anomaly: Anomaly, work: &mut Work<'_>) {
        work.tally.count(anomaly);
        if let Some(open) = self.pairing.last() {
            open.note(anomaly);
        }
    }

    pub(super) fn finish_request(&mut self, direction: Direction, work: &mut Work<'_>) {
        let (span, end, odd) = self.reader(direction).finish();
        self.pairing.grow_request(span, end);
        if let Some(open) = self.pairing.last() {
            open.request_done = true;
            open.exchange.anomalies |= odd;
        }
        self.pairing.release(work);
    }

    pub(super) fn response_head(&mut self, direction: Direction, chunk: &mut Chunk<'_>, work: &mut Work<'_>) {
        if self.begins(direction, chunk, work) {
            let Some(open) = self.pairing.awaited() else { return self.unsolicited(direction, chunk, work) };
            if open.answer_at.is_some_and(|at| chunk.offset < at) {
                work.tally.count(Anomaly::ResponseWithoutRequest);
                return self.lose(direction, Anomaly::Gap, work);
            }
            self.reader(direction).begin(chunk);
        }
        if chunk.len == 0 {
            return;
        }
        match self.reader(direction).head(direction, chunk, work, http1::response) {
            HeadStep::Complete(head) => self.begin_response(direction, &head, chunk.len, work),
            HeadStep::Partial => {}
            HeadStep::Failed(anomaly) => self.fail_head(direction, anomaly, chunk, work),
        }
    }

    fn begin_response(&mut self, direction: Direction, head: &ResponseHead, rest: u64, work: &mut Work<'_>) {
        self.confirmed = true;
        if (100..200).contains(&head.status) && head.status != 101 {
            self.reader(direction).finish();
            return;
        }
        if head.status == 101 && head.h2c && self.upgrade_http2(direction, work) {
            return;
        }
        let reader = self.reader(direction);
        let (span, range, odd) = (reader.span, (reader.start, reader.start + reader.span.bytes), reader.odd);
        let Some(open) = self.pairing.awaited() else {
            work.tally.count(Anomaly::ResponseWithoutRequest);
            return self.lose(direction, Anomaly::ResponseWithoutRequest, work);
        };
        open.exchange.status = Some(head.status);
        open.exchange.response = Some(span);
        open.exchange.anomalies |= odd;
        open.response = Some(range);
        let framing = response_framing(open, head);
        for anomaly in anomalies(head.end) {
            open.note(anomaly);
            work.tally.count(anomaly);
        }
        match Body::new(framing) {
            None => self.lose(direction, Anomaly::ConflictingLength, work),
            Some(body) if body.is_complete() => self.finish_response(direction, rest, work),
            Some(body) => self.reader(direction).state = http1::State::Body(body),
        }
    }

    /// A response is complete; `rest` bytes of its last segment follow.
    pub(super) fn finish_response(&mut self, direction: Direction, rest: u64, work: &mut Work<'_>) {
        let early = self.is_early(direction);
        let (span, end, odd) = self.reader(direction).finish();
        self.pairing.grow_response(span, end);
        let (mut tunnel, mut refused) = (None, None);
        if let Some(open) = self.pairing.awaited() {
            tunnel = is_tunnel(open).then_some(open.request.1);
            refused = (tunnel.is_none() && open.exchange.method == "CONNECT").then_some(open.request.1);
            open.exchange.anomalies |= odd;
        }
        if rest > 0 && tunnel.is_none() && self.pairing.awaits_one() {
            work.tally.count(Anomaly::BodyLongerThanAnnounced);
            if let Some(open) = self.pairing.awaited() {
                open.note(Anomaly::BodyLongerThanAnnounced);
            }
        }
        self.pairing.answer(end, early);
        self.pairing.release(work);
        if let Some(request_end) = tunnel {
            let mut ends = [end; 2];
            *direction.reverse().of_mut(&mut ends) = request_end;
            self.begin_tunnel(direction.reverse(), ends, work);
        }
        if refused.is_some_and(|end| self.was_early(direction.reverse(), end)) {
            // What was meant for the tunnel is for the proxy now, and nobody followed it.
            self.pairing.pipelined = true;
            self.lose(direction.reverse(), Anomaly::Gap, work);
        }
    }

    /// Whether the sender of the response began it before it had all of the request, as far as its end is known.
    fn is_early(&mut self, direction: Direction) -> bool {
        let received = self.reader(direction).ack;
        let request = direction.reverse().of(&self.readers);
        let http1::State::Body(body) = request.state else { return false };
        let end = request.start.saturating_add(request.span.bytes).saturating_add(body.known_ahead());
        received.is_none_or(|received| received < end)
    }

    pub(super) fn body(
        &mut self,
        direction: Direction,
        body: Body,
        chunk: &mut Chunk<'_>,
        work: &mut Work<'_>,
    ) {
        let reader = self.reader(direction);
        let reached = reader.body(direction, body, chunk, work);
        let (span, end) = (reader.span, reader.start + reader.span.bytes);
        if self.spoken == Spoken::Http1(direction) {
            self.pairing.grow_request(span, end);
        } else {
            self.pairing.grow_response(span, end);
        }
        match reached {
            Reached::Within => {}
            Reached::End => self.finish(direction, chunk.len, work),
            Reached::Lost => {
                let captured = !chunk.front().is_empty();
                let anomaly = if captured || chunk.len == 0 { Anomaly::Garbage } else { Anomaly::Gap };
                work.tally.count(anomaly);
                self.lose(direction, anomaly, work);
                spend(direction, chunk, work);
            }
        }
    }

    pub(super) fn finish(&mut self, direction: Direction, rest: u64, work: &mut Work<'_>) {
        if self.spoken == Spoken::Http1(direction) {
            self.finish_request(direction, work);
        } else {
            self.finish_response(direction, rest, work);
        }
    }

    /// Bytes of a body are missing: their number is all that is needed, as far as the body's end is known.
    pub(super) fn body_gap(
        &mut self,
        direction: Direction,
        body: Body,
        offset: u64,
        len: u64,
        work: &mut Work<'_>,
    ) {
        let reader = self.reader(direction);
        let progress = reader.body_gap(body, len);
        let (span, end): (MessageSpan, u64) = (reader.span, offset + progress.bytes);
        if self.spoken == Spoken::Http1(direction) {
            self.pairing.grow_request(span, end);
            self.pairing.last().into_iter().for_each(|open| open.note(Anomaly::Gap));
        } else {
            self.pairing.grow_response(span, end);
            self.pairing.awaited().into_iter().for_each(|open| open.note(Anomaly::Gap));
        }
        if progress.state == Reached::End {
            self.finish(direction, 0, work);
        }
        if progress.bytes < len {
            self.lose(direction, Anomaly::Gap, work);
        }
    }
}

/// What is odd about a head.
fn anomalies(end: End) -> impl Iterator<Item = Anomaly> {
    let odd = [(end.conflicting, Anomaly::ConflictingLength), (end.malformed, Anomaly::MalformedField)];
    odd.into_iter().filter_map(|(is_so, anomaly)| is_so.then_some(anomaly))
}

/// RFC 9112, 6.3, items 1 and 2: what the request and the status say of the response's body.
fn response_framing(open: &Open, head: &ResponseHead) -> Framing {
    let status = head.status;
    let bodiless = matches!(status, 101 | 204 | 304) || open.exchange.method == "HEAD" || is_tunnel(open);
    if bodiless { Framing::Length(0) } else { head.end.framing }
}

/// Whether what follows the response is no HTTP/1: CONNECT (RFC 9110, 9.3.6) and upgrades (7.8).
fn is_tunnel(open: &Open) -> bool {
    let status = open.exchange.status.unwrap_or(0);
    status == 101 || open.exchange.method == "CONNECT" && (200..300).contains(&status)
}

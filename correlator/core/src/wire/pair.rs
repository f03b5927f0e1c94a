//! Stage 4: requests and responses of one connection become [`Exchange`]s, in the order of the requests.
use std::collections::VecDeque;

use super::{join::Finished, work::Work};
use crate::{Anomaly, Exchange, Ktime, MessageSpan};

/// A request whose exchange is not over.
pub(super) struct Open {
    pub(super) exchange: Exchange,
    /// Where in the response's stream the sender of the request had received everything.
    pub(super) answer_at: Option<u64>,
    /// Stream offsets of the request; its end so far.
    pub(super) request: (u64, u64),
    /// Stream offsets of the final response; its end so far. Nothing before it began.
    pub(super) response: Option<(u64, u64)>,
    pub(super) request_done: bool,
    pub(super) response_done: bool,
    /// The request's end was never seen.
    pub(super) broken: bool,
    /// When the last of its bytes to come passed, so far.
    pub(super) latest: Ktime,
    /// When bytes of it first passed again.
    pub(super) again: Option<Ktime>,
    /// It looked like a request where nobody knew that one begins. Without an answer that begins where its own must
    /// it may be a part of a body: then it is no exchange.
    pub(super) doubtful: bool,
}

impl Open {
    pub(super) fn note(&mut self, anomaly: Anomaly) {
        self.exchange.anomalies.insert(anomaly);
    }

    /// A part of it passed at this time.
    fn reach(&mut self, time: Ktime) {
        self.latest = self.latest.max(time);
    }

    /// What passed again when all had passed delayed nothing. It may be told before the last of the rest, which waited in a
    /// run.
    fn judge_again(&mut self) {
        let delayed = |again: &Ktime| !self.exchange.complete || *again <= self.latest;
        if self.again.as_ref().is_some_and(delayed) {
            self.note(Anomaly::Retransmit);
        }
    }

    fn cost(&self) -> u64 {
        let exchange = &self.exchange;
        let authority = exchange.authority.as_ref().map_or(0, String::capacity);
        (size_of::<Self>() + exchange.method.capacity() + exchange.path.capacity() + authority) as u64
    }
}

/// The open requests of one connection, and what is known of how its client sends them.
#[derive(Default)]
pub(super) struct Pairing {
    open: VecDeque<Open>,
    /// The client was seen to send a request before it had the response to the one before. Then an acknowledgement
    /// number does not tell where a response begins, and what is lost once is lost for good.
    pub(super) pipelined: bool,
    /// Pairing went on once behind something that was not seen.
    pub(super) resumed: bool,
    /// The furthest place in the response's stream that a request's segment acknowledged; 0 while none did.
    acked: u64,
    /// Where the last response ended.
    answered: u64,
}

impl Pairing {
    /// A segment with bytes of a request acknowledged this.
    pub(super) fn acknowledge(&mut self, ack: Option<u64>) {
        self.acked = self.acked.max(ack.unwrap_or(0));
    }

    /// A request begins that was sent when the sender had all responses up to `ack`, and `seen` had passed of them.
    pub(super) fn note_pipelining(&mut self, ack: Option<u64>, seen: u64) {
        if self.awaited().is_some() && ack.is_none_or(|ack| ack <= seen) {
            self.pipelined = true;
        }
    }

    /// Whether pairing may go on with a request that begins with a segment of this acknowledgement number, though
    /// what came before it was not all seen. Its response begins exactly at `ack` if the client has got the
    /// responses to all requests before, seen or not. That is so when the client does not pipeline, and
    /// - no request that was seen waits for its response,
    /// - it received something since the last request's bytes that were seen: else they, or lost ones, are unanswered,
    /// - nothing beyond `ack` has passed yet.
    pub(super) fn may_resume(&mut self, ack: Option<u64>, seen: u64) -> bool {
        let Some(ack) = ack else { return false };
        if self.pipelined || self.awaited().is_some() {
            return false;
        }
        let nothing_received = self.acked > 0 && ack <= self.acked.max(self.answered);
        self.pipelined = nothing_received || ack < seen;
        !self.pipelined
    }

    /// Takes a request in; not if too many wait.
    pub(super) fn push(&mut self, open: Open, work: &mut Work<'_>) -> bool {
        let cost = open.cost();
        let room = work.tally.has_room(cost, self.open.iter().map(Open::cost));
        if self.open.len() >= work.config.limits.pending_requests || !room {
            work.tally.open_overflows += 1;
            return false;
        }
        work.tally.open += cost;
        if self.open.capacity() == 0 {
            self.open.reserve_exact(1);
        }
        self.open.push_back(open);
        true
    }

    #[cfg(test)]
    pub(super) fn holds(&self) -> bool {
        self.open.capacity() > 0
    }

    /// The first request whose response is not complete.
    pub(super) fn awaited(&mut self) -> Option<&mut Open> {
        self.open.iter_mut().find(|open| !open.response_done)
    }

    /// Whether exactly one request waits for its response, or for its end.
    pub(super) fn awaits_one(&mut self) -> bool {
        self.open.len() == 1 && self.awaited().is_some()
    }

    /// Where a CONNECT ends that was not answered yet: its client may send what is for the tunnel.
    pub(super) fn awaits_tunnel(&self) -> Option<u64> {
        let last = self.open.back()?;
        let asked = last.exchange.method == "CONNECT" && last.request_done && last.response.is_none();
        asked.then_some(last.request.1)
    }

    /// The last request.
    pub(super) fn last(&mut self) -> Option<&mut Open> {
        self.open.back_mut()
    }

    /// Where the first open request ends, so far.
    pub(super) fn first_request_end(&self) -> Option<u64> {
        self.open.front().map(|open| open.request.1)
    }

    /// Where the first open response ends, so far; nothing where none began.
    pub(super) fn first_response_end(&self) -> Option<u64> {
        self.open.iter().find_map(|open| open.response).map(|(_, end)| end)
    }

    /// A response is complete, up to this offset; `early` if its sender had not got all of the request.
    pub(super) fn answer(&mut self, end: u64, early: bool) {
        self.answered = self.answered.max(end);
        if let Some(open) = self.awaited() {
            open.response_done = true;
            if early && !open.request_done {
                open.note(Anomaly::EarlyResponse);
            }
        }
    }

    /// Hands on the exchanges that are over.
    pub(super) fn release(&mut self, work: &mut Work<'_>) {
        while self.open.front().is_some_and(|open| open.request_done && open.response_done) {
            self.pop(work);
        }
    }

    /// Takes the one open request out, if its end was seen and there is no other.
    pub(super) fn take_only(&mut self, work: &mut Work<'_>) -> Option<Open> {
        let open = self.open.pop_front_if(|open| open.request_done && !open.doubtful)?;
        if !self.open.is_empty() {
            self.open.push_front(open);
            return None;
        }
        work.tally.open = work.tally.open.saturating_sub(open.cost());
        Some(open)
    }

    /// Hands on the first request's exchange as it is.
    fn pop(&mut self, work: &mut Work<'_>) {
        let Some(mut open) = self.open.pop_front() else { return };
        work.tally.open = work.tally.open.saturating_sub(open.cost());
        open.exchange.complete = open.request_done && open.response_done && !open.broken;
        open.judge_again();
        let whole = open.request_done && !open.broken;
        let request_last = open.request.1.checked_sub(1).filter(|_| whole);
        let response_last =
            open.response.filter(|_| open.response_done).and_then(|(_, end)| end.checked_sub(1));
        if !open.doubtful || open.response.is_some() {
            work.out.finished.push(Finished { exchange: open.exchange, request_last, response_last });
        }
        if self.open.is_empty() {
            self.open = VecDeque::new();
        }
    }

    /// The response's stream cannot be followed before `offset`: requests that could be answered before it end here.
    /// With a pipelining client these are all.
    pub(super) fn drop_before(&mut self, offset: u64, anomaly: Anomaly, work: &mut Work<'_>) {
        while let Some(open) = self.open.front_mut() {
            let follows = open.response.is_none() && open.answer_at.is_some_and(|at| at >= offset);
            if open.response_done || !self.pipelined && follows {
                return;
            }
            open.note(anomaly);
            self.pop(work);
        }
    }

    /// The connection is over: whatever is open ends as it is.
    pub(super) fn drop_all(&mut self, extra: Option<Anomaly>, work: &mut Work<'_>) {
        while let Some(open) = self.open.front_mut() {
            let anomaly = match (open.request_done && !open.broken, &open.response) {
                (true, None) => Anomaly::RequestWithoutResponse,
                _ => Anomaly::Truncated,
            };
            work.tally.count(anomaly);
            open.note(anomaly);
            if let Some(extra) = extra {
                open.note(extra);
            }
            self.pop(work);
        }
    }

    /// Bytes of requests (or of responses) in this range passed again.
    pub(super) fn note_again(&mut self, requests: bool, (start, end): (u64, u64), time: Ktime) {
        for open in &mut self.open {
            let range = if requests { Some(open.request) } else { open.response };
            if range.is_some_and(|(first, last)| first < end && start < last) {
                open.again = Some(open.again.map_or(time, |again| again.min(time)));
            }
        }
    }

    /// Where the request that is being sent ends so far, and its measure.
    pub(super) fn grow_request(&mut self, span: MessageSpan, end: u64) {
        if let Some(open) = self.open.back_mut() {
            open.exchange.request = span;
            open.request.1 = end;
            open.reach(span.last_byte);
        }
    }

    /// Where the response that is being sent ends so far, and its measure.
    pub(super) fn grow_response(&mut self, span: MessageSpan, end: u64) {
        if let Some(open) = self.awaited() {
            open.exchange.response = Some(span);
            open.reach(span.last_byte);
            if let Some(response) = &mut open.response {
                response.1 = end;
            }
        }
    }
}

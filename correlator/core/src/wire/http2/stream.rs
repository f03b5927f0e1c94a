//! The open streams of one connection (RFC 9113, 5.1), and how far their messages came.
use super::{
    super::{join::Finished, work::Work},
    grpc::Walk,
    window::StreamWindow,
};
use crate::{Anomaly, Exchange, FlowControl, Grpc, Ktime, Protocol};

/// One of the two messages of an exchange.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Role {
    Request,
    Response,
}

impl Role {
    pub(super) fn of<T>(self, pair: &[T; 2]) -> &T {
        let [request, response] = pair;
        match self {
            Self::Request => request,
            Self::Response => response,
        }
    }

    pub(super) fn of_mut<T>(self, pair: &mut [T; 2]) -> &mut T {
        let [request, response] = pair;
        match self {
            Self::Request => request,
            Self::Response => response,
        }
    }
}

/// How far a message came.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum Phase {
    /// Its head did not come yet.
    #[default]
    Awaited,
    /// Its head came.
    Open,
    /// Its end came.
    Done,
}

/// One message.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Message {
    pub(super) phase: Phase,
    /// Some of it was not seen: what was counted is less than there was.
    pub(super) broken: bool,
    /// Its end may have passed unseen: nothing came since.
    pub(super) unsure: bool,
    pub(super) walk: Walk,
    pub(super) window: StreamWindow,
}

/// A stream whose exchange is not over.
pub(super) struct Stream {
    pub(super) exchange: Exchange,
    pub(super) messages: [Message; 2],
    /// How far the response's direction had been seen, or was acknowledged, when the request began: no byte before that
    /// answers it.
    pub(super) answer_from: u64,
    /// The request's `content-type` may be there and is not known.
    pub(super) type_unknown: bool,
    pub(super) timeout_ns: Option<u64>,
    pub(super) grpc_status: Option<u32>,
    pub(super) cancelled: bool,
}

/// Offsets of a message's first byte and behind its last one so far, each in its direction's stream. Both are 0 while
/// there is none.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Extent {
    pub(super) start: u64,
    pub(super) end: u64,
}

impl Extent {
    fn overlaps(self, start: u64, end: u64) -> bool {
        self.start < end && start < self.end
    }
}

/// A stream's place, with what is looked at often.
pub(super) struct Slot {
    pub(super) id: u32,
    /// Of the request and of the response.
    pub(super) extents: [Extent; 2],
    pub(super) stream: Box<Stream>,
}

impl Slot {
    /// What it holds on the heap, in bytes. Must not change while the stream is open.
    fn cost(&self) -> u64 {
        let exchange = &self.stream.exchange;
        let authority = exchange.authority.as_ref().map_or(0, String::len);
        (size_of::<Self>() + size_of::<Stream>() + exchange.method.len() + exchange.path.len() + authority)
            as u64
    }

    pub(super) fn message(&mut self, role: Role) -> &mut Message {
        role.of_mut(&mut self.stream.messages)
    }

    pub(super) fn is_done(&self, role: Role) -> bool {
        role.of(&self.stream.messages).phase == Phase::Done
    }

    pub(super) fn note(&mut self, anomaly: Anomaly) {
        self.stream.exchange.anomalies.insert(anomaly);
    }

    /// How much of a message's body came.
    pub(super) fn body_bytes(&self, role: Role) -> u64 {
        let exchange = &self.stream.exchange;
        match role {
            Role::Request => exchange.request.body_bytes,
            Role::Response => exchange.response.map_or(0, |response| response.body_bytes),
        }
    }

    /// What is missing of it when nothing more comes, where that is not known already.
    fn missing(&self) -> Option<Anomaly> {
        let [request, response] = &self.stream.messages;
        match (request.phase, response.phase) {
            _ if response.unsure => None,
            (Phase::Done, Phase::Awaited) => Some(Anomaly::RequestWithoutResponse),
            _ => Some(Anomaly::Truncated),
        }
    }

    /// Some of a message was not seen.
    pub(super) fn break_message(&mut self, role: Role, anomaly: Anomaly) {
        let message = self.message(role);
        message.broken = true;
        message.walk.lose();
        self.note(anomaly);
    }

    /// The exchange, as it is. `over`: the response is complete, and the request needs no more.
    fn finish(self, over: bool, all_seen: bool) -> Finished {
        let Self { id: _, extents: [request_extent, response_extent], stream } = self;
        let Stream {
            mut exchange, messages: [request, response], timeout_ns, grpc_status, cancelled, ..
        } = *stream;
        let whole = |message: &Message| message.phase == Phase::Done && !message.broken;
        let seen = exchange.response.is_some() && !request.broken;
        exchange.complete = seen && whole(&response) && (over || whole(&request));
        exchange.flow_control = all_seen.then(|| FlowControl {
            request_blocked_ns: request.window.blocked_ns(),
            response_blocked_ns: response.window.blocked_ns(),
        });
        exchange.grpc = (exchange.protocol == Protocol::Grpc).then(|| {
            Box::new(Grpc {
                status: grpc_status,
                request: request.walk.messages(),
                response: response.walk.messages(),
                first_message: response.walk.first(),
                timeout_ns,
                compressed: request.walk.is_compressed() || response.walk.is_compressed(),
                cancelled,
            })
        });
        let last = |message: &Message, extent: Extent| {
            extent.end.checked_sub(1).filter(|_| message.phase == Phase::Done && extent.start > 0)
        };
        Finished {
            request_last: last(&request, request_extent),
            response_last: last(&response, response_extent),
            exchange,
        }
    }
}

/// The open streams, by their identifiers.
#[derive(Default)]
pub(super) struct Streams {
    slots: Vec<Slot>,
}

impl Streams {
    pub(super) fn len(&self) -> usize {
        self.slots.len()
    }

    #[cfg(test)]
    pub(super) fn holds(&self) -> bool {
        self.slots.capacity() > 0
    }

    pub(super) fn get(&mut self, id: u32) -> Option<&mut Slot> {
        let place = self.slots.binary_search_by_key(&id, |slot| slot.id).ok()?;
        self.slots.get_mut(place)
    }

    pub(super) fn iter_mut(&mut self) -> impl Iterator<Item = &mut Slot> {
        self.slots.iter_mut()
    }

    /// Takes in a stream that is not there. At the limit the oldest gives way; nothing is taken in where all connections
    /// together hold too much.
    pub(super) fn insert(&mut self, slot: Slot, all_seen: bool, work: &mut Work<'_>) {
        let cost = slot.cost();
        if !work.tally.has_room(cost, self.slots.iter().map(Slot::cost)) {
            work.tally.open_overflows += 1;
            return work.tally.count(Anomaly::TooManyPending);
        }
        if self.slots.len() >= work.config.limits.pending_requests.max(1) {
            work.tally.open_overflows += 1;
            work.tally.count(Anomaly::TooManyPending);
            self.end_at(0, Some(Anomaly::TooManyPending), all_seen, work);
        }
        work.tally.open += cost;
        let place = self.slots.partition_point(|other| other.id < slot.id);
        self.slots.insert(place, slot);
    }

    /// The exchange of a stream is over.
    pub(super) fn finish(&mut self, id: u32, over: bool, all_seen: bool, work: &mut Work<'_>) {
        if let Ok(place) = self.slots.binary_search_by_key(&id, |slot| slot.id) {
            self.take(place, over, all_seen, work);
        }
    }

    fn take(&mut self, place: usize, over: bool, all_seen: bool, work: &mut Work<'_>) {
        let slot = self.slots.remove(place);
        work.tally.open = work.tally.open.saturating_sub(slot.cost());
        work.out.finished.push(slot.finish(over, all_seen));
        self.trim();
    }

    fn trim(&mut self) {
        if self.slots.is_empty() {
            self.slots = Vec::new();
        }
    }

    /// A stream ends as it is.
    fn end_at(&mut self, place: usize, anomaly: Option<Anomaly>, all_seen: bool, work: &mut Work<'_>) {
        if let Some(slot) = self.slots.get_mut(place) {
            anomaly.into_iter().for_each(|anomaly| slot.note(anomaly));
            self.take(place, false, all_seen, work);
        }
    }

    /// The streams for which this holds end as they are, in their order.
    pub(super) fn end_where(
        &mut self,
        anomaly: Anomaly,
        all_seen: bool,
        work: &mut Work<'_>,
        which: impl Fn(&Slot) -> bool,
    ) {
        if !self.slots.iter().any(&which) {
            return;
        }
        let ended = self.slots.extract_if(.., |slot| which(slot));
        for mut slot in ended {
            slot.note(anomaly);
            work.tally.open = work.tally.open.saturating_sub(slot.cost());
            work.out.finished.push(slot.finish(false, all_seen));
        }
        self.trim();
    }

    /// The connection is over: all end as they are.
    pub(super) fn end_all(&mut self, extra: Option<Anomaly>, all_seen: bool, work: &mut Work<'_>) {
        for mut slot in std::mem::take(&mut self.slots) {
            if let Some(anomaly) = slot.missing() {
                work.tally.count(anomaly);
                slot.note(anomaly);
            }
            extra.into_iter().for_each(|extra| slot.note(extra));
            work.tally.open = work.tally.open.saturating_sub(slot.cost());
            work.out.finished.push(slot.finish(false, all_seen));
        }
    }

    /// Bytes of one direction in this range were sent again: the messages that go on behind them came later for it.
    pub(super) fn note_again(&mut self, role: Role, start: u64, end: u64) {
        let meant = self.slots.iter_mut().filter(|slot| role.of(&slot.extents).overlaps(start, end));
        meant.for_each(|slot| slot.note(Anomaly::Retransmit));
    }

    /// The least end, so far, of a message of an open stream.
    pub(super) fn first_end(&self, role: Role) -> Option<u64> {
        self.slots.iter().map(|slot| role.of(&slot.extents).end).filter(|end| *end > 0).min()
    }
}

/// When something last came of a message that is in the exchange.
pub(super) fn touch(exchange: &mut Exchange, role: Role, bytes: u64, body: u64, time: Ktime) {
    let span = match role {
        Role::Request => Some(&mut exchange.request),
        Role::Response => exchange.response.as_mut(),
    };
    if let Some(span) = span {
        span.bytes += bytes;
        span.body_bytes += body;
        span.last_byte = time;
    }
}

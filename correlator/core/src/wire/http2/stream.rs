//! A stream (RFC 9113, 5.1), and how far its messages came.
use super::{super::join::Finished, grpc::Walk, window::StreamWindow};
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
    pub(super) fn overlaps(self, start: u64, end: u64) -> bool {
        self.start < end && start < self.end
    }

    /// Ends where another one begins, which goes on to further than this one's beginning.
    pub(super) fn keep_off(&mut self, other: Self) {
        if other.end > self.start {
            self.end = self.end.min(other.start).max(self.start);
        }
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
    pub(super) fn cost(&self) -> u64 {
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

    /// Whether its messages are of gRPC.
    pub(super) fn is_call(&self) -> bool {
        self.stream.exchange.protocol == Protocol::Grpc
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

    /// Bytes of a message's frames that are not of its body: headers of frames, and its header blocks.
    pub(super) fn header_bytes(&self, role: Role) -> u64 {
        let exchange = &self.stream.exchange;
        let bytes = match role {
            Role::Request => exchange.request.bytes,
            Role::Response => exchange.response.map_or(0, |response| response.bytes),
        };
        bytes.saturating_sub(self.body_bytes(role))
    }

    /// What is missing of it when nothing more comes, where that is not known already.
    pub(super) fn missing(&self) -> Option<Anomaly> {
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
    pub(super) fn finish(self, over: bool, all_seen: bool) -> Finished {
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

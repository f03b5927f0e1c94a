//! Stage 8: an exchange as a span of OpenTelemetry, for whoever shows or exports it. Made only of those that are wanted: an
//! exchange costs nothing here until somebody asks.
//!
//! A parent is one that is known, and by what evidence. One that is likely, and that nothing proves, is a span link.
use std::{borrow::Cow, sync::Arc};

use crate::{
    AttributedExchange, Identity, Likely, OTHER_ROUTE, Pod, Protocol, Side, SpanId, TraceId, semconv,
};

mod attribute;
mod event;
mod failure;
mod resource;
#[cfg(test)]
mod tests;
mod what;

use attribute::Attributes;
pub use attribute::{Attribute, CUT, MAX_VALUE, Value, key};
pub use event::Event;
pub use failure::Failure;
pub use resource::resource;

/// One end's view of an exchange.
#[derive(Clone, Debug)]
pub struct Span {
    /// Its trace.
    pub trace_id: TraceId,
    /// Its id: a function of the exchange's.
    pub span_id: SpanId,
    /// The span that it is a child of; absent for a root, and where none is known.
    pub parent_span_id: Option<SpanId>,
    /// Which end the pod is: the conventions' kinds `SERVER` and `CLIENT`.
    pub kind: Side,
    /// `{method} {route}`, or `{package.Service}/{Method}`; few, however many paths there are.
    pub name: Cow<'static, str>,
    /// The request's first byte at the vantage, in ns since the epoch.
    pub start: u64,
    /// The last byte of both messages, in ns since the epoch.
    pub end: u64,
    /// What went wrong; without it the status is unset.
    pub failure: Option<Failure>,
    /// What is said of it; each key is there once.
    pub attributes: Vec<Attribute>,
    /// What happened meanwhile.
    pub events: Vec<Event>,
    /// Of a span without a parent: the one that is likely to be its cause. A span link, whose `weft.evidence` is
    /// [`LIKELY`].
    pub likely: Option<Likely>,
    /// How many of its values were longer than [`MAX_VALUE`].
    pub cut: u32,
    /// Netns cookie of its pod: spans of one netns have one resource.
    pub netns: u64,
    /// Its pod, where that was known in time.
    pub pod: Option<Arc<Pod>>,
    /// Who that is, where a cluster says so.
    pub identity: Option<Arc<Identity>>,
}

/// How a likely cause is known.
pub const LIKELY: &str = "only_open_request";

/// In the order of [`Phases::by_name`](crate::Phases::by_name); in ns.
const PHASES: [&str; crate::Phases::COUNT] = [
    "weft.phase.network",
    "weft.phase.socket_wait",
    "weft.phase.run_queue",
    "weft.phase.gc",
    "weft.phase.handler",
    "weft.phase.downstream",
    "weft.phase.unknown",
];

impl Span {
    /// Of an exchange; of a row that is a connection there is none.
    pub fn of(attributed: &AttributedExchange) -> Option<Self> {
        let exchange = &attributed.joined.exchange;
        if exchange.protocol.is_connection() {
            return None;
        }
        let mut attributes = Attributes::new();
        what::describe(attributed, &mut attributes);
        let failure = exchange.failure();
        if let Some(failure) = &failure {
            attributes.display(key::ERROR_TYPE, failure);
        }
        place(attributed, &mut attributes);
        Some(Self {
            trace_id: attributed.link.trace_id,
            span_id: exchange.span_id(),
            parent_span_id: attributed.link.parent_span_id,
            kind: exchange.side,
            name: name(attributed),
            start: attributed.start(),
            end: attributed.end(),
            failure,
            events: event::of(attributed),
            likely: attributed.link.likely,
            cut: attributes.cut,
            attributes: attributes.list,
            netns: exchange.flow.netns,
            pod: attributed.owner.clone(),
            identity: attributed.identity.clone(),
        })
    }
}

impl AttributedExchange {
    /// When the request's first byte passed, in ns since the epoch.
    pub fn start(&self) -> u64 {
        self.epoch(self.joined.exchange.request.first_byte)
    }

    /// When the last byte of both messages passed, in ns since the epoch.
    pub fn end(&self) -> u64 {
        self.epoch(self.joined.exchange.last_byte())
    }

    pub(crate) fn epoch(&self, time: crate::Ktime) -> u64 {
        time.0.saturating_add_signed(self.clock_offset)
    }

    /// The route, where it tells anything.
    fn known_route(&self) -> Option<&str> {
        self.route.as_deref().filter(|route| *route != OTHER_ROUTE)
    }
}

/// Of HTTP the method and the route, or the method alone; what is no method is `HTTP` (semantic conventions,
/// http/http-spans.md, Name). Of gRPC the method, else the system's name (rpc/rpc-spans.md).
fn name(attributed: &AttributedExchange) -> Cow<'static, str> {
    let exchange = &attributed.joined.exchange;
    if exchange.protocol == Protocol::Grpc {
        return match semconv::rpc_method(&exchange.path) {
            semconv::OTHER => "grpc".into(),
            method => method.to_owned().into(),
        };
    }
    let method = match semconv::http_method(&exchange.method) {
        semconv::OTHER => "HTTP",
        method => method,
    };
    match attributed.known_route() {
        Some(route) => format!("{method} {}", attribute::cut(route).0).into(),
        None => method.into(),
    }
}

/// Where its time went, how its parent is known, and what was odd.
fn place(attributed: &AttributedExchange, attributes: &mut Attributes) {
    let exchange = &attributed.joined.exchange;
    attributes.text(key::WEFT_PEER_POD, attributed.peer_pod.as_deref().unwrap_or(""));
    attributes.text(key::WEFT_PEER_SERVICE, attributed.peer_service.as_deref().unwrap_or(""));
    attributes.text(key::WEFT_PEER_NETWORK, attributed.peer_network.as_deref().unwrap_or(""));
    if attributed.link.parent_span_id.is_some() && attributed.link.evidence != crate::Evidence::None {
        attributes.name(key::WEFT_EVIDENCE, attributed.link.evidence.name());
    }
    for (key, (_, time)) in PHASES.into_iter().zip(attributed.phases.by_name()) {
        if let Some(time) = time {
            attributes.number(key, time);
        }
    }
    if !exchange.complete {
        attributes.push(key::WEFT_COMPLETE, Value::Flag(false));
    }
    if !exchange.anomalies.is_empty() {
        let names = exchange.anomalies.iter().map(crate::Anomaly::name).collect();
        attributes.push(key::WEFT_ANOMALIES, Value::Names(names));
    }
}

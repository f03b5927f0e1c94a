//! A trace as the API shows it: docs/TRACES.md says what is in it.
use serde::{Serialize, Serializer, ser::SerializeMap};
use weft_core::{
    Likely, Side, Span, SpanId, TraceId,
    span::{Attribute, Event, LIKELY, Value},
};

use super::tree::{Node, arrange};

/// Times are ns since the epoch, durations ns.
#[derive(Serialize)]
pub struct TraceJson {
    pub trace_id: TraceId,
    pub start: u64,
    pub duration_ns: u64,
    /// Spans whose status is an error.
    pub errors: usize,
    /// Spans that the sampler keeps for export.
    pub sampled: usize,
    /// Older spans of it are not shown, or not there any more.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub cut: bool,
    pub spans: Vec<SpanJson>,
}

/// A span, behind its parent.
#[derive(Serialize)]
pub struct SpanJson {
    depth: usize,
    span_id: SpanId,
    #[serde(skip_serializing_if = "Option::is_none")]
    parent_span_id: Option<SpanId>,
    kind: &'static str,
    name: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pod: Option<String>,
    start: u64,
    duration_ns: u64,
    status: &'static str,
    #[serde(serialize_with = "attributes")]
    attributes: Vec<Attribute>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    events: Vec<EventJson>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    links: Vec<LinkJson>,
}

/// A span that is likely to be the cause.
#[derive(Serialize)]
struct LinkJson {
    trace_id: TraceId,
    span_id: SpanId,
    evidence: &'static str,
}

#[derive(Serialize)]
struct EventJson {
    name: &'static str,
    time: u64,
    #[serde(serialize_with = "attributes")]
    attributes: Vec<Attribute>,
}

impl TraceJson {
    /// Of its spans, of which `sampled` leave the node.
    pub fn new(trace_id: TraceId, spans: Vec<Span>, sampled: usize, cut: bool) -> Self {
        let start = spans.iter().map(|span| span.start).min().unwrap_or(0);
        let end = spans.iter().map(|span| span.end).max().unwrap_or(0);
        let errors = spans.iter().filter(|span| span.failure.is_some()).count();
        let spans = arrange(spans).into_iter().map(SpanJson::new).collect();
        Self { trace_id, start, duration_ns: end.saturating_sub(start), errors, sampled, cut, spans }
    }

    /// Whether the pod `namespace/name` has a part in it.
    pub fn has_pod(&self, pod: &str) -> bool {
        self.spans.iter().any(|span| span.pod.as_deref() == Some(pod))
    }
}

impl SpanJson {
    fn new(Node { depth, span }: Node) -> Self {
        let Span {
            span_id,
            parent_span_id,
            kind,
            name,
            start,
            end,
            failure,
            attributes,
            events,
            likely,
            pod,
            ..
        } = span;
        Self {
            depth,
            span_id,
            parent_span_id,
            kind: Side::name(kind),
            name: name.into_owned(),
            pod: pod.and_then(|pod| pod.label()),
            start,
            duration_ns: end.saturating_sub(start),
            status: if failure.is_some() { "error" } else { "unset" },
            attributes,
            events: events.into_iter().map(EventJson::new).collect(),
            links: likely.into_iter().map(LinkJson::new).collect(),
        }
    }
}

impl LinkJson {
    fn new(Likely { trace_id, span_id }: Likely) -> Self {
        Self { trace_id, span_id, evidence: LIKELY }
    }
}

impl EventJson {
    fn new(Event { name, time, attributes }: Event) -> Self {
        Self { name, time, attributes }
    }
}

fn attributes<S: Serializer>(attributes: &[Attribute], serializer: S) -> Result<S::Ok, S::Error> {
    let mut map = serializer.serialize_map(Some(attributes.len()))?;
    for Attribute { key, value } in attributes {
        match value {
            Value::Text(text) => map.serialize_entry(key, text)?,
            Value::Number(number) => map.serialize_entry(key, number)?,
            Value::Flag(flag) => map.serialize_entry(key, flag)?,
            Value::Names(names) => map.serialize_entry(key, names)?,
        }
    }
    map.end()
}

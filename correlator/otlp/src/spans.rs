//! Spans as requests: one resource a pod.
use std::{collections::BTreeMap, sync::Arc};

use opentelemetry_proto::tonic::{
    resource::v1::Resource,
    trace::v1::{ResourceSpans, ScopeSpans, Span as Message, SpanFlags, Status, span, status::StatusCode},
};
use weft_core::{
    Likely, Side,
    span::{Attribute, Event, LIKELY, Span, Value, key, resource},
};

use crate::{
    attributes,
    request::{Builder, Request},
};

/// The most spans of one resource in a request: with the longest values that a span has they are as much as a request
/// should be.
const A_RESOURCE: usize = 512;

/// W3C Trace Context, trace-flags: sampled, which whatever is exported was.
const SAMPLED: u32 = 0x01;

/// What is sent for these, in requests of bounded sizes.
pub(crate) fn requests(spans: &[Arc<Span>], node: Option<&str>) -> Vec<Request> {
    let mut by_netns: BTreeMap<u64, Vec<&Span>> = BTreeMap::new();
    for span in spans {
        by_netns.entry(span.netns).or_default().push(span);
    }
    let (mut builder, mut requests) = (Builder::default(), Vec::new());
    for (netns, spans) in by_netns {
        // The name of a pod may come after its first spans, and what the cluster says of it later still.
        let pod = spans.iter().rev().find_map(|span| span.pod.as_deref());
        let identity = spans.iter().rev().find_map(|span| span.identity.as_deref());
        let resource = attributes::resource(&resource(netns, pod, identity, node));
        for some in spans.chunks(A_RESOURCE) {
            builder.add(&of_pod(&resource, some), some.len() as u64);
            if builder.is_enough() {
                requests.extend(builder.take());
            }
        }
    }
    requests.extend(builder.take());
    requests
}

fn of_pod(resource: &Resource, spans: &[&Span]) -> ResourceSpans {
    let spans = spans.iter().map(|span| message(span)).collect();
    let scope = ScopeSpans { scope: Some(attributes::scope()), spans, schema_url: String::new() };
    ResourceSpans { resource: Some(resource.clone()), scope_spans: vec![scope], schema_url: String::new() }
}

fn message(span: &Span) -> Message {
    let kind = match span.kind {
        Side::Server => span::SpanKind::Server,
        Side::Client => span::SpanKind::Client,
    };
    let parent = span.parent_span_id;
    Message {
        trace_id: span.trace_id.0.to_be_bytes().to_vec(),
        span_id: span.span_id.0.to_be_bytes().to_vec(),
        parent_span_id: parent.map(|parent| parent.0.to_be_bytes().to_vec()).unwrap_or_default(),
        flags: SAMPLED | if parent.is_some() { parent_is(span.kind) } else { 0 },
        name: span.name.clone().into_owned(),
        kind: kind.into(),
        start_time_unix_nano: span.start,
        end_time_unix_nano: span.end,
        attributes: list(&span.attributes),
        events: span.events.iter().map(event).collect(),
        links: span.likely.iter().map(link).collect(),
        // The conventions want no description where attributes say it all.
        status: span.failure.map(|_| Status { message: String::new(), code: StatusCode::Error.into() }),
        ..Message::default()
    }
}

/// A server's parent is its client, a client's parent is the request that its own pod is working at.
fn parent_is(kind: Side) -> u32 {
    let remote = if kind == Side::Server { SpanFlags::ContextIsRemoteMask as u32 } else { 0 };
    SpanFlags::ContextHasIsRemoteMask as u32 | remote
}

/// To a request that its own pod was working at.
fn link(likely: &Likely) -> span::Link {
    let evidence = Attribute { key: key::WEFT_EVIDENCE.into(), value: Value::Text(LIKELY.into()) };
    span::Link {
        trace_id: likely.trace_id.0.to_be_bytes().to_vec(),
        span_id: likely.span_id.0.to_be_bytes().to_vec(),
        attributes: list(&[evidence]),
        flags: SAMPLED | parent_is(Side::Client),
        ..span::Link::default()
    }
}

fn event(event: &Event) -> span::Event {
    let Event { name, time, attributes } = event;
    let (name, attributes) = ((*name).to_owned(), list(attributes));
    span::Event { time_unix_nano: *time, name, attributes, dropped_attributes_count: 0 }
}

fn list(attributes: &[Attribute]) -> Vec<opentelemetry_proto::tonic::common::v1::KeyValue> {
    attributes.iter().map(attributes::attribute).collect()
}

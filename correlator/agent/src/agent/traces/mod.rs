//! `/api/v1/traces`: what the store holds, as trees.
use axum::{
    Json,
    extract::{Path, Query, State},
    http::StatusCode,
    response::{IntoResponse, Response},
};
use serde::{Deserialize, Serialize};
use weft_core::{Span, TraceId};

use super::{
    http::Api,
    store::{StoredTrace, TraceStore},
};
use crate::config;

mod json;
mod tree;

use json::TraceJson;

/// Traces of one answer, where nobody said how many.
const LIMIT: usize = 20;
/// The most traces of one answer.
const MAX_LIMIT: usize = 1000;
/// Spans after which an answer has no further trace.
const MAX_SPANS: usize = 50_000;

/// Which traces somebody wants.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TracesQuery {
    /// In which something ended at or after this time, ns since the epoch.
    #[serde(default)]
    since: u64,
    /// At most so many, those that grew last.
    limit: Option<usize>,
    /// In which this pod has a part, `namespace/name`.
    pod: Option<String>,
    /// With a span that is an error.
    #[serde(default)]
    errors: bool,
    /// From the first byte to the last one.
    slower_than: Option<config::Span>,
}

#[derive(Serialize)]
struct TracesJson {
    traces: Vec<TraceJson>,
}

/// Traces that match, the one that grew last first.
pub async fn list(State(api): State<Api>, Query(query): Query<TracesQuery>) -> Response {
    // Looking through all of them takes a while, in which others want to be answered.
    let found = tokio::task::spawn_blocking(move || query.find(&api.origin.published.store)).await;
    match found {
        Ok(traces) => Json(TracesJson { traces }).into_response(),
        Err(_) => StatusCode::INTERNAL_SERVER_ERROR.into_response(),
    }
}

/// One trace.
pub async fn one(State(api): State<Api>, Path(id): Path<String>) -> Response {
    let digits = id.len() == 32 && id.bytes().all(|byte| byte.is_ascii_hexdigit());
    let Some(id) = u128::from_str_radix(&id, 16).ok().filter(|_| digits) else {
        return (StatusCode::BAD_REQUEST, "trace_id: 32 hex digits\n").into_response();
    };
    match api.origin.published.store.trace(TraceId(id)).and_then(trace) {
        Some(trace) => Json(trace).into_response(),
        None => (StatusCode::NOT_FOUND, "no such trace here: it was not seen, or gave way\n").into_response(),
    }
}

impl TracesQuery {
    fn find(&self, store: &TraceStore) -> Vec<TraceJson> {
        let mut room = MAX_SPANS;
        let fits = |trace: &TraceJson| {
            let before = room;
            room = room.saturating_sub(trace.spans.len());
            before > 0
        };
        store
            .traces(self.since)
            .filter_map(trace)
            .filter(|trace| self.matches(trace))
            .take(self.limit.unwrap_or(LIMIT).min(MAX_LIMIT))
            .take_while(fits)
            .collect()
    }

    fn matches(&self, trace: &TraceJson) -> bool {
        let Self { since: _, limit: _, pod, errors, slower_than } = self;
        pod.as_deref().is_none_or(|pod| trace.has_pod(pod))
            && (!errors || trace.errors > 0)
            && slower_than.is_none_or(|time| trace.duration_ns >= time.0)
    }
}

/// A trace of connections that nobody follows has no spans.
fn trace(stored: StoredTrace) -> Option<TraceJson> {
    let StoredTrace { id, exchanges, cut } = stored;
    let sampled = exchanges.iter().filter(|(_, sampled)| *sampled).count();
    let spans: Vec<Span> = exchanges.iter().filter_map(|(packed, _)| Span::of(&packed.unpack()?)).collect();
    (!spans.is_empty()).then(|| TraceJson::new(id, spans, sampled, cut))
}

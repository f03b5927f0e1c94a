//! The listener: metrics, health, and the API of docs/ARCHITECTURE.md.
use std::{
    convert::Infallible,
    net::SocketAddr,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
};

use anyhow::{Context as _, Result};
use axum::{
    Json, Router,
    body::{Body, Bytes},
    extract::{Query, State},
    http::{
        HeaderMap, StatusCode,
        header::{ACCEPT, CONTENT_TYPE},
    },
    response::{Html, IntoResponse, Response},
    routing::get,
};
use futures::stream;
use serde::Deserialize;
use serde_json::{Value, json};
use tokio::{net::TcpListener, sync::mpsc};
use weft_core::{Packed, Snapshot};
use weft_metrics::exposition::Format;

use super::{
    listener::Bounded,
    metrics::{self, Origin},
    store::ExchangeQuery,
    traces,
};
use crate::go::view::View;

/// The most exchanges of one answer.
const MAX_LIMIT: usize = 100_000;
/// Pieces of a page that wait for a scraper.
const PIECES: usize = 4;

/// What the handlers see.
#[derive(Clone)]
pub struct Api {
    pub origin: Origin,
    /// The first look at the pods is done.
    pub ready: Arc<AtomicBool>,
}

impl Api {
    fn snapshot(&self) -> Arc<Snapshot> {
        self.origin.published.snapshot.load_full()
    }
}

/// Takes the address.
///
/// # Errors
/// When it is in use or not ours.
pub async fn bind(address: SocketAddr) -> Result<TcpListener> {
    TcpListener::bind(address).await.with_context(|| {
        format!(
            "metrics.listen: cannot listen on {address}; is another agent there? port 0 takes any free port"
        )
    })
}

/// Serves until the future is dropped.
///
/// # Errors
/// When the listener fails.
pub async fn serve(listener: TcpListener, api: Api) -> Result<()> {
    let router = Router::new()
        .route("/", get(|| async { Html(include_str!("dashboard.html")) }))
        .route("/metrics", get(metrics_page))
        .route("/healthz", get(|| async { "ok\n" }))
        .route("/readyz", get(readyz))
        .route("/api/v1/exchanges", get(exchanges))
        .route("/api/v1/traces", get(traces::list))
        .route("/api/v1/traces/{trace_id}", get(traces::one))
        .route("/api/v1/pods", get(pods))
        .route("/api/v1/loss", get(loss))
        .with_state(api);
    axum::serve(Bounded::new(listener), router).await.context("the HTTP listener failed")
}

async fn metrics_page(State(api): State<Api>, headers: HeaderMap) -> Response {
    let accept = headers.get(ACCEPT).and_then(|accept| accept.to_str().ok()).unwrap_or_default();
    let format = Format::negotiate(accept);
    let sources = api.origin.now();
    let (send, pieces) = mpsc::channel(PIECES);
    tokio::task::spawn_blocking(move || {
        metrics::render(&sources, format, &mut |piece| {
            // Fails when the scraper is gone: then the rest is for nobody.
            let _ = send.blocking_send(Bytes::copy_from_slice(piece));
        });
    });
    let next = async |mut pieces: mpsc::Receiver<Bytes>| {
        pieces.recv().await.map(|piece| (Ok::<_, Infallible>(piece), pieces))
    };
    let body = Body::from_stream(stream::unfold(pieces, next));
    ([(CONTENT_TYPE, format.content_type())], body).into_response()
}

async fn readyz(State(api): State<Api>) -> Response {
    if api.ready.load(Ordering::Acquire) {
        format!("ready\n{}", api.origin.configuration.load()).into_response()
    } else {
        (StatusCode::SERVICE_UNAVAILABLE, "looking for pods\n").into_response()
    }
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct ExchangesQuery {
    #[serde(default)]
    since: u64,
    limit: Option<usize>,
    pod: Option<String>,
    exchange_id: Option<String>,
}

async fn exchanges(State(api): State<Api>, Query(query): Query<ExchangesQuery>) -> Response {
    let exchange_id = match query.exchange_id.as_deref().map(|id| u64::from_str_radix(id, 16)).transpose() {
        Ok(id) => id,
        Err(_) => return (StatusCode::BAD_REQUEST, "exchange_id: 16 hex digits\n").into_response(),
    };
    let query = ExchangeQuery {
        since: query.since,
        limit: query.limit.unwrap_or(1000).min(MAX_LIMIT),
        pod: query.pod,
        exchange_id,
    };
    let mut lines = String::new();
    for exchange in api.origin.published.store.exchanges(&query).iter().filter_map(Packed::unpack) {
        // A structure of strings and numbers always becomes JSON.
        lines.push_str(&serde_json::to_string(&exchange).unwrap_or_default());
        lines.push('\n');
    }
    ([(CONTENT_TYPE, "application/x-ndjson")], lines).into_response()
}

async fn pods(State(api): State<Api>) -> Json<Value> {
    let snapshot = api.snapshot();
    let go = api.origin.go.view();
    let pods: Vec<Value> = snapshot.pods.iter().map(|pod| pod_json(&snapshot, &go, pod)).collect();
    Json(json!({ "time": epoch(&snapshot), "pods": pods }))
}

/// A pod with its vantages, which the loss report lists, and its Go processes.
fn pod_json(snapshot: &Snapshot, go: &View, pod: &weft_core::PodSnapshot) -> Value {
    let vantages: Vec<Value> = snapshot
        .loss
        .vantages
        .iter()
        .filter(|vantage| vantage.netns == pod.netns)
        .map(|vantage| json!({ "ifindex": vantage.ifindex, "bytes_in": vantage.ingress.seen, "bytes_out": vantage.egress.seen }))
        .collect();
    let processes: Vec<_> = go.processes.iter().filter(|process| process.netns == pod.netns).collect();
    let mut value = serde_json::to_value(pod).unwrap_or_default();
    if let Some(object) = value.as_object_mut() {
        object.insert("vantages".into(), vantages.into());
        object.insert("processes".into(), json!(processes));
        object.insert("state".into(), if pod.gone { "gone" } else { "traced" }.into());
    }
    value
}

async fn loss(State(api): State<Api>) -> Json<Value> {
    let snapshot = api.snapshot();
    Json(json!({
        "time": epoch(&snapshot),
        "bytes": snapshot.loss,
        "events_lost": counts(&snapshot.events_lost),
        "anomalies": counts(&snapshot.anomalies),
        "exchanges": snapshot.exchanges,
        "flows": counts(&snapshot.flows),
        "records": snapshot.records,
        "tables": snapshot.tables,
    }))
}

fn counts(named: &[weft_core::NamedCount]) -> Value {
    named
        .iter()
        .map(|count| (count.name.to_owned(), Value::from(count.count)))
        .collect::<serde_json::Map<_, _>>()
        .into()
}

fn epoch(snapshot: &Snapshot) -> u64 {
    snapshot.time.0.saturating_add_signed(snapshot.clock_offset)
}

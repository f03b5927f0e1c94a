//! Backends that misbehave, on a real socket: what they say is scripted, what they were told is decoded.
pub mod grpc;

use std::{
    collections::VecDeque,
    convert::Infallible,
    sync::{Arc, Mutex},
    time::Instant,
};

use axum::{
    Router,
    body::{Body, Bytes},
    http::{HeaderMap, Response},
    routing::post,
};
use flate2::read::GzDecoder;
use opentelemetry_proto::tonic::collector::trace::v1::{
    ExportTracePartialSuccess, ExportTraceServiceRequest, ExportTraceServiceResponse,
};
use prost::Message as _;
use tokio::net::TcpListener;

/// What it says to one request.
#[derive(Clone, Debug)]
pub enum Say {
    /// This status, and perhaps how many seconds to wait.
    Status(u16, Option<u64>),
    /// It has all but so many.
    Partial(i64),
    /// Success, and something that is no message.
    Nonsense,
    /// Nothing, ever.
    Nothing,
}

/// One request as it came.
#[derive(Clone, Debug)]
pub struct Told {
    pub at: Instant,
    pub headers: HeaderMap,
    /// How many spans; nothing where it could not be read.
    pub spans: Option<usize>,
}

/// An HTTP server. Past the end of its script it takes everything.
#[derive(Clone, Debug)]
pub struct Backend {
    pub endpoint: String,
    state: Arc<Mutex<State>>,
}

#[derive(Debug)]
struct State {
    script: VecDeque<Say>,
    told: Vec<Told>,
}

impl Backend {
    pub async fn start(script: impl IntoIterator<Item = Say>) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let endpoint = format!("http://{}", listener.local_addr().unwrap());
        let state = State { script: script.into_iter().collect(), told: Vec::new() };
        let backend = Self { endpoint, state: Arc::new(Mutex::new(state)) };
        let own = backend.clone();
        let answer = move |headers, body| own.clone().answer(headers, body);
        let router = Router::new().route("/v1/traces", post(answer));
        tokio::spawn(async move { axum::serve(listener, router).await });
        backend
    }

    pub fn told(&self) -> Vec<Told> {
        self.state.lock().unwrap().told.clone()
    }

    async fn answer(self, headers: HeaderMap, body: Bytes) -> Result<Response<Body>, Infallible> {
        let say = {
            let mut state = self.state.lock().unwrap();
            let spans = spans(&headers, &body);
            state.told.push(Told { at: Instant::now(), headers, spans });
            state.script.pop_front().unwrap_or(Say::Partial(0))
        };
        Ok(say.response().await)
    }
}

impl Say {
    async fn response(self) -> Response<Body> {
        match self {
            Self::Nothing => std::future::pending().await,
            Self::Nonsense => Response::new(Body::from("<html>")),
            Self::Status(status, after) => {
                let mut response = Response::builder().status(status);
                if let Some(after) = after {
                    response = response.header("retry-after", after.to_string());
                }
                response.body(Body::empty()).unwrap()
            }
            Self::Partial(rejected_spans) => {
                let error_message = if rejected_spans > 0 { "too old\u{7}" } else { "" }.to_owned();
                let partial = ExportTracePartialSuccess { rejected_spans, error_message };
                let partial_success = (rejected_spans > 0).then_some(partial);
                Response::new(Body::from(ExportTraceServiceResponse { partial_success }.encode_to_vec()))
            }
        }
    }
}

/// How many spans a request has.
fn spans(headers: &HeaderMap, body: &Bytes) -> Option<usize> {
    let mut plain = Vec::new();
    match headers.get("content-encoding") {
        Some(_) => drop(std::io::copy(&mut GzDecoder::new(&body[..]), &mut plain).ok()?),
        None => plain.extend_from_slice(body),
    }
    let message = ExportTraceServiceRequest::decode(&plain[..]).ok()?;
    let scopes = message.resource_spans.iter().flat_map(|of| &of.scope_spans);
    Some(scopes.map(|scope| scope.spans.len()).sum())
}

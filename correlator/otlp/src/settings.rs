//! How things are exported, as the configuration says it.
use std::{path::PathBuf, time::Duration};

use http::{HeaderMap, Uri};

/// Everything that there is to decide.
#[derive(Clone, Debug)]
pub struct Settings {
    /// Where the backend is.
    pub endpoint: Endpoint,
    /// How it is spoken to.
    pub protocol: Protocol,
    /// What it is sent.
    pub signals: Signals,
    /// How often metrics are sent.
    pub interval: Duration,
    /// What counters and histograms tell.
    pub temporality: Temporality,
    /// In which form durations are sent.
    pub histograms: Histograms,
    /// Added to each request.
    pub headers: HeaderMap,
    /// Of requests.
    pub compression: Compression,
    /// PEM with the authorities that are trusted; absent: the system's.
    pub ca_file: Option<PathBuf>,
    /// For one attempt.
    pub timeout: Duration,
    /// What may wait.
    pub limits: Limits,
}

/// The bounds of what waits while a backend is slow or away.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Spans.
    pub spans: usize,
    /// Their bytes, as they are held.
    pub bytes: usize,
    /// How long one request is tried again.
    pub retry: Duration,
    /// How long the end of the agent may wait for what is left.
    pub flush: Duration,
}

impl Default for Limits {
    fn default() -> Self {
        let (retry, flush) = (Duration::from_secs(300), Duration::from_secs(5));
        Self { spans: 50_000, bytes: 64 << 20, retry, flush }
    }
}

/// What a backend is sent: one for traces alone has no service that takes metrics.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Signals {
    /// Data points.
    pub metrics: bool,
    /// Spans.
    pub spans: bool,
}

impl Default for Signals {
    fn default() -> Self {
        Self { metrics: true, spans: true }
    }
}

/// How a backend is spoken to.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Protocol {
    /// OTLP/gRPC.
    #[default]
    Grpc,
    /// OTLP/HTTP, in protobuf.
    Http,
}

/// `AggregationTemporality`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Temporality {
    /// Everything since the series began.
    #[default]
    Cumulative,
    /// What was added since the last that the backend took.
    Delta,
}

/// In which form histograms of durations are sent.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Histograms {
    /// Base-2 exponential buckets of scale 4, where there are such.
    #[default]
    Exponential,
    /// Buckets with bounds, for backends that know nothing else.
    Explicit,
}

/// Of requests.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Compression {
    /// RFC 1952.
    #[default]
    Gzip,
    /// As they are.
    None,
}

/// Where a backend is: `http://host:port` or `https://host:port`; a path goes before those of OTLP/HTTP.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Endpoint(Uri);

/// Why a text names no backend.
#[derive(Debug, thiserror::Error)]
pub enum EndpointError {
    /// It is no URI.
    #[error("no URI ({0}): http://127.0.0.1:4317, for example")]
    NoUri(#[from] http::uri::InvalidUri),
    /// It does not say how.
    #[error("begins with no scheme: http:// or https:// is allowed")]
    Scheme,
    /// There is more behind the path.
    #[error("has a query: http://HOST:PORT with or without a path is allowed")]
    Query,
    /// What a host has before it.
    #[error("has a user's name in it: credentials belong in headers")]
    User,
}

impl Endpoint {
    /// Reads one.
    ///
    /// # Errors
    /// When it names no backend.
    pub fn parse(text: &str) -> Result<Self, EndpointError> {
        let uri: Uri = text.parse()?;
        // `localhost:4317` is read as an authority, `localhost` as a host: neither says how.
        let scheme = uri.scheme_str().filter(|scheme| ["http", "https"].contains(scheme));
        let authority = scheme.and(uri.authority()).ok_or(EndpointError::Scheme)?;
        if authority.as_str().contains('@') {
            return Err(EndpointError::User);
        }
        if uri.query().is_some() {
            return Err(EndpointError::Query);
        }
        Ok(Self(uri))
    }

    /// The whole of it.
    pub fn uri(&self) -> &Uri {
        &self.0
    }
}

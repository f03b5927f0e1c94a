//! OTLP/HTTP with protobuf.
use std::{
    io::Write as _,
    time::{Duration, SystemTime},
};

use bytes::Bytes;
use flate2::write::GzEncoder;
use http::{
    HeaderMap, HeaderValue, StatusCode, Uri,
    header::{CONTENT_ENCODING, CONTENT_TYPE, RETRY_AFTER, USER_AGENT},
};
use http_body_util::{BodyExt as _, Full, Limited};
use opentelemetry_proto::tonic::collector::{
    metrics::v1::ExportMetricsServiceResponse, trace::v1::ExportTraceServiceResponse,
};
use tonic::body::Body;

use super::{Accepted, Failure, answer::Answer, chain, connect::HttpClient};
use crate::{
    counts::Signal,
    request::Request,
    settings::{Compression, Settings},
};

const PROTOBUF: HeaderValue = HeaderValue::from_static("application/x-protobuf");
const GZIP: HeaderValue = HeaderValue::from_static("gzip");
const AGENT: HeaderValue = HeaderValue::from_static(concat!("weft/", env!("CARGO_PKG_VERSION")));

/// The most bytes of an answer: it has a number and a sentence.
const ANSWER: usize = 64 << 10;

/// The way of HTTP.
#[derive(Clone, Debug)]
pub(super) struct Http {
    client: HttpClient,
    metrics: Uri,
    spans: Uri,
    headers: HeaderMap,
    compression: Compression,
}

impl Http {
    pub(super) fn new(client: HttpClient, settings: &Settings) -> Self {
        let mut headers = settings.headers.clone();
        headers.insert(CONTENT_TYPE, PROTOBUF);
        headers.entry(USER_AGENT).or_insert(AGENT);
        if settings.compression == Compression::Gzip {
            headers.insert(CONTENT_ENCODING, GZIP);
        }
        let base = settings.endpoint.uri();
        let (metrics, spans) = (below(base, "v1/metrics"), below(base, "v1/traces"));
        Self { client, metrics, spans, headers, compression: settings.compression }
    }

    pub(super) async fn send(&self, signal: Signal, request: &Request) -> Result<Accepted, Failure> {
        match signal {
            Signal::Metrics => self.post::<ExportMetricsServiceResponse>(&self.metrics, request).await,
            Signal::Spans => self.post::<ExportTraceServiceResponse>(&self.spans, request).await,
        }
    }

    async fn post<A: Answer>(&self, uri: &Uri, request: &Request) -> Result<Accepted, Failure> {
        let body = match self.compression {
            Compression::Gzip => gzip(&request.bytes),
            Compression::None => request.bytes.clone(),
        };
        let mut post = http::Request::post(uri.clone()).body(Body::new(Full::new(body)));
        if let Ok(post) = &mut post {
            *post.headers_mut() = self.headers.clone();
        }
        let post = post.map_err(|error| Failure::Final(chain(&error)))?;
        let answer = self.client.request(post).await.map_err(|error| Failure::later(chain(&error)))?;
        let (head, body) = answer.into_parts();
        let body = Limited::new(body, ANSWER).collect().await;
        let body = body.map(http_body_util::Collected::to_bytes).unwrap_or_default();
        if head.status.is_success() {
            // Whatever it says, it took it.
            return Ok(A::decode(body).map(Answer::accepted).unwrap_or_default());
        }
        Err(failure(head.status, retry_after(&head.headers, SystemTime::now()), &body))
    }
}

/// The path of a signal below that of the endpoint.
fn below(base: &Uri, path: &str) -> Uri {
    let mut parts = base.clone().into_parts();
    let path = format!("{}/{path}", base.path().trim_end_matches('/'));
    parts.path_and_query = path.parse().ok();
    // From a URI that was read, with a path of its own characters and letters.
    Uri::from_parts(parts).unwrap_or_else(|_| base.clone())
}

/// At the first level: three times as fast as the usual one, and spans repeat themselves.
fn gzip(bytes: &Bytes) -> Bytes {
    let mut encoder = GzEncoder::new(Vec::with_capacity(bytes.len() / 4), flate2::Compression::fast());
    // Writing to memory does not fail.
    let written = encoder.write_all(bytes).and_then(|()| encoder.finish());
    written.unwrap_or_default().into()
}

/// Which status may be better another time (OTLP specification, "Failures" of OTLP/HTTP).
fn failure(status: StatusCode, after: Option<Duration>, body: &Bytes) -> Failure {
    let why = format!("{status}{}", said(body));
    match status {
        StatusCode::TOO_MANY_REQUESTS
        | StatusCode::BAD_GATEWAY
        | StatusCode::SERVICE_UNAVAILABLE
        | StatusCode::GATEWAY_TIMEOUT => Failure::Later { after, why },
        _ => Failure::Final(why),
    }
}

/// A failure's body is `google.rpc.Status` with a sentence; whatever else is left out.
fn said(body: &Bytes) -> String {
    let status = <tonic_types::Status as prost::Message>::decode(body.clone()).unwrap_or_default();
    if status.message.is_empty() { String::new() } else { format!(": {}", status.message) }
}

/// Retry-After (RFC 9110, 10.2.3): seconds, or a date.
fn retry_after(headers: &HeaderMap, now: SystemTime) -> Option<Duration> {
    let text = headers.get(RETRY_AFTER)?.to_str().ok()?.trim();
    let date =
        || httpdate::parse_http_date(text).ok().map(|date| date.duration_since(now).unwrap_or_default());
    text.parse().ok().map(Duration::from_secs).or_else(date)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_of_signals_are_below_the_endpoints() {
        for (base, expected) in [
            ("http://host:4318", "http://host:4318/v1/traces"),
            ("http://host:4318/", "http://host:4318/v1/traces"),
            ("https://host/otlp/", "https://host/otlp/v1/traces"),
            ("https://host/a/b", "https://host/a/b/v1/traces"),
        ] {
            assert_eq!(below(&base.parse().unwrap(), "v1/traces"), expected);
        }
    }

    #[test]
    fn a_backend_may_ask_for_time_in_seconds_or_by_a_date() {
        let now = httpdate::parse_http_date("Sun, 06 Nov 1994 08:49:37 GMT").unwrap();
        for (value, expected) in [
            ("7", Some(7)),
            ("Sun, 06 Nov 1994 08:50:37 GMT", Some(60)),
            ("Sun, 06 Nov 1994 08:00:00 GMT", Some(0)),
            ("-1", None),
            ("soon", None),
        ] {
            let headers = HeaderMap::from_iter([(RETRY_AFTER, value.parse().unwrap())]);
            assert_eq!(retry_after(&headers, now), expected.map(Duration::from_secs), "{value}");
        }
    }

    #[test]
    fn what_may_be_better_later_is_not_final() {
        let later = |status| matches!(failure(status, None, &Bytes::new()), Failure::Later { .. });
        for status in [429, 502, 503, 504] {
            assert!(later(StatusCode::from_u16(status).unwrap()), "{status}");
        }
        for status in [301, 400, 401, 404, 413, 500, 501] {
            assert!(!later(StatusCode::from_u16(status).unwrap()), "{status}");
        }
    }
}

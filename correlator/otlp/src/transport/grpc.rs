//! OTLP/gRPC.
use http::{HeaderMap, uri::PathAndQuery};
use opentelemetry_proto::tonic::collector::{
    metrics::v1::ExportMetricsServiceResponse, trace::v1::ExportTraceServiceResponse,
};
use tonic::{Code, Extensions, Status, client, codec::CompressionEncoding, metadata::MetadataMap};
use tonic_types::StatusExt as _;

use super::{Accepted, Failure, answer::Answer, chain, codec::Encoded, connect::HttpClient};
use crate::{
    counts::Signal,
    request::Request,
    settings::{Compression, Settings},
};

const METRICS: PathAndQuery =
    PathAndQuery::from_static("/opentelemetry.proto.collector.metrics.v1.MetricsService/Export");
const SPANS: PathAndQuery =
    PathAndQuery::from_static("/opentelemetry.proto.collector.trace.v1.TraceService/Export");

/// The most bytes of an answer: it has a number and a sentence.
const ANSWER: usize = 64 << 10;

/// The way of gRPC.
#[derive(Clone, Debug)]
pub(super) struct Grpc {
    client: client::Grpc<HttpClient>,
    headers: HeaderMap,
    timeout: std::time::Duration,
}

impl Grpc {
    pub(super) fn new(client: HttpClient, settings: &Settings) -> Self {
        let origin = settings.endpoint.uri().clone();
        let client = client::Grpc::with_origin(client, origin).max_decoding_message_size(ANSWER);
        let client = match settings.compression {
            // grpc-go answers as it was asked.
            Compression::Gzip => {
                let gzip = CompressionEncoding::Gzip;
                client.send_compressed(gzip).accept_compressed(gzip)
            }
            Compression::None => client,
        };
        Self { client, headers: settings.headers.clone(), timeout: settings.timeout }
    }

    pub(super) async fn send(&self, signal: Signal, request: &Request) -> Result<Accepted, Failure> {
        match signal {
            Signal::Metrics => self.call::<ExportMetricsServiceResponse>(METRICS, request).await,
            Signal::Spans => self.call::<ExportTraceServiceResponse>(SPANS, request).await,
        }
    }

    async fn call<A: Answer>(&self, path: PathAndQuery, request: &Request) -> Result<Accepted, Failure> {
        let mut client = self.client.clone();
        client.ready().await.map_err(|error| Failure::later(chain(&error)))?;
        let metadata = MetadataMap::from_headers(self.headers.clone());
        let mut request = tonic::Request::from_parts(metadata, Extensions::default(), request.bytes.clone());
        request.set_timeout(self.timeout);
        match client.unary(request, path, Encoded::<A>::default()).await {
            Ok(answer) => Ok(answer.into_inner().accepted()),
            Err(status) => Err(failure(&status)),
        }
    }
}

/// Which status may be better another time (OTLP specification, "Failures" of OTLP/gRPC). Whoever did not get as far as a
/// status may try again, too: the connection broke, or what is there is no backend yet.
fn failure(status: &Status) -> Failure {
    let why = if status.message().is_empty() || std::error::Error::source(status).is_some() {
        chain(status)
    } else {
        format!("{:?}: {}", status.code(), status.message())
    };
    let after = status.get_details_retry_info().and_then(|info| info.retry_delay);
    let later = match status.code() {
        Code::Cancelled
        | Code::DeadlineExceeded
        | Code::Aborted
        | Code::OutOfRange
        | Code::Unavailable
        | Code::DataLoss => true,
        // Without a time it may never be better.
        Code::ResourceExhausted => after.is_some(),
        _ => std::error::Error::source(status).is_some(),
    };
    if later { Failure::Later { after, why } } else { Failure::Final(why) }
}

//! Names of metrics and attributes, against the published conventions: constants that were generated of them.
#![expect(clippy::unwrap_used, reason = "a failing helper fails its test")]

use std::collections::BTreeSet;

use opentelemetry_proto::tonic::collector::metrics::v1::ExportMetricsServiceRequest;
use opentelemetry_semantic_conventions::{attribute, metric};
use prost::Message as _;
use weft_core::{
    AttributedExchange, Grpc, Protocol, Side,
    testing::{attributed, joined},
};
use weft_metrics::{Profiles, Registry, Settings, exposition::Page, requests};
use weft_otlp::{Collection, Histograms, Resources, Streams, Temporality, Times};

const METRICS: [&str; 8] = [
    metric::HTTP_SERVER_REQUEST_DURATION,
    metric::HTTP_CLIENT_REQUEST_DURATION,
    metric::RPC_SERVER_CALL_DURATION,
    metric::RPC_CLIENT_CALL_DURATION,
    metric::HTTP_SERVER_REQUEST_BODY_SIZE,
    metric::HTTP_SERVER_RESPONSE_BODY_SIZE,
    metric::HTTP_CLIENT_REQUEST_BODY_SIZE,
    metric::HTTP_CLIENT_RESPONSE_BODY_SIZE,
];

const ATTRIBUTES: [&str; 8] = [
    attribute::HTTP_REQUEST_METHOD,
    attribute::HTTP_ROUTE,
    attribute::HTTP_RESPONSE_STATUS_CODE,
    attribute::RPC_METHOD,
    attribute::RPC_RESPONSE_STATUS_CODE,
    attribute::ERROR_TYPE,
    attribute::NETWORK_PROTOCOL_VERSION,
    attribute::SERVER_ADDRESS,
];

/// The other end's pod and service: the conventions have no names for them.
const OWN: [&str; 4] = ["source.pod", "destination.pod", "source.service", "destination.service"];

#[test]
fn requests_and_calls_have_the_conventions_names() {
    let registry = Registry::new(Settings::default());
    for side in [Side::Server, Side::Client] {
        for protocol in [Protocol::Http1, Protocol::Grpc] {
            registry.record(&exchange(side, protocol));
        }
    }
    let (resources, mut streams) = (Resources::new(&[], None), Streams::default());
    let times = Times { began: 1, previous: 1, now: 2 };
    let how = (Temporality::default(), Histograms::default());
    let mut collection = Collection::new(how, times, &resources, &mut streams);
    requests::write(&mut Page::new(&mut collection), &registry, Profiles::OTEL);
    let (mut names, mut keys) = (BTreeSet::new(), BTreeSet::new());
    for batch in collection.finish() {
        let message = ExportMetricsServiceRequest::decode(batch.request.bytes).unwrap();
        let scopes = message.resource_metrics.iter().flat_map(|of| &of.scope_metrics);
        for metric in scopes.flat_map(|scope| &scope.metrics) {
            names.insert((metric.name.clone(), metric.unit.clone()));
            keys.extend(keys_of(metric));
        }
    }
    let unit = |name: &str| if name.ends_with("size") { "By" } else { "s" };
    assert_eq!(names, METRICS.map(|name| (name.to_owned(), unit(name).to_owned())).into());
    assert_eq!(keys, ATTRIBUTES.into_iter().chain(OWN).map(str::to_owned).collect());
}

fn keys_of(metric: &opentelemetry_proto::tonic::metrics::v1::Metric) -> Vec<String> {
    use opentelemetry_proto::tonic::metrics::v1::metric::Data;
    let attributes: Vec<_> = match metric.data.as_ref().unwrap() {
        Data::ExponentialHistogram(histogram) => {
            histogram.data_points.iter().flat_map(|point| &point.attributes).collect()
        }
        Data::Histogram(histogram) => {
            histogram.data_points.iter().flat_map(|point| &point.attributes).collect()
        }
        other => panic!("{other:?}"),
    };
    attributes.into_iter().map(|attribute| attribute.key.clone()).collect()
}

/// One that failed, and of which everything is known.
fn exchange(side: Side, protocol: Protocol) -> AttributedExchange {
    let mut joined = joined(1, 2, 1);
    let wire = &mut joined.exchange;
    (wire.side, wire.protocol) = (side, protocol);
    (wire.path, wire.authority) = ("/shop.Orders/Get".into(), Some("orders".into()));
    wire.status = Some(500);
    wire.grpc = Some(Box::new(Grpc { status: Some(13), ..Grpc::default() }));
    AttributedExchange {
        pod: Some("shop/orders".into()),
        route: Some("/orders/{id}".into()),
        peer_pod: Some("shop/gateway".into()),
        peer_service: Some("shop/orders".into()),
        ..attributed(joined)
    }
}

//! Counting exchanges under bounded labels, and pages of it.
use std::hint::black_box;

use serde_json::{Value, json};
use weft_core::{
    AttributedExchange, Ktime, MessageSpan,
    testing::{attributed, joined},
};
use weft_metrics::{
    Profiles, Registry, Settings,
    exposition::{Format, Page, Scrape},
    requests,
};

use crate::{heap, throughput::cpu_time};

const ROUTES: u32 = 20;
const STATUSES: [u16; 5] = [200, 201, 302, 404, 500];
/// Exchanges of each series, of durations that differ.
const EACH: u32 = 20;
/// Pages of each format; the fastest counts, because others use the machine, too.
const PAGES: u32 = 5;

pub fn measure(pods: u32) -> Value {
    let exchanges: Vec<AttributedExchange> = series(pods).collect();
    let before = heap::live();
    let registry = filled(&exchanges, Profiles::OTEL);
    let record_ns = record_ns(&registry, &exchanges);
    let bytes = heap::live() - before;
    let scrape_ms = json!({ "text": page(&registry, Format::Text), "openmetrics": page(&registry, Format::OpenMetrics),
        "protobuf": page(&registry, Format::Protobuf) });
    let series = registry.counts().series;
    drop(registry);
    let all = Profiles { istio: true, beyla: true, ..Profiles::OTEL };
    json!({
        "series": series,
        "record_ns": record_ns,
        "record_all_profiles_ns": self::record_ns(&filled(&exchanges, all), &exchanges),
        "registry_mib": bytes >> 20,
        "scrape_ms": scrape_ms,
    })
}

/// With each of them once.
fn filled(exchanges: &[AttributedExchange], profiles: Profiles) -> Registry {
    let registry = Registry::new(Settings { profiles, ..Settings::default() });
    exchanges.iter().for_each(|exchange| registry.record(exchange));
    registry
}

/// Of one more of each of them, on average.
fn record_ns(registry: &Registry, exchanges: &[AttributedExchange]) -> u128 {
    let began = cpu_time();
    for round in 1..EACH {
        for exchange in exchanges {
            registry.record(black_box(&later(exchange, round)));
        }
    }
    // What it costs to make the exchanges is measured, too, and taken off.
    let recorded = cpu_time() - began;
    let began = cpu_time();
    for round in 1..EACH {
        for exchange in exchanges {
            black_box(later(exchange, round));
        }
    }
    let each = recorded.saturating_sub(cpu_time() - began).as_nanos() / u128::from(EACH - 1);
    each / exchanges.len().max(1) as u128
}

fn page(registry: &Registry, format: Format) -> Value {
    let one = || {
        let began = cpu_time();
        let mut bytes = 0;
        let mut out = |piece: &[u8]| bytes += black_box(piece).len();
        let mut scrape = Scrape::new(format, &mut out);
        requests::write(&mut Page::new(&mut scrape), registry, Profiles::OTEL);
        scrape.finish();
        ((cpu_time() - began).as_millis() as u64, bytes)
    };
    let (ms, bytes) = (0..PAGES).map(|_| one()).min().unwrap_or_default();
    json!({ "ms": ms, "mib": bytes >> 20 })
}

/// One exchange of each series.
pub fn series(pods: u32) -> impl Iterator<Item = AttributedExchange> {
    (0..pods).flat_map(|pod| {
        (0..ROUTES).flat_map(move |route| STATUSES.map(|status| exchange(pod, route, status)).into_iter())
    })
}

/// The same some time later, and of another duration.
fn later(exchange: &AttributedExchange, round: u32) -> AttributedExchange {
    let mut exchange = exchange.clone();
    let last = exchange.joined.exchange.request.first_byte.after(1_000_000 + 731_000 * u64::from(round));
    if let Some(response) = &mut exchange.joined.exchange.response {
        response.last_byte = last;
    }
    exchange
}

fn exchange(pod: u32, route: u32, status: u16) -> AttributedExchange {
    let message = |time| MessageSpan { first_byte: time, last_byte: time, bytes: 300, body_bytes: 200 };
    let mut joined = joined(u64::from(pod) + 1, 9, route);
    let wire = &mut joined.exchange;
    (wire.path, wire.status) = (format!("/api/things/{route}/parts"), Some(status));
    wire.authority = Some("things.shop.svc:8080".into());
    (wire.socket_cookie, wire.request_ack) = (1, pod);
    (wire.request, wire.response) = (message(Ktime(1_000_000_000)), Some(message(Ktime(1_002_000_000))));
    AttributedExchange {
        pod: Some(format!("shop/things-{pod}").into()),
        route: Some(format!("/api/things-{route}/{{id}}/parts").into()),
        peer_pod: Some("shop/gateway".into()),
        ..attributed(joined)
    }
}

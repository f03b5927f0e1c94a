//! Spans at a rate, from exchanges to a backend of OTLP.
use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use anyhow::{Result, ensure};
use rustix::time::ClockId;
use serde_json::{Value, json};
use weft_core::{AttributedExchange, span::Span};
use weft_metrics::exposition::Page;
use weft_otlp::{
    Compression, Counts, Endpoint, Exporter, Histograms, Identity, Limits, Outcome, Protocol, Resources,
    Settings, Signal, Signals, Source, Spans, Temporality,
};

use crate::{cpu, metrics::series};

/// Pods that the spans are of.
const PODS: u32 = 20;
/// How often spans are put into the queue, as the pipeline does it when it has drained its ring.
const STEP: Duration = Duration::from_millis(10);

struct NoMetrics;

impl Source for NoMetrics {
    fn identify(&mut self, _resources: &mut Resources) {}
    fn write(&mut self, _page: &mut Page<'_>) {}
}

/// What is asked for.
pub struct Load {
    pub endpoint: String,
    pub http: bool,
    pub rate: u32,
    pub seconds: u32,
}

pub fn measure(load: &Load) -> Result<Value> {
    let exchanges: Vec<AttributedExchange> = series(PODS).collect();
    ensure!(!exchanges.is_empty(), "no exchanges");
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build()?;
    let counts = Arc::new(Counts::default());
    let (exporter, spans) = Exporter::new(settings(load)?, Arc::clone(&counts))?;
    let identity = Identity { began: 1, own: Vec::new(), node: None };
    let handle = {
        let _entered = runtime.enter();
        exporter.start(identity, NoMetrics)
    };
    let began = process_cpu();
    let pushed = push(load, &exchanges, &spans);
    runtime.block_on(handle.stop());
    let cpu = process_cpu().saturating_sub(began);
    let of = |outcome| counts.of(Signal::Spans, outcome);
    Ok(json!({
        "spans": pushed,
        "sent": of(Outcome::Sent),
        "lost": of(Outcome::Rejected) + of(Outcome::QueueFull) + of(Outcome::GivenUp),
        "cpu_us_per_span": cpu.as_secs_f64() * 1e6 / pushed as f64,
    }))
}

/// At the rate; a step that comes late is made up for.
fn push(load: &Load, exchanges: &[AttributedExchange], spans: &Spans) -> u64 {
    let (start, mut pushed) = (Instant::now(), 0_u64);
    let total = u64::from(load.rate) * u64::from(load.seconds);
    let mut next = exchanges.iter().cycle();
    while pushed < total {
        std::thread::sleep(STEP);
        let due = (start.elapsed().as_secs_f64() * f64::from(load.rate)) as u64;
        for exchange in next.by_ref().take((due.min(total) - pushed) as usize) {
            if let Some(span) = Span::of(exchange) {
                spans.push(Arc::new(span));
            }
        }
        pushed = due.min(total);
    }
    pushed
}

fn settings(load: &Load) -> Result<Settings> {
    Ok(Settings {
        endpoint: Endpoint::parse(&load.endpoint)?,
        signals: Signals::default(),
        protocol: if load.http { Protocol::Http } else { Protocol::Grpc },
        interval: Duration::from_secs(10),
        temporality: Temporality::default(),
        histograms: Histograms::default(),
        headers: weft_otlp::headers::HeaderMap::new(),
        compression: Compression::default(),
        ca_file: None,
        timeout: Duration::from_secs(10),
        limits: Limits::default(),
    })
}

/// Of all threads: the one that makes spans of exchanges, and the runtime's.
fn process_cpu() -> Duration {
    cpu::time(ClockId::ProcessCPUTime)
}

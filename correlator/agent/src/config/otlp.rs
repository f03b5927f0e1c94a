//! Where metrics and spans are sent (`export.otlp`).
use std::{collections::BTreeMap, env, path::PathBuf, time::Duration};

use anyhow::{Context as _, Result, bail};
use serde::Deserialize;
use weft_otlp::{
    Compression, Endpoint, Histograms, Limits, Protocol, Settings, Signal, Signals, Temporality, headers,
};

use super::{Span, choice::one_of};

/// How often metrics may be sent, and how long an attempt may take: what is shorter is a load, what is longer a mistake.
const INTERVAL: std::ops::RangeInclusive<u64> = 1_000_000_000..=3_600_000_000_000;
const TIMEOUT: std::ops::RangeInclusive<u64> = 100_000_000..=300_000_000_000;
/// The most spans that may wait.
const MOST_SPANS: usize = 1_000_000;

/// The section `export.otlp`.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Otlp {
    /// `http://HOST:PORT` or `https://HOST:PORT`.
    endpoint: String,
    /// `grpc` or `http`.
    #[serde(default = "grpc")]
    protocol: String,
    /// `metrics` and `spans`, or one of them.
    #[serde(default = "signals")]
    signals: Vec<String>,
    /// How often metrics are sent.
    #[serde(default = "interval")]
    interval: Span,
    /// `cumulative` or `delta`.
    #[serde(default = "cumulative")]
    temporality: String,
    /// `exponential` or `explicit`.
    #[serde(default = "exponential")]
    histograms: String,
    /// Added to each request.
    #[serde(default)]
    headers: BTreeMap<String, Header>,
    /// `gzip` or `none`.
    #[serde(default = "gzip")]
    compression: String,
    /// PEM with the authorities to trust, in the place of the system's.
    #[serde(default)]
    ca_file: Option<PathBuf>,
    /// Of one attempt.
    #[serde(default = "timeout")]
    timeout: Span,
    /// The most spans that wait.
    #[serde(default = "queue")]
    queue: usize,
}

/// The value of a header: itself, or the name of the environment's variable that has it, so that a secret need not be in a file.
#[derive(Clone, PartialEq, Deserialize)]
#[serde(untagged)]
enum Header {
    Value(String),
    Env(FromEnv),
}

#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
struct FromEnv {
    env: String,
}

/// A value may be a secret.
impl std::fmt::Debug for Header {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Value(_) => f.write_str("..."),
            Self::Env(FromEnv { env }) => write!(f, "${env}"),
        }
    }
}

fn grpc() -> String {
    "grpc".into()
}

fn signals() -> Vec<String> {
    vec!["metrics".into(), "spans".into()]
}

fn interval() -> Span {
    Span(10_000_000_000)
}

fn cumulative() -> String {
    "cumulative".into()
}

fn exponential() -> String {
    "exponential".into()
}

fn gzip() -> String {
    "gzip".into()
}

fn timeout() -> Span {
    Span(10_000_000_000)
}

fn queue() -> usize {
    Limits::default().spans
}

impl Otlp {
    /// What the exporter needs of it.
    ///
    /// # Errors
    /// When a key says what is not allowed: which, and what is.
    pub fn settings(&self) -> Result<Settings> {
        let Self { endpoint, protocol, interval, temporality, histograms, compression, .. } = self;
        let endpoint = Endpoint::parse(endpoint)
            .map_err(|error| anyhow::anyhow!("export.otlp.endpoint is {endpoint:?}: {error}"))?;
        Ok(Settings {
            endpoint,
            protocol: choice("protocol", protocol, [("grpc", Protocol::Grpc), ("http", Protocol::Http)])?,
            signals: self.signals()?,
            interval: length("interval", *interval, INTERVAL)?,
            temporality: choice(
                "temporality",
                temporality,
                [("cumulative", Temporality::Cumulative), ("delta", Temporality::Delta)],
            )?,
            histograms: choice(
                "histograms",
                histograms,
                [("exponential", Histograms::Exponential), ("explicit", Histograms::Explicit)],
            )?,
            headers: self.headers()?,
            compression: choice(
                "compression",
                compression,
                [("gzip", Compression::Gzip), ("none", Compression::None)],
            )?,
            ca_file: self.ca_file.clone(),
            timeout: length("timeout", self.timeout, TIMEOUT)?,
            limits: self.limits()?,
        })
    }

    fn signals(&self) -> Result<Signals> {
        let mut signals = Signals { metrics: false, spans: false };
        for signal in &self.signals {
            match choice("signals", signal, [("metrics", Signal::Metrics), ("spans", Signal::Spans)])? {
                Signal::Metrics => signals.metrics = true,
                Signal::Spans => signals.spans = true,
            }
        }
        if signals == (Signals { metrics: false, spans: false }) {
            bail!(
                "export.otlp.signals is empty: metrics, spans, or both; without export.otlp nothing is exported"
            );
        }
        Ok(signals)
    }

    fn limits(&self) -> Result<Limits> {
        if !(1..=MOST_SPANS).contains(&self.queue) {
            bail!("export.otlp.queue is {}: 1 to {MOST_SPANS} is allowed", self.queue);
        }
        Ok(Limits { spans: self.queue, ..Limits::default() })
    }

    fn headers(&self) -> Result<headers::HeaderMap> {
        let mut headers = headers::HeaderMap::new();
        for (name, header) in &self.headers {
            let key = format!("export.otlp.headers.{name}");
            let value = header.value().with_context(|| key.clone())?;
            // Not what it is: it may be a secret.
            let value = headers::value(&value).with_context(|| format!("{key}: no value of a header"))?;
            let name = headers::name(name).with_context(|| format!("{key}: no name of a header"))?;
            headers.insert(name, value);
        }
        Ok(headers)
    }
}

impl Header {
    fn value(&self) -> Result<String> {
        match self {
            Self::Value(value) => Ok(value.clone()),
            Self::Env(FromEnv { env }) => env::var(env)
                .with_context(|| format!("the environment's variable {env} cannot be read: set it, as text")),
        }
    }
}

fn choice<T: Copy, const N: usize>(key: &str, said: &str, allowed: [(&str, T); N]) -> Result<T> {
    one_of(&format!("export.otlp.{key}"), said, allowed).map_err(anyhow::Error::msg)
}

fn length(key: &str, Span(ns): Span, allowed: std::ops::RangeInclusive<u64>) -> Result<Duration> {
    let span = Duration::from_nanos;
    if !allowed.contains(&ns) {
        let (least, most) = (span(*allowed.start()), span(*allowed.end()));
        bail!("export.otlp.{key} is {:?}: {least:?} to {most:?} is allowed", span(ns));
    }
    Ok(span(ns))
}

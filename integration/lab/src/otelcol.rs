//! The OpenTelemetry Collector, which is what metrics and spans are exported to: it reads them, and writes down what it read.
//! Built from its Go modules (`integration/otelcol`), once.

use std::collections::BTreeMap;
use std::fs;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Duration;

use anyhow::{Context, Result};
use serde_json::{Value, json};

use crate::{Lab, Process, prometheus::free_address, tools};

const START: Duration = Duration::from_secs(30);

/// What it takes on its two ports, and where it writes.
#[derive(Debug)]
pub struct Collector {
    lab: Lab,
    program: PathBuf,
    config: PathBuf,
    folder: PathBuf,
    grpc: SocketAddr,
    http: SocketAddr,
    process: Option<Process>,
}

/// Attributes by their keys; of lists, the JSON.
pub type Attributes = BTreeMap<String, String>;

/// A data point as the Collector read it.
#[derive(Clone, Debug)]
pub struct DataPoint {
    /// Of the resource that it is of.
    pub resource: Attributes,
    /// The metric's name.
    pub metric: String,
    /// The metric's unit.
    pub unit: String,
    /// `sum`, `gauge`, `histogram` or `exponentialHistogram`.
    pub kind: String,
    /// 1: delta, 2: cumulative.
    pub temporality: Option<u64>,
    /// Its own.
    pub attributes: Attributes,
    /// In ns since the epoch; 0 where there is none.
    pub start: u64,
    /// In ns since the epoch.
    pub time: u64,
    /// All of it.
    pub json: Value,
}

/// A span as the Collector read it.
#[derive(Clone, Debug)]
pub struct SpanRead {
    /// Of the resource that it is of.
    pub resource: Attributes,
    /// Its own.
    pub attributes: Attributes,
    /// In hexadecimal digits.
    pub trace: String,
    /// In hexadecimal digits.
    pub id: String,
    /// In hexadecimal digits; empty for a root.
    pub parent: String,
    /// 2: server, 3: client.
    pub kind: u64,
    /// All of it.
    pub json: Value,
}

impl Collector {
    /// Builds it where it is not up to date, and starts it.
    ///
    /// # Errors
    /// Without Go, when the modules are not to be had, or when it does not start.
    pub fn start(lab: &Lab) -> Result<Self> {
        Self::with(lab, &["file/spans", "spanmetrics", "servicegraph"])
    }

    /// The same for more spans than are worth writing down: it counts them, see [`Self::counted`].
    ///
    /// # Errors
    /// As [`Self::start`].
    pub fn counting(lab: &Lab) -> Result<Self> {
        Self::with(lab, &["spanmetrics"])
    }

    fn with(lab: &Lab, takers_of_spans: &[&str]) -> Result<Self> {
        let program = program()?;
        let config = lab.file(&format!("otelcol-{:08x}", crate::lab::random()?), "config.yaml")?;
        let folder = config.parent().unwrap_or(&config).to_owned();
        let (grpc, http) = (free_address()?, free_address()?);
        fs::write(&config, serde_json::to_vec_pretty(&document(&folder, grpc, http, takers_of_spans))?)?;
        let mut collector = Self { lab: lab.clone(), program, config, folder, grpc, http, process: None };
        collector.resume()?;
        Ok(collector)
    }

    /// Ends it.
    pub fn stop(&mut self) {
        self.process = None;
    }

    /// Starts it again, on the same ports; what it wrote stays.
    ///
    /// # Errors
    /// When it does not start.
    pub fn resume(&mut self) -> Result<()> {
        let mut command = Command::new(&self.program);
        command.arg(format!("--config=file:{}", self.config.display())).stdout(Stdio::null());
        let mut process = Process::start(&self.lab, None, "otelcol", &mut command)?;
        for address in [self.grpc, self.http] {
            process.wait_listening(address.port(), START)?;
        }
        self.process = Some(process);
        Ok(())
    }

    /// Where it takes OTLP/gRPC.
    pub fn grpc(&self) -> String {
        format!("http://{}", self.grpc)
    }

    /// Where it takes OTLP/HTTP.
    pub fn http(&self) -> String {
        format!("http://{}", self.http)
    }

    /// All data points that it was sent.
    ///
    /// # Errors
    /// When it wrote something else.
    pub fn points(&self) -> Result<Vec<DataPoint>> {
        points(&self.folder.join("metrics.jsonl"))
    }

    /// All data points that it made of spans: of the connectors `spanmetrics` and `servicegraph`.
    ///
    /// # Errors
    /// When it wrote something else.
    pub fn derived(&self) -> Result<Vec<DataPoint>> {
        points(&self.folder.join("derived.jsonl"))
    }

    /// How many spans it counted, by the connector `spanmetrics`.
    ///
    /// # Errors
    /// When it wrote something else.
    pub fn counted(&self) -> Result<u64> {
        let derived = self.derived()?;
        let mut last = BTreeMap::new();
        for point in derived.iter().filter(|point| point.metric == "traces.span.metrics.calls") {
            last.insert(point.series(), point.count());
        }
        Ok(last.values().sum())
    }

    /// All spans that it was sent.
    ///
    /// # Errors
    /// When it wrote something else.
    pub fn spans(&self) -> Result<Vec<SpanRead>> {
        let lines = lines(&self.folder.join("spans.jsonl"))?;
        Ok(lines.iter().flat_map(|line| list(line, "resourceSpans")).flat_map(spans_of).collect())
    }
}

/// Builds it where it is not up to date.
///
/// # Errors
/// Without Go, when the modules are not to be had, or what the build said.
pub fn program() -> Result<PathBuf> {
    tools::go_program("otelcol", ".")
}

fn document(folder: &Path, grpc: SocketAddr, http: SocketAddr, takers_of_spans: &[&str]) -> Value {
    let file = |name: &str| json!({"path": folder.join(name), "append": true, "flush_interval": "100ms"});
    let connectors: Vec<_> = takers_of_spans.iter().filter(|taker| !taker.starts_with("file/")).collect();
    json!({
        "receivers": {"otlp": {"protocols": {"grpc": {"endpoint": grpc}, "http": {"endpoint": http}}}},
        "connectors": {
            "spanmetrics": {"metrics_flush_interval": "1s"},
            "servicegraph": {"store": {"ttl": "2s", "max_items": 100_000}, "metrics_flush_interval": "1s"},
        },
        "exporters": {
            "file/metrics": file("metrics.jsonl"),
            "file/spans": file("spans.jsonl"),
            "file/derived": file("derived.jsonl"),
        },
        "service": {
            "telemetry": {"metrics": {"level": "none"}},
            "pipelines": {
                "metrics": {"receivers": ["otlp"], "exporters": ["file/metrics"]},
                "traces": {"receivers": ["otlp"], "exporters": takers_of_spans},
                "metrics/derived": {"receivers": connectors, "exporters": ["file/derived"]},
            },
        },
    })
}

/// A line that is being written is not there yet.
fn lines(path: &Path) -> Result<Vec<Value>> {
    let text = fs::read_to_string(path).unwrap_or_default();
    let whole = text.rsplit_once('\n').map_or("", |(whole, _)| whole);
    let parse =
        |line: &str| serde_json::from_str(line).with_context(|| format!("{}: {line}", path.display()));
    whole.lines().map(parse).collect()
}

fn points(path: &Path) -> Result<Vec<DataPoint>> {
    let mut points = Vec::new();
    for line in lines(path)? {
        for of in list(&line, "resourceMetrics") {
            let resource = attributes(&of["resource"]);
            for metric in list(of, "scopeMetrics").iter().flat_map(|scope| list(scope, "metrics")) {
                points.extend(points_of(metric, &resource));
            }
        }
    }
    Ok(points)
}

fn points_of(metric: &Value, resource: &Attributes) -> Vec<DataPoint> {
    let kinds = ["sum", "gauge", "histogram", "exponentialHistogram"];
    let Some(kind) = kinds.into_iter().find(|kind| metric.get(*kind).is_some()) else { return Vec::new() };
    let text = |key: &str| metric[key].as_str().unwrap_or_default().to_owned();
    let one = |point: &Value| DataPoint {
        resource: resource.clone(),
        metric: text("name"),
        unit: text("unit"),
        kind: kind.to_owned(),
        temporality: metric[kind]["aggregationTemporality"].as_u64(),
        attributes: attributes(point),
        start: number(&point["startTimeUnixNano"]),
        time: number(&point["timeUnixNano"]),
        json: point.clone(),
    };
    list(&metric[kind], "dataPoints").iter().map(one).collect()
}

fn spans_of(of: &Value) -> Vec<SpanRead> {
    let resource = attributes(&of["resource"]);
    let spans = list(of, "scopeSpans").iter().flat_map(|scope| list(scope, "spans"));
    let text = |span: &Value, key: &str| span[key].as_str().unwrap_or_default().to_owned();
    let one = |span: &Value| SpanRead {
        resource: resource.clone(),
        attributes: attributes(span),
        trace: text(span, "traceId"),
        id: text(span, "spanId"),
        parent: text(span, "parentSpanId"),
        kind: span["kind"].as_u64().unwrap_or(0),
        json: span.clone(),
    };
    spans.map(one).collect()
}

impl DataPoint {
    /// How many a histogram counted, or the value of another point.
    pub fn count(&self) -> u64 {
        let key = if self.kind.ends_with("istogram") { "count" } else { "asInt" };
        number(&self.json[key])
    }

    /// What tells its series from others.
    pub fn series(&self) -> (String, Attributes, Attributes) {
        (self.metric.clone(), self.resource.clone(), self.attributes.clone())
    }
}

fn list<'a>(of: &'a Value, key: &str) -> &'a [Value] {
    of[key].as_array().map_or(&[], Vec::as_slice)
}

fn attributes(of: &Value) -> Attributes {
    let one = |attribute: &Value| {
        let value = attribute["value"].as_object().and_then(|value| value.values().next());
        let value = value.map(|value| value.as_str().map_or_else(|| value.to_string(), str::to_owned));
        (attribute["key"].as_str().unwrap_or_default().to_owned(), value.unwrap_or_default())
    };
    list(of, "attributes").iter().map(one).collect()
}

/// In JSON, protobuf's numbers of 64 bits are text.
fn number(value: &Value) -> u64 {
    value.as_u64().or_else(|| value.as_str()?.parse().ok()).unwrap_or(0)
}

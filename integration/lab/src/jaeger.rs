//! Jaeger, in which people look at traces: what its query API says of the spans that it was sent. Built from its Go module
//! (`integration/jaeger`), once.

use std::fs;
use std::net::SocketAddr;
use std::process::{Command, Stdio};
use std::time::Duration;

use anyhow::{Context, Result};
use serde_json::{Value, json};

use crate::{Lab, Process, http, prometheus::free_address, tools};

const START: Duration = Duration::from_secs(60);
const ANSWER: Duration = Duration::from_secs(10);

/// It keeps what it is sent in memory.
#[derive(Debug)]
pub struct Jaeger {
    otlp: SocketAddr,
    query: SocketAddr,
    _process: Process,
}

impl Jaeger {
    /// Builds it where it is not up to date, and starts it.
    ///
    /// # Errors
    /// Without Go, when the modules are not to be had, or when it does not start.
    pub fn start(lab: &Lab) -> Result<Self> {
        let program = tools::go_program("jaeger", "tool")?;
        let config = lab.file(&format!("jaeger-{:08x}", crate::lab::random()?), "config.yaml")?;
        let [otlp, query, other] = [free_address()?, free_address()?, free_address()?];
        fs::write(&config, serde_json::to_vec_pretty(&document(otlp, query, other))?)?;
        let mut command = Command::new(program);
        command.arg(format!("--config=file:{}", config.display())).stdout(Stdio::null());
        let mut process = Process::start(lab, None, "jaeger", &mut command)?;
        for address in [otlp, query] {
            process.wait_listening(address.port(), START)?;
        }
        Ok(Self { otlp, query, _process: process })
    }

    /// Where it takes OTLP/gRPC.
    pub fn grpc(&self) -> String {
        format!("http://{}", self.otlp)
    }

    /// The services of which it has spans.
    ///
    /// # Errors
    /// When it does not answer.
    pub fn services(&self) -> Result<Vec<String>> {
        Ok(serde_json::from_value(self.ask("/api/services")?).unwrap_or_default())
    }

    /// The traces with a span of this service: each with its `traceID`, `spans` and `processes`.
    ///
    /// # Errors
    /// When it does not answer.
    pub fn traces(&self, service: &str, limit: u32) -> Result<Vec<Value>> {
        let found = self.ask(&format!("/api/traces?service={service}&limit={limit}&lookback=1h"))?;
        Ok(found.as_array().cloned().unwrap_or_default())
    }

    /// One trace; nothing where there is none.
    ///
    /// # Errors
    /// When it does not answer.
    pub fn trace(&self, id: &str) -> Result<Option<Value>> {
        let found = self.ask(&format!("/api/traces/{id}"))?;
        Ok(found.as_array().and_then(|traces| traces.first()).cloned())
    }

    fn ask(&self, path: &str) -> Result<Value> {
        let response = http::get(self.query, path, &[], ANSWER)?;
        // So it says that there is no such trace.
        if response.status == 404 {
            return Ok(Value::Null);
        }
        let mut answer = response.json().context("Jaeger's query API")?;
        Ok(answer["data"].take())
    }
}

/// Every address is named: those that it takes by itself are everybody's.
fn document(otlp: SocketAddr, query: SocketAddr, other: SocketAddr) -> Value {
    json!({
        "service": {
            "extensions": ["jaeger_storage", "jaeger_query"],
            "telemetry": {"metrics": {"level": "none"}},
            "pipelines": {"traces": {"receivers": ["otlp"], "exporters": ["jaeger_storage_exporter"]}},
        },
        "extensions": {
            "jaeger_storage": {"backends": {"memory": {"memory": {"max_traces": 100_000}}}},
            "jaeger_query": {
                "storage": {"traces": "memory"}, "grpc": {"endpoint": other}, "http": {"endpoint": query},
            },
        },
        "receivers": {"otlp": {"protocols": {"grpc": {"endpoint": otlp}}}},
        "exporters": {"jaeger_storage_exporter": {"trace_storage": "memory"}},
    })
}

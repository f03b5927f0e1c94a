//! gRPC by grpc-go: a service with calls of every kind, and a generator whose count of calls by status is the truth.

use std::collections::BTreeMap;
use std::time::Duration;

use anyhow::{Result, ensure};
use serde::Deserialize;

use crate::load::{self, Latency};
use crate::service::mesh;
use crate::{Lab, NetNs, Pod, Process};

const START: Duration = Duration::from_secs(10);
const LIMIT: Duration = Duration::from_secs(120);

/// Starts the service `weft.lab.Echo` in `pod`.
///
/// # Errors
/// When it does not start to listen.
pub fn serve(pod: &Pod, port: u16) -> Result<Process> {
    let mut command = mesh(pod.lab(), "grpcserver");
    command.args(["-listen", &format!(":{port}")]);
    let mut process = Process::start(pod.lab(), Some(pod.netns()), "grpcserver", &mut command)?;
    process.wait_listening(port, START)?;
    Ok(process)
}

/// The generator's own count. `calls` is the sum of `by_status`.
#[derive(Clone, Debug, Deserialize)]
pub struct GrpcReport {
    /// Calls that ended, each with a status.
    pub calls: u64,
    /// The same by the status code's number.
    pub by_status: BTreeMap<String, u64>,
    /// Messages that the client sent.
    pub messages_sent: u64,
    /// Messages that it got.
    pub messages_received: u64,
    /// How long the run took, in s.
    pub elapsed_s: f64,
    /// Calls a second.
    pub calls_per_second: f64,
    /// Of calls that ended with OK; absent without any.
    pub latency_ms: Option<Latency>,
}

/// Makes calls from `pod` to `target` (`host:port`), as the options say (`mesh grpcload -h` lists them).
///
/// # Errors
/// When the generator fails as a program; calls that failed are in the report.
pub fn call(pod: &Pod, target: &str, options: &[&str]) -> Result<GrpcReport> {
    call_at(pod.lab(), Some(pod.netns()), target, options)
}

/// Makes calls from a namespace, or from the host, where nothing traces them.
///
/// # Errors
/// As [`call`].
pub fn call_at(lab: &Lab, netns: Option<&NetNs>, target: &str, options: &[&str]) -> Result<GrpcReport> {
    let report = load::report_file(lab)?;
    let mut command = mesh(lab, "grpcload");
    command.args(["-target", target, "-json"]).arg(&report).args(options);
    let mut process = Process::start(lab, netns, "grpcload", &mut command)?;
    let status = process.wait(LIMIT)?;
    ensure!(status.success(), "grpcload failed ({status}): {}", process.stderr());
    load::read_json(&report)
}

//! Load from inside a pod: the generator's own count is the truth that weft is compared with. Also the peers
//! that misbehave.

use std::collections::BTreeMap;
use std::fs;
use std::path::PathBuf;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::Value;

use crate::service::mesh;
use crate::{Lab, Pod, Process, Site};

/// What to send.
#[derive(Clone, Debug)]
pub struct Load {
    /// `http://host:port/path`; `{id}` in it becomes the request's number.
    pub url: String,
    /// The method.
    pub method: String,
    /// Bytes of body.
    pub body: u64,
    /// Requests a second; 0: as fast as they are answered.
    pub rate: u32,
    /// Connections, each with one request at a time.
    pub connections: u32,
    /// How long; zero: until the process is stopped.
    pub duration: Duration,
}

impl Load {
    /// GET requests, unthrottled, for 10 s over 32 connections.
    pub fn get(url: String) -> Self {
        Self {
            url,
            method: "GET".to_owned(),
            body: 0,
            rate: 0,
            connections: 32,
            duration: Duration::from_secs(10),
        }
    }

    /// The same at a rate a second.
    pub fn rate(self, rate: u32) -> Self {
        Self { rate, ..self }
    }

    /// The same for that long.
    pub fn seconds(self, seconds: u64) -> Self {
        Self { duration: Duration::from_secs(seconds), ..self }
    }

    /// The same over that many connections.
    pub fn connections(self, connections: u32) -> Self {
        Self { connections, ..self }
    }
}

/// The generator's own count. `sent` = `ok` + `other_status` + `failed`.
#[derive(Clone, Debug, Deserialize)]
pub struct LoadReport {
    /// At a rate: how many requests the schedule has; else 0.
    #[serde(default)]
    pub planned: u64,
    /// Requests whose last byte the kernel took.
    pub sent: u64,
    /// Answered 2xx, to the last byte.
    pub ok: u64,
    /// Answered otherwise.
    pub other_status: u64,
    /// Sent, but not answered completely.
    pub failed: u64,
    /// For want of a connection.
    pub not_sent: u64,
    /// At a rate: every planned request was sent, none of them over a second late.
    pub sustained: bool,
    /// The largest delay between a request's turn and its write, in ms.
    pub late_max_ms: f64,
    /// How long the run took, in s.
    pub elapsed_s: f64,
    /// 2xx answers a second.
    pub ok_per_second: f64,
    /// From a request's write to its answer's last byte; absent without a 2xx answer.
    pub latency_ms: Option<Latency>,
    /// What went wrong, by kind.
    pub errors: BTreeMap<String, u64>,
}

/// Quantiles (nearest rank, of measured values) in ms.
#[derive(Clone, Copy, Debug, Default, Deserialize)]
pub struct Latency {
    /// The shortest.
    pub min: f64,
    /// The mean.
    pub mean: f64,
    /// The median.
    pub p50: f64,
    /// 90%.
    pub p90: f64,
    /// 99%.
    pub p99: f64,
    /// 99.9%.
    pub p999: f64,
    /// The longest.
    pub max: f64,
}

/// A load generator at work.
#[derive(Debug)]
pub struct RunningLoad {
    /// Its process.
    pub process: Process,
    report: PathBuf,
    limit: Duration,
}

/// Starts the generator in a pod or on the host.
///
/// # Errors
/// When it cannot be started.
pub fn start<'a>(at: impl Into<Site<'a>>, load: &Load) -> Result<RunningLoad> {
    let site = at.into();
    let report = report_file(site.lab())?;
    let mut command = site.mesh("loadgen");
    command.args(["-url", &load.url, "-method", &load.method, "-json"]).arg(&report);
    command.args(["-body", &load.body.to_string(), "-rate", &load.rate.to_string()]);
    command.args(["-connections", &load.connections.to_string()]);
    command.args(["-duration", &format!("{}ms", load.duration.as_millis())]);
    let process = site.start("loadgen", &mut command)?;
    // The generator itself gives up 10 s after the schedule's end, and on an answer after 20 s.
    Ok(RunningLoad { process, report, limit: load.duration + Duration::from_secs(40) })
}

/// Runs the generator in a pod or on the host to its end.
///
/// # Errors
/// When it fails as a program; failed requests are in the report.
pub fn run<'a>(at: impl Into<Site<'a>>, load: &Load) -> Result<LoadReport> {
    start(at, load)?.finish()
}

impl RunningLoad {
    /// Waits for the end of the run.
    ///
    /// # Errors
    /// When the generator fails as a program.
    pub fn finish(mut self) -> Result<LoadReport> {
        let status = self.process.wait(self.limit)?;
        ensure!(status.success(), "loadgen failed ({status}): {}", self.process.stderr());
        read_json(&self.report)
    }

    /// Ends the run early; requests in flight are still waited for.
    ///
    /// # Errors
    /// As [`Self::finish`].
    pub fn stop(mut self) -> Result<LoadReport> {
        self.process.signal(nix::sys::signal::Signal::SIGTERM)?;
        self.finish()
    }
}

/// Asks for URLs from `pod` over one connection of HTTP/2 without TLS, as the options say (`mesh h2get -h` lists them).
/// Returns the client's report: statuses, and what failed.
///
/// # Errors
/// When the program fails; requests that failed are in the report.
pub fn h2get(pod: &Pod, options: &[&str], urls: &[&str]) -> Result<Value> {
    let report = report_file(pod.lab())?;
    let mut command = mesh(pod, "h2get");
    command.arg("-json").arg(&report).args(options).args(urls);
    let mut process = Process::start(pod.lab(), Some(pod.netns()), "h2get", &mut command)?;
    let status = process.wait(Duration::from_secs(60))?;
    ensure!(status.success(), "h2get failed ({status}): {}", process.stderr());
    read_json(&report)
}

/// Sends the named attacks (`mesh hostile -h` lists them; `all`) from `pod` to `target` (`host:port`), `repeat`
/// times each. Returns the peer's report: what was sent, and what the server did.
///
/// # Errors
/// When the program fails; a server's refusal is in the report.
pub fn hostile(pod: &Pod, target: &str, kinds: &str, repeat: u32) -> Result<Value> {
    let report = report_file(pod.lab())?;
    let mut command = mesh(pod, "hostile");
    command.args(["-target", target, "-kind", kinds, "-repeat", &repeat.to_string(), "-json"]).arg(&report);
    let mut process = Process::start(pod.lab(), Some(pod.netns()), "hostile", &mut command)?;
    let status = process.wait(Duration::from_secs(120))?;
    ensure!(status.success(), "hostile failed ({status}): {}", process.stderr());
    read_json(&report)
}

/// Connections that say nothing, held until this is dropped.
#[derive(Debug)]
pub struct Silence {
    /// The process that holds them.
    pub process: Process,
    /// How many are open.
    pub opened: u64,
    /// The peer's whole report.
    pub report: Value,
}

/// Opens `connections` silent connections from `pod` to `target` (`host:port`), from the given source addresses
/// (64,000 connections fit on one), which must be addresses of the pod.
///
/// # Errors
/// When the program fails; connections that were refused are in the report.
pub fn silence(pod: &Pod, target: &str, connections: u32, sources: &[String]) -> Result<Silence> {
    let path = report_file(pod.lab())?;
    let mut command = mesh(pod, "hostile");
    command.args(["-kind", "silent", "-target", target, "-connections", &connections.to_string()]);
    command.args(["-source", &sources.join(","), "-json"]).arg(&path);
    let mut process = Process::start(pod.lab(), Some(pod.netns()), "silent", &mut command)?;
    process.wait_until(Duration::from_secs(180), "to open its connections", || {
        read_json::<Value>(&path).is_ok()
    })?;
    let report: Value = read_json(&path)?;
    let opened = report.get("opened").and_then(Value::as_u64).unwrap_or(0);
    Ok(Silence { process, opened, report })
}

/// Starts a sink in `pod`: it accepts up to `connections` connections on `port` and says nothing.
///
/// # Errors
/// When it does not start to listen.
pub fn sink(pod: &Pod, port: u16, connections: u32) -> Result<Process> {
    let ready = report_file(pod.lab())?;
    let mut command = mesh(pod, "sink");
    command.args(["-listen", &format!(":{port}"), "-connections", &connections.to_string()]);
    command.stdout(fs::File::create(&ready)?);
    let mut process = Process::start(pod.lab(), Some(pod.netns()), "sink", &mut command)?;
    process.wait_until(Duration::from_secs(20), "to listen", || read_json::<Value>(&ready).is_ok())?;
    Ok(process)
}

pub(crate) fn report_file(lab: &Lab) -> Result<PathBuf> {
    lab.file("reports", &format!("{:08x}.json", crate::lab::random()?))
}

pub(crate) fn read_json<T: DeserializeOwned>(path: &PathBuf) -> Result<T> {
    let document = fs::read(path).with_context(|| format!("no report at {}", path.display()))?;
    serde_json::from_slice(&document).with_context(|| format!("{} is no report", path.display()))
}

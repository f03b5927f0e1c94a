//! What is traced, and the load on it. The load and the service that it asks run on the host, where nothing traces them: one
//! pod alone is traced.
use std::net::SocketAddr;
use std::time::Duration;

use anyhow::{Result, ensure};
use serde::Serialize;
use weft_lab::{
    Lab, Pod, Process, Service, grpc,
    load::{self, Latency, Load},
};

const CONNECTIONS: u32 = 32;
const UPSTREAM_PORT: u16 = 18080;

/// A service under load.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, clap::ValueEnum)]
#[serde(rename_all = "lowercase")]
#[value(rename_all = "lowercase")]
pub enum Workload {
    /// Says hello over HTTP/1.1.
    Hello,
    /// Works for 200 us of CPU time.
    Work200us,
    /// Unary gRPC.
    Grpc,
    /// Makes two calls at the same time.
    Fanout,
}

impl Workload {
    pub const ALL: [Self; 4] = [Self::Hello, Self::Work200us, Self::Grpc, Self::Fanout];

    /// Its own calls for each request.
    pub fn calls(self) -> u64 {
        if self == Self::Fanout { 2 } else { 0 }
    }
}

/// Its pod and process, and the service that it asks.
pub struct Subject {
    workload: Workload,
    lab: Lab,
    pub pod: Pod,
    pub process: Process,
    _upstream: Service,
}

/// What the load generator measured.
#[derive(Clone, Copy, Debug)]
pub struct Answered {
    pub served: u64,
    pub per_second: f64,
    pub latency: Latency,
}

impl Subject {
    pub fn start(lab: &Lab, workload: Workload) -> Result<Self> {
        let pod = Pod::create(lab, "bench", "server")?;
        let upstream = SocketAddr::from((lab.gateway(), UPSTREAM_PORT));
        let listening = Service::bench_on_host(lab, upstream)?;
        let process = match workload {
            Workload::Grpc => grpc::serve(&pod, pod.endpoint().port())?,
            _ => Service::bench(&pod, upstream)?.process,
        };
        Ok(Self { workload, lab: lab.clone(), pod, process, _upstream: listening })
    }

    /// How many calls it makes for each request.
    pub fn calls(&self) -> u64 {
        self.workload.calls()
    }

    /// Sends load for so long; at a rate, or (0) as fast as it is answered.
    ///
    /// # Errors
    /// When a request is not answered: then figures mean nothing.
    pub fn load(&self, rate: u32, duration: Duration) -> Result<Answered> {
        match self.workload {
            Workload::Grpc => self.grpc(rate, duration),
            Workload::Hello => self.http("/hello", rate, duration),
            Workload::Work200us => self.http("/work", rate, duration),
            Workload::Fanout => self.http("/calls", rate, duration),
        }
    }

    fn http(&self, path: &str, rate: u32, duration: Duration) -> Result<Answered> {
        let load = Load { duration, ..Load::get(self.pod.url(path)).rate(rate).connections(CONNECTIONS) };
        let report = load::start(&self.lab, &load)?.finish()?;
        ensure!(report.ok > 0 && report.ok == report.sent, "the load itself failed: {report:?}");
        let latency = report.latency_ms.unwrap_or_default();
        Ok(Answered { served: report.ok, per_second: report.ok_per_second, latency })
    }

    fn grpc(&self, rate: u32, duration: Duration) -> Result<Answered> {
        let (rate, duration) = (rate.to_string(), format!("{}ms", duration.as_millis()));
        let connections = ["-connections", "4", "-concurrency", "8", "-rate", &rate, "-duration", &duration];
        let target = self.pod.endpoint().to_string();
        let report = grpc::call_at(&self.lab, None, &target, &connections)?;
        ensure!(report.by_status.get("0") == Some(&report.calls), "calls failed: {:?}", report.by_status);
        let latency = report.latency_ms.unwrap_or_default();
        Ok(Answered { served: report.calls, per_second: report.calls_per_second, latency })
    }
}

//! A mesh of Go services in which one request causes others in every way that Go programs know, each service in a pod
//! of its own; and weft's traces of it against the services' own logs, which weft never sees.

mod build;
mod judge;
mod seen;
mod truth;

use std::collections::HashSet;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::thread::sleep;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use serde::Deserialize;
use serde_json::Value;

use self::seen::Collector;
use self::truth::{Logs, Truth};
use crate::tools::RustBinaries;
use crate::{Agent, Lab, Pod, Process, Shop};

pub use self::build::{Build, Flavour, TOOLCHAINS, USUAL};
pub use self::judge::{Verdict, judge};
pub use self::seen::Seen;

/// The namespace of its pods.
pub const NAMESPACE: &str = "mesh";
/// Room in the ring for some seconds of a thousand requests at a time: fifteen programs and the agent share the processors, and
/// what is judged is who caused what, not whether the agent had one in time.
const RING_BYTES: u32 = 128 << 20;
/// More exchanges than such a run has within the time in which nobody may come to ask for them.
const SPANS: u32 = 200_000;

const PORT: u16 = 8080;
const START: Duration = Duration::from_secs(20);
/// How long all requests of a run may take.
const RUN: Duration = Duration::from_secs(120);
/// How long the logs, and then the exchanges, may take until all of a run are there.
const SETTLE: Duration = Duration::from_secs(10);
/// How often the agent is asked for more: it keeps so many exchanges and no more.
const POLL: Duration = Duration::from_millis(200);
/// How often a process or a file is looked at.
const LOOK: Duration = Duration::from_millis(10);

/// What the program can do, by itself.
#[derive(Clone, Debug, Deserialize)]
pub struct Catalogue {
    /// Those first that others need.
    pub services: Vec<String>,
    /// All workloads.
    pub workloads: Vec<Workload>,
    /// A mesh answers requests with smaller numbers than this.
    pub numbers: u64,
}

/// A way in which one request causes others.
#[derive(Clone, Debug, Deserialize)]
pub struct Workload {
    /// Its name, and that of its route.
    pub name: String,
    /// Whose route it is.
    pub service: String,
    /// How it is asked for.
    pub inbound: String,
    /// Nothing leads from cause to effect but memory that only the program understands: it may stay incomplete.
    pub untellable: bool,
}

/// The agent, a pod for each service and one for the drivers.
#[derive(Debug)]
pub struct Mesh {
    /// What there is.
    pub catalogue: Catalogue,
    /// The agent.
    pub agent: Agent,
    services: Vec<(Pod, Process)>,
    driver: Pod,
    program: PathBuf,
    logs: Logs,
    /// The requests of earlier runs.
    earlier: HashSet<String>,
    /// Those of the last run.
    last: Truth,
    /// The next request's number.
    next: u64,
}

/// What the driver prints.
#[derive(Clone, Copy, Debug, Deserialize)]
struct Driven {
    sent: u64,
    failed: u64,
}

impl Mesh {
    /// Starts the agent, then the pods, then the services. `config` is the agent's, an object.
    ///
    /// # Errors
    /// When one of them does not start.
    pub fn open(binaries: &RustBinaries, build: Build, mut config: Value) -> Result<Self> {
        config["capture"]["ring_bytes"] = RING_BYTES.into();
        config["export"]["store"]["spans"] = SPANS.into();
        let program = build.program()?;
        let catalogue = catalogue(&program)?;
        let lab = Lab::new(Shop::lab_options(binaries))?;
        let agent = Agent::start(&lab, &binaries.weft, config)?;
        let driver = Pod::create(&lab, NAMESPACE, "driver")?;
        let mut mesh = Self {
            catalogue,
            agent,
            services: Vec::new(),
            driver,
            program,
            logs: Logs::default(),
            earlier: HashSet::new(),
            last: Truth::default(),
            next: 0,
        };
        mesh.start_services(&lab)?;
        mesh.agent
            .wait_processes(&mesh.services.iter().map(|(_, process)| process.pid()).collect::<Vec<_>>())?;
        Ok(mesh)
    }

    fn start_services(&mut self, lab: &Lab) -> Result<()> {
        for service in self.catalogue.services.clone() {
            let pod = Pod::create(lab, NAMESPACE, &service)?;
            let peers = self.services.iter().map(|(pod, _)| format!("{}={}", pod.name(), pod.endpoint()));
            let log = lab.file("truth", &service)?;
            let mut command = Command::new(&self.program);
            command.args(["serve", "-name", &service, "-listen", &format!(":{PORT}"), "-log"]).arg(&log);
            command.args(["-peers", &peers.collect::<Vec<_>>().join(",")]).stdout(Stdio::null());
            let mut process = Process::start(lab, Some(pod.netns()), &service, &mut command)?;
            process.wait_listening(PORT, START)?;
            self.logs.add(log);
            self.services.push((pod, process));
        }
        Ok(())
    }

    /// The workload of that name.
    ///
    /// # Errors
    /// When there is none.
    pub fn workload(&self, name: &str) -> Result<Workload> {
        let found = self.catalogue.workloads.iter().find(|workload| workload.name == name);
        found.cloned().with_context(|| format!("no workload is called {name}"))
    }

    /// Lets every workload make its connections, without judging what weft makes of it.
    ///
    /// # Errors
    /// As [`Self::run`].
    pub fn warm_up(&mut self, workloads: &[Workload], requests: u32) -> Result<()> {
        workloads.iter().try_for_each(|workload| self.run(workload, 1, requests).map(drop))
    }

    /// Sends `requests` of a workload, `concurrency` at a time, and holds weft's traces against the logs.
    ///
    /// # Errors
    /// When a request fails, or the logs do not become whole.
    pub fn run(&mut self, workload: &Workload, concurrency: u32, requests: u32) -> Result<Verdict> {
        let mut collector = Collector::new()?;
        let driven = self.drive(workload, concurrency, requests, &mut collector)?;
        let mut truth = Truth::default();
        self.settle_logs(&mut truth, driven.sent).context(workload.name.clone())?;
        self.earlier.extend(truth.calls.keys().cloned());
        let verdict = self.settle_exchanges(&truth, &mut collector);
        self.last = truth;
        verdict
    }

    /// How many requests the services caused in the last run, those of the driver included.
    pub fn calls_of_last_run(&self) -> usize {
        self.last.calls.values().filter(|call| call.received).count()
    }

    /// Whether it is one of them.
    pub fn is_of_last_run(&self, seen: &Seen) -> bool {
        self.last.calls.contains_key(seen.id())
    }

    /// The request that caused this one of the last run, as the services say; nothing for a driver's.
    pub fn cause(&self, call: &str) -> Option<&str> {
        self.last.calls.get(call)?.cause.as_ref()?.as_deref()
    }

    /// The same verdict as [`Self::run`]'s, on exchanges that somebody else collected.
    pub fn judge_last_run<'a>(&'a self, seen: impl Iterator<Item = &'a Seen>) -> Verdict {
        judge(&self.last, seen)
    }

    fn drive(
        &mut self,
        workload: &Workload,
        concurrency: u32,
        requests: u32,
        collector: &mut Collector,
    ) -> Result<Driven> {
        let (behind, most) = (self.next + u64::from(requests), self.catalogue.numbers);
        ensure!(behind <= most, "{}: a mesh answers {most} requests, {} were sent", workload.name, self.next);
        let lab = self.driver.lab();
        let log = lab.file("truth", &format!("driver-{}", self.next))?;
        let report = lab.file("reports", &format!("driver-{}.json", self.next))?;
        let mut command = Command::new(&self.program);
        command.args([
            "drive",
            "-workload",
            &workload.name,
            "-target",
            &self.endpoint(workload)?.to_string(),
        ]);
        command.args(["-first", &self.next.to_string(), "-requests", &requests.to_string()]);
        command.args(["-concurrency", &concurrency.to_string(), "-log"]).arg(&log);
        command.stdout(std::fs::File::create(&report)?);
        let mut process = Process::start(lab, Some(self.driver.netns()), "driver", &mut command)?;
        self.next += u64::from(requests);
        let end = Instant::now() + RUN;
        let mut next = Instant::now() + POLL;
        while process.exited()?.is_none() {
            ensure!(Instant::now() < end, "{}: the driver did not end", workload.name);
            sleep(LOOK);
            if Instant::now() >= next {
                collector.poll(&self.agent)?;
                next = Instant::now() + POLL;
            }
        }
        self.logs.add(log);
        let text = std::fs::read_to_string(&report)?;
        let driven: Driven =
            serde_json::from_str(&text).with_context(|| format!("driver: {}", process.stderr()))?;
        let Driven { sent, failed } = driven;
        ensure!(
            failed == 0,
            "{}: {failed} of {sent} requests failed, the first: {}",
            workload.name,
            process.stderr()
        );
        Ok(driven)
    }

    fn endpoint(&self, workload: &Workload) -> Result<SocketAddr> {
        let service = self.services.iter().find(|(pod, _)| pod.name() == workload.service);
        Ok(service.with_context(|| format!("no service is called {}", workload.service))?.0.endpoint())
    }

    fn settle_logs(&mut self, truth: &mut Truth, roots: u64) -> Result<()> {
        let end = Instant::now() + SETTLE;
        loop {
            self.logs.read_into(truth)?;
            truth.without(&self.earlier);
            let Some(missing) = truth.missing(roots) else { return Ok(()) };
            ensure!(Instant::now() < end, "the services' logs did not become whole: {missing}");
            sleep(LOOK);
        }
    }

    /// Judges as soon as nothing is missing, at the latest when the time is up.
    fn settle_exchanges(&self, truth: &Truth, collector: &mut Collector) -> Result<Verdict> {
        let end = Instant::now() + SETTLE;
        loop {
            collector.poll_all(&self.agent)?;
            let verdict = judge(truth, collector.seen());
            if verdict.unseen == 0 || Instant::now() >= end {
                return Ok(verdict);
            }
            sleep(POLL);
        }
    }
}

fn catalogue(program: &PathBuf) -> Result<Catalogue> {
    let output = Command::new(program).arg("list").output().context("cannot start the mesh's program")?;
    serde_json::from_slice(&output.stdout).context("the mesh's program lists nothing")
}

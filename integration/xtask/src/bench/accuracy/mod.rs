//! `cargo xtask bench accuracy`: whole traces of a mesh of Go services against the services' own logs.
mod report;

use anyhow::{Context as _, Result, bail};
use clap::Args;
use nix::unistd::geteuid;
use weft_lab::{
    tools::{self, RustBinaries},
    topology::{Build, Mesh, USUAL, Workload},
};

use self::report::{Report, Run};
use super::probes::{self, Probes};

const CONCURRENCY: [u32; 4] = [1, 32, 256, 1000];
/// Before anything is counted, of each workload: connections are made, and processes found.
const WARM_UP: u32 = 20;

#[derive(Args)]
pub struct Options {
    /// Print one JSON document at the end; everything else goes to stderr.
    #[arg(long)]
    json: bool,
    /// Only these builds: `1.26`, `1.26 stripped`, `1.26 cgo`; `all` for each of them. By default all of them with
    /// probes on and 32 requests at a time, and everything else with Go 1.26.
    #[arg(long, value_delimiter = ',')]
    go: Vec<String>,
    /// Only with these.
    #[arg(long, value_delimiter = ',')]
    probes: Vec<Probes>,
    /// Only so many requests at a time.
    #[arg(long, value_delimiter = ',')]
    concurrency: Vec<u32>,
    /// Only these workloads.
    #[arg(long, value_delimiter = ',')]
    workload: Vec<String>,
    /// Requests of each workload in each run; at least three times as many as there are at a time.
    #[arg(long, default_value_t = 1000)]
    requests: u32,
}

pub fn execute(options: &Options) -> Result<()> {
    if !geteuid().is_root() {
        bail!("the mesh is made of network namespaces: run it as root (sudo -E cargo xtask bench accuracy)");
    }
    let binaries = tools::rust_binaries()?;
    let mut report = Report::default();
    for build in options.builds()? {
        for probes in options.probes(build) {
            measure(&binaries, build, probes, options, &mut report)
                .with_context(|| format!("Go {build}, probes {probes:?}"))?;
        }
    }
    report.explain();
    if options.json {
        super::print(&serde_json::to_value(&report)?)?;
    }
    Ok(())
}

/// Each run over a mesh of its own: how many requests one answers is bounded, and no run finds what an earlier one left.
fn measure(
    binaries: &RustBinaries,
    build: Build,
    probes: Probes,
    options: &Options,
    report: &mut Report,
) -> Result<()> {
    for concurrency in options.concurrency(build) {
        super::say(&format!("Go {build}, probes {probes:?}, {concurrency} at a time: starting the mesh"));
        let mut mesh = Mesh::open(binaries, build, probes::configuration(probes))?;
        let workloads = options.workloads(&mesh)?;
        mesh.warm_up(&workloads, WARM_UP)?;
        let mut run = Run::new(build, concurrency, probes);
        for workload in &workloads {
            let verdict = mesh.run(workload, concurrency, options.requests.max(3 * concurrency))?;
            run.add(workload, verdict);
        }
        run.explain();
        report.runs.push(run);
    }
    Ok(())
}

impl Options {
    fn builds(&self) -> Result<Vec<Build>> {
        let all = Build::all();
        if self.go.is_empty() || self.go.iter().any(|name| name == "all") {
            return Ok(all);
        }
        let named = |name: &String| {
            let found = all.iter().find(|build| build.to_string() == *name);
            found.copied().with_context(|| format!("no such build: {name}"))
        };
        self.go.iter().map(named).collect()
    }

    fn probes(&self, build: Build) -> Vec<Probes> {
        match (self.probes.is_empty(), build == USUAL || !self.go.is_empty()) {
            (false, _) => self.probes.clone(),
            (true, true) => Probes::ALL.to_vec(),
            (true, false) => vec![Probes::On],
        }
    }

    fn concurrency(&self, build: Build) -> Vec<u32> {
        match (self.concurrency.is_empty(), build == USUAL || !self.go.is_empty()) {
            (false, _) => self.concurrency.clone(),
            (true, true) => CONCURRENCY.to_vec(),
            (true, false) => vec![32],
        }
    }

    fn workloads(&self, mesh: &Mesh) -> Result<Vec<Workload>> {
        if self.workload.is_empty() {
            return Ok(mesh.catalogue.workloads.clone());
        }
        self.workload.iter().map(|name| mesh.workload(name)).collect()
    }
}

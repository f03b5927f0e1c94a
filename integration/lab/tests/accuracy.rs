//! Whole traces of a mesh of Go services against the services' own logs. Needs root, Go, and Go's older toolchains, which it
//! fetches itself. `cargo xtask bench accuracy` is the same at length.

use anyhow::{Result, ensure};
use serde_json::json;
use weft_lab::tools;
use weft_lab::topology::{Build, Flavour, Mesh, USUAL, Verdict, Workload};

/// Of each workload, before anything is judged.
const WARM_UP: u32 = 8;
/// One workload of each kind of evidence, for every build.
const FEW: [&str; 8] = [
    "sequential",
    "fanout",
    "worker-pool",
    "reverse-proxy",
    "sql-pool",
    "h2c",
    "http-to-grpc",
    "grpc-server-stream",
];

fn open(build: Build) -> Result<Mesh> {
    Mesh::open(&tools::rust_binaries()?, build, json!({"go": {"probes": "auto", "budget": "100%"}}))
}

/// Judges all workloads, and then says what was not as it must be.
fn judge(mesh: &mut Mesh, workloads: &[Workload], concurrency: u32, requests: u32) -> Result<()> {
    mesh.warm_up(workloads, WARM_UP)?;
    let mut missed = Vec::new();
    for workload in workloads {
        let verdict = mesh.run(workload, concurrency, requests)?;
        if !is_good(workload, &verdict) {
            missed.push(format!("{} at {concurrency}: {verdict:?}", workload.name));
        }
    }
    ensure!(missed.is_empty(), "{}", missed.join("\n"));
    Ok(())
}

/// Nothing is wrong, and everything is right that can be told. Of so few traces 99.9 % are all of them.
fn is_good(workload: &Workload, verdict: &Verdict) -> bool {
    let Verdict { right, incomplete, wrong, .. } = verdict;
    *wrong == 0 && right + incomplete > 0 && (*incomplete == 0 || workload.untellable)
}

#[test]
fn every_workload_is_traced_right() -> Result<()> {
    let mut mesh = open(USUAL)?;
    let workloads = mesh.catalogue.workloads.clone();
    judge(&mut mesh, &workloads, 1, 30)?;
    judge(&mut mesh, &workloads, 32, 160)
}

fn build_is_traced_right(toolchain: &'static str, flavour: Flavour) -> Result<()> {
    let mut mesh = open(Build { toolchain, flavour })?;
    let workloads = FEW.iter().map(|name| mesh.workload(name)).collect::<Result<Vec<_>>>()?;
    judge(&mut mesh, &workloads, 16, 64)
}

#[test]
fn so_they_are_by_go_1_21() -> Result<()> {
    build_is_traced_right("go1.21.13", Flavour::Plain)
}

#[test]
fn by_go_1_24_stripped() -> Result<()> {
    build_is_traced_right("go1.24.11", Flavour::Stripped)
}

#[test]
fn by_go_1_26_with_cgo() -> Result<()> {
    build_is_traced_right("go1.26.8", Flavour::Cgo)
}

#[test]
fn by_go_1_27() -> Result<()> {
    build_is_traced_right("go1.27.1", Flavour::Plain)
}

#[test]
fn and_stripped() -> Result<()> {
    build_is_traced_right("go1.27.1", Flavour::Stripped)
}

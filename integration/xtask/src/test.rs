//! `cargo xtask test`: all the set-up, then every test that this machine can run; says which it could not run, and why.
use std::process::Command;

use anyhow::{Result, bail};
use clap::Args;
use nix::unistd::geteuid;
use weft_lab::{apt, otelcol, tools};

use crate::{
    ebpf, fuzz,
    run::{cargo, output, run, workspace},
};

#[derive(Args)]
pub struct Options {
    /// Only what needs no privileges.
    #[arg(long)]
    fast: bool,
    /// Also what is slow: other kernels in virtual machines, the licences and bans of every dependency.
    #[arg(long)]
    full: bool,
}

/// One part of the tests.
struct Stage {
    name: &'static str,
    /// Why this machine cannot run it.
    hindrance: Option<&'static str>,
    run: fn() -> Result<()>,
}

pub fn execute(options: &Options) -> Result<()> {
    let mut failed = Vec::new();
    let mut left_out = Vec::new();
    for stage in stages(options) {
        if let Some(why) = stage.hindrance {
            left_out.push(format!("{}: {why}", stage.name));
            continue;
        }
        eprintln!("\nxtask: {}", stage.name);
        if let Err(error) = (stage.run)() {
            eprintln!("xtask: {} FAILED: {error:#}", stage.name);
            failed.push(stage.name);
        }
    }
    conclude(&failed, &left_out)
}

fn conclude(failed: &[&str], left_out: &[String]) -> Result<()> {
    for stage in left_out {
        eprintln!("xtask: not run: {stage}");
    }
    if !failed.is_empty() {
        bail!("failed: {}", failed.join(", "));
    }
    if !left_out.is_empty() && std::env::var_os("CI").is_some() {
        bail!("CI runs every test, and could not run all of them");
    }
    eprintln!("xtask: every test that ran has passed");
    Ok(())
}

fn stages(options: &Options) -> Vec<Stage> {
    let mut stages = vec![
        Stage { name: "format", hindrance: None, run: format },
        Stage { name: "lints", hindrance: None, run: lints },
        Stage { name: "unit tests", hindrance: None, run: unit_tests },
        Stage { name: "programs of each Go", hindrance: no_go_or_gcc(), run: go_programs },
        Stage { name: "workloads (Go)", hindrance: no_go(), run: workloads },
        Stage { name: "eBPF object is what its sources give", hindrance: no_nightly(), run: ebpf_check },
    ];
    if !options.fast {
        stages.push(Stage { name: "fuzzing, briefly", hindrance: no_cxx(), run: fuzz::briefly });
        stages.push(Stage { name: "privileged tests", hindrance: no_privileges(), run: privileged });
    }
    if options.full {
        stages.push(Stage { name: "phases", hindrance: no_privileges(), run: phases });
        stages.push(Stage { name: "a cluster's API", hindrance: no_privileges(), run: kubernetes });
        stages.push(Stage { name: "Jaeger", hindrance: no_privileges(), run: jaeger });
        stages.push(Stage { name: "other kernels", hindrance: no_privileges(), run: kernels });
        stages.push(Stage { name: "dependencies (cargo-deny)", hindrance: None, run: dependencies });
    }
    stages
}

fn format() -> Result<()> {
    run(cargo().args(["fmt", "--all", "--check"]))?;
    run(cargo().args(["fmt", "--check"]).current_dir(fuzz::folder()))
}

fn lints() -> Result<()> {
    run(cargo().args(["clippy", "--quiet", "--all-targets", "--", "-D", "warnings"]))
}

fn unit_tests() -> Result<()> {
    run(cargo().args(["test", "--quiet", "--workspace", "--exclude", "weft-lab", "--exclude", "weft-ebpf"]))?;
    run(cargo().args(["test", "--quiet", "-p", "weft-lab", "--lib"]))
}

/// Tests of the reader of Go binaries that build programs with several of Go's versions.
fn go_programs() -> Result<()> {
    run(cargo().args(["test", "--quiet", "-p", "weft-gobin", "--test", "binaries", "--", "--ignored"]))
}

fn workloads() -> Result<()> {
    go_module("integration/workloads")?;
    go_module("integration/workloads/topology")
}

fn go_module(folder: &str) -> Result<()> {
    let go = |verb| {
        let mut command = Command::new(tools::go().unwrap_or_else(|| "go".into()));
        command.current_dir(workspace().join(folder)).args([verb, "./..."]);
        command
    };
    run(&mut go("vet"))?;
    run(&mut go("test"))
}

fn ebpf_check() -> Result<()> {
    ebpf::execute(&ebpf::Options { check: true })
}

/// With real programs, namespaces and plugins.
fn privileged() -> Result<()> {
    apt::ensure_programs(&[apt::PEERS.as_slice(), &[apt::TCPDUMP, apt::TSHARK]].concat())?;
    tools::rust_binaries()?;
    // The first time it takes minutes, which no test should wait for.
    otelcol::program()?;
    // Two at a time: each has a load of its own, and the machine is not large.
    run(cargo().args(["test", "--no-fail-fast", "-p", "weft-lab", "--tests", "--", "--test-threads", "2"]))
}

/// Where the time went, against programs that say so themselves: alone on the machine, because they compare times.
fn phases() -> Result<()> {
    one_at_a_time("phases", &[])
}

/// A real API server, which takes minutes to build the first time.
fn kubernetes() -> Result<()> {
    one_at_a_time("kubernetes", &[])
}

/// What people look at traces in, which takes minutes to build the first time, too.
fn jaeger() -> Result<()> {
    one_at_a_time("jaeger", &[])
}

/// Each is a machine of its own.
fn kernels() -> Result<()> {
    one_at_a_time("programs", &["kernels::"])
}

/// The ignored ones of a file of the lab's tests.
fn one_at_a_time(tests: &str, filter: &[&str]) -> Result<()> {
    let alone = ["--", "--ignored", "--test-threads", "1"];
    run(cargo().args(["test", "-p", "weft-lab", "--test", tests]).args(alone).args(filter))
}

fn dependencies() -> Result<()> {
    let root = workspace().join("target/tools");
    let deny = root.join("bin/cargo-deny");
    if !deny.exists() {
        run(cargo().args(["install", "cargo-deny", "--locked", "--root"]).arg(&root))?;
    }
    // Not the advisories: their database is no package of a registry.
    run(Command::new(deny).current_dir(workspace()).args(["check", "bans", "licenses", "sources"]))
}

fn no_go() -> Option<&'static str> {
    tools::go().is_none().then_some("no Go toolchain (1.26 or newer)")
}

fn no_go_or_gcc() -> Option<&'static str> {
    let gcc = tools::find_program("gcc").is_some() && tools::find_program("readelf").is_some();
    no_go().or((!gcc).then_some("no gcc and binutils (apt-get install gcc)"))
}

fn no_cxx() -> Option<&'static str> {
    let there = tools::find_program("g++").is_some() || geteuid().is_root();
    (!there).then_some("no C++ compiler (apt-get install g++)")
}

fn no_nightly() -> Option<&'static str> {
    let there = output(Command::new("rustup").args(["run", "nightly", "rustc", "-V"])).is_ok();
    (!there).then_some("no nightly compiler (rustup toolchain install nightly)")
}

fn no_privileges() -> Option<&'static str> {
    (!geteuid().is_root()).then_some("needs root (sudo -E cargo xtask test)")
}

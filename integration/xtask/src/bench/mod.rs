//! `cargo xtask bench NAME`: what weft costs, as figures of one run.
use std::process::Command;

use anyhow::{Context as _, Result};
use clap::{Args, Subcommand};
use serde_json::Value;
use weft_lab::tools;

use crate::run::{cargo, output, run};

mod accuracy;
mod export;
mod kernel;
mod metrics;
mod overhead;
mod probes;
mod replay;
mod targets;
mod traffic;

#[derive(Args)]
pub struct Options {
    #[command(subcommand)]
    bench: Bench,
}

#[derive(Subcommand)]
enum Bench {
    /// Exchanges a second of one core, memory of idle connections, and the kernel programs' time a segment.
    Replay(replay::Options),
    /// Whole traces of a mesh of Go services against the services' own logs.
    Accuracy(accuracy::Options),
    /// Spans at a rate to a real OpenTelemetry Collector: how many arrive, and what each costs.
    Export(export::Options),
    /// What it costs to count exchanges by what was asked for, and to be scraped.
    Metrics(metrics::Options),
    /// What tracing costs a service: the same process with and without it, in turns.
    Overhead(overhead::Options),
}

pub fn execute(options: &Options) -> Result<()> {
    match &options.bench {
        Bench::Replay(options) => replay::execute(options),
        Bench::Accuracy(options) => accuracy::execute(options),
        Bench::Export(options) => export::execute(options),
        Bench::Metrics(options) => metrics::execute(options),
        Bench::Overhead(options) => overhead::execute(options),
    }
}

/// Builds the program that measures, in the release profile.
fn build() -> Result<()> {
    run(cargo().args(["build", "--quiet", "--release", "-p", "weft-bench"]))
}

/// Runs one measurement in a process of its own.
fn measure(arguments: &[&str]) -> Result<Value> {
    let program = tools::target_dir().join("release/weft-bench");
    let printed = output(Command::new(program).args(arguments))?;
    serde_json::from_str(&printed).with_context(|| format!("{} printed no JSON", arguments.join(" ")))
}

fn say(line: &str) {
    eprintln!("bench: {line}");
}

#[expect(clippy::print_stdout, reason = "the one document on stdout")]
fn print(result: &Value) -> Result<()> {
    println!("{}", serde_json::to_string_pretty(result)?);
    Ok(())
}

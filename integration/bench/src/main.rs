//! Measurements of the pipeline and what is behind it. One process measures one thing, so that the allocator's and the
//! caches' state is nobody else's; each prints one JSON document.
use std::{fs, path::PathBuf};

use anyhow::{Context as _, Result};
use clap::{Parser, Subcommand};

mod cpu;
mod export;
mod heap;
mod idle;
mod metrics;
mod sink;
mod throughput;

#[global_allocator]
static HEAP: heap::Counting = heap::Counting;

#[derive(Parser)]
struct Arguments {
    #[command(subcommand)]
    measurement: Measurement,
}

#[derive(Subcommand)]
enum Measurement {
    /// Exchanges a second of one core's time, from the records to the histograms.
    Throughput {
        /// A recording.
        file: PathBuf,
        /// How often it is replayed; the median counts.
        #[arg(long, default_value_t = 9)]
        rounds: usize,
    },
    /// Bytes of memory for each of many connections of which each carried the recording's first exchanges and is silent
    /// now.
    Idle {
        /// A recording.
        file: PathBuf,
        /// How many connections.
        #[arg(long, default_value_t = 100_000)]
        connections: u32,
    },
    /// What it costs to count exchanges of many pods, routes and statuses, and to be scraped.
    Metrics {
        /// How many pods, each with 20 routes and 5 statuses.
        #[arg(long, default_value_t = 1000)]
        pods: u32,
    },
    /// Spans at a rate to a backend of OTLP.
    Export {
        /// Where it is.
        #[arg(long)]
        endpoint: String,
        /// `grpc` or `http`.
        #[arg(long, default_value = "grpc")]
        protocol: String,
        /// Spans a second.
        #[arg(long, default_value_t = 10_000)]
        rate: u32,
        /// For how long.
        #[arg(long, default_value_t = 60)]
        seconds: u32,
    },
}

fn main() -> Result<()> {
    let result = match Arguments::parse().measurement {
        Measurement::Throughput { file, rounds } => throughput::measure(&read(&file)?, rounds)?,
        Measurement::Idle { file, connections } => idle::Idle::measure(&read(&file)?, connections)?.json(),
        Measurement::Metrics { pods } => metrics::measure(pods),
        Measurement::Export { endpoint, protocol, rate, seconds } => {
            export::measure(&export::Load { endpoint, http: protocol == "http", rate, seconds })?
        }
    };
    #[expect(clippy::print_stdout, reason = "the result is the one document on stdout")]
    {
        println!("{result}");
    }
    Ok(())
}

fn read(file: &PathBuf) -> Result<Vec<u8>> {
    fs::read(file).with_context(|| format!("{}: cannot read", file.display()))
}

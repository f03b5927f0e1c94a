//! `weft`: the per-node correlator and its commands.
use std::{path::PathBuf, process::ExitCode};

use clap::{Parser, Subcommand};
use tracing_subscriber::EnvFilter;

mod agent;
mod boundary;
mod client;
mod clock;
mod config;
mod doctor;
mod feed;
mod go;
mod import;
mod output;
mod record;
mod recording;
mod redact;
mod replay;
mod table;
mod top;
mod traces;

/// Traces a service mesh from the network layer: per-pod latency without a change to any pod.
#[derive(Parser)]
#[command(version, propagate_version = true)]
struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Runs the per-node correlator until it is told to stop.
    Agent {
        /// The configuration file; without one every default applies.
        #[arg(long, value_name = "FILE")]
        config: Option<PathBuf>,
    },
    /// Says what this kernel, node and configuration allow, what is missing, and what to do about it.
    Doctor {
        /// The configuration that the agent would run with.
        #[arg(long, value_name = "FILE")]
        config: Option<PathBuf>,
        /// Print JSON.
        #[arg(long)]
        json: bool,
    },
    /// Shows live latency per pod.
    Top(top::Options),
    /// Shows recent traces as trees: who called whom, how long it took, where the time went.
    Traces(traces::Options),
    /// Records what the pipeline of the running agent takes in. The file holds raw traffic, secrets included.
    Record(record::Options),
    /// Runs the pipeline over a recording; needs no privileges.
    Replay(replay::Options),
    /// Makes a recording of somebody else's capture (pcap or pcapng): replay it with `weft replay`.
    ImportPcap(import::Options),
    /// Reads the Go program on stdin: what the agent has others do.
    #[command(name = go::reader::COMMAND, hide = true)]
    ReadGoBinary {
        /// Functions to find in it; without any what it is.
        functions: Vec<String>,
    },
}

fn main() -> ExitCode {
    let arguments = Arguments::parse();
    let filter = EnvFilter::try_from_env("WEFT_LOG").unwrap_or_else(|_| EnvFilter::new("info"));
    // Where nobody reads the log any more the agent goes on: the library's complaint about it would panic.
    tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(std::io::stderr)
        .log_internal_errors(false)
        .init();
    let wrong_use = |error: anyhow::Error| (error, ExitCode::from(2));
    let failed = |error: anyhow::Error| (error, ExitCode::FAILURE);
    let load = |path: Option<PathBuf>| config::Config::load(path.as_deref());
    let result = match arguments.command {
        Command::Agent { config } => {
            let file = config.clone();
            load(config).map_err(wrong_use).and_then(|config| agent::run(&config, file).map_err(failed))
        }
        Command::Doctor { config, json } => {
            load(config).map_err(wrong_use).and_then(|config| doctor::run(&config, json).map_err(failed))
        }
        Command::Top(options) => top::run(&options).map_err(failed),
        Command::Traces(options) => traces::run(&options).map_err(failed),
        Command::Record(options) => record::run(&options).map_err(failed),
        Command::Replay(options) => replay::run(&options).map_err(failed),
        Command::ReadGoBinary { functions } => go::reader::run(&functions).map_err(failed),
        Command::ImportPcap(options) => load(options.config.clone())
            .map_err(wrong_use)
            .and_then(|config| import::run(&options, &config).map_err(failed)),
    };
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err((error, code)) => {
            output::complaint(&format!("{error:#}"));
            code
        }
    }
}

//! `weft-cni`, the chained CNI plugin: attaches the pinned TC programs to a pod's veth and tells the agent whose
//! it is. It never changes prevResult, and it lets the pod start whatever goes wrong.
//!
//! One call, one process: [`args`] (the environment) and [`config`] (stdin) say what is asked, a module per
//! command does it, [`output`] prints the answer. Kernel and files are reached through `weft_loader` alone.
#![cfg_attr(
    not(test),
    deny(clippy::arithmetic_side_effects, clippy::expect_used, clippy::indexing_slicing, clippy::panic)
)]

mod add;
mod args;
mod check;
mod config;
mod del;
mod error;
mod gc;
mod hint;
mod log;
mod missed;
mod output;
mod pod;
mod previous;
mod release;
mod rescue;
mod steps;
mod version;

use std::{ffi::OsString, process::ExitCode};

use args::{Args, Command, NetnsPath};
use config::Config;
use error::CniError;
use steps::Steps;

fn main() -> ExitCode {
    let steps = Steps::start();
    let command = Command::from_env(&variable);
    // By hand, without a command, stdin is a terminal that never ends.
    let stdin = if command.is_ok() { config::read_stdin() } else { Ok(Vec::new()) };
    // Errors are in the configuration's own version where that is one of ours.
    let version = stdin.as_deref().ok().and_then(version::of).unwrap_or(version::NEWEST);
    output::finish(version, command.and_then(|command| run(command, stdin, steps)))
}

fn variable(name: &str) -> Option<OsString> {
    std::env::var_os(name)
}

/// One call: what goes to stdout, or why not.
fn run(command: Command, stdin: Result<Vec<u8>, CniError>, mut steps: Steps) -> Result<String, CniError> {
    rescue::with_silence();
    let config = |stdin: Result<Vec<u8>, CniError>| Config::parse(&stdin?);
    match command {
        Command::Add => {
            let args = Args::parse(&variable, NetnsPath::Required)?;
            let config = config(stdin)?;
            steps.done("read");
            add::run(&args, &config, steps)
        }
        Command::Check => check::run(&Args::parse(&variable, NetnsPath::Required)?, &config(stdin)?),
        Command::Del => Ok(del::run(Args::parse(&variable, NetnsPath::Optional), config(stdin))),
        Command::Gc => Ok(gc::run(config(stdin))),
        Command::Status => Ok(String::new()),
        Command::Version => version::answer(&stdin?),
    }
}

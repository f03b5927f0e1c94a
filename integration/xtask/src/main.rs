//! `cargo xtask`: everything that one does with this repository, with all the set-up it needs.
use std::process::ExitCode;

use clap::{Parser, Subcommand};

mod bench;
mod demo;
mod ebpf;
mod fuzz;
mod go_offsets;
mod recordings;
mod run;
mod test;

/// The project's commands.
#[derive(Parser)]
#[command(name = "cargo xtask", bin_name = "cargo xtask")]
struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Real services in pods of a real CNI chain, traced: what weft sees of them against what was sent.
    Demo(demo::Options),
    /// What weft costs, measured.
    Bench(bench::Options),
    /// Every test that this machine can run, and all that they need.
    Test(test::Options),
    /// Makes the recordings of real traffic anew that the replay tests stand on, with what is expected of them.
    Recordings(recordings::Options),
    /// Any bytes whatever, for a while, against what the pipeline promises.
    Fuzz(fuzz::Options),
    /// Makes the table anew of where Go's releases have what weft looks at in their processes.
    GoOffsets(go_offsets::Options),
    /// Builds the eBPF object from its sources, and installs what that needs.
    Ebpf(ebpf::Options),
}

fn main() -> ExitCode {
    let result = match Arguments::parse().command {
        Command::Demo(options) => demo::execute(&options),
        Command::Bench(options) => bench::execute(&options),
        Command::Test(options) => test::execute(&options),
        Command::Recordings(options) => recordings::execute(&options),
        Command::Fuzz(options) => fuzz::execute(&options),
        Command::GoOffsets(options) => go_offsets::execute(&options),
        Command::Ebpf(options) => ebpf::execute(&options),
    };
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("xtask: {error:#}");
            ExitCode::FAILURE
        }
    }
}

//! Who did it: what the records say of goroutines, against what the goroutines say of themselves.

use anyhow::{Result, ensure};
use weft_abi::{G_IN_R14, GoProcess, io};
use weft_loader::{SocketSource, listen_at};

use crate::gobench::Bench;
use crate::goprogram::Linked;

/// How many goroutines send, and how many answer.
const ROUNDS: u32 = 50;

fn sends_and_receives_are_those_of_their_goroutines(linked: Linked) -> Result<()> {
    all_are_told(Bench::new(&format!("go{linked:?}").to_lowercase(), linked, ROUNDS)?)
}

/// Where the programs are attached where the kernel has no tracepoints.
fn sends_and_receives_are_seen_at(source: SocketSource) -> Result<()> {
    let bench = Bench::new(&format!("go{source:?}").to_lowercase(), Linked::Statically, ROUNDS)?;
    listen_at(&bench.programs.pins, source)?;
    assert_eq!(SocketSource::pinned(&bench.programs.pins), Some(source));
    all_are_told(bench)
}

fn all_are_told(mut bench: Bench) -> Result<()> {
    let said = bench.go.go_on()?;
    let ios = bench.records().ios;
    // Each goroutine sends, or receives and sends, and calls; one collects garbage.
    ensure!(said.len() as u32 == 4 * ROUNDS + 1, "{said:?}");
    let mut missing = Vec::new();
    for (what, kind) in [("send", io::SEND), ("recv", io::RECV)] {
        for (bytes, goroutine) in said.of(what) {
            let record = ios.iter().find(|io| io.len == bytes && io.header.detail == kind);
            match record {
                Some(io) => assert_eq!((io.goid, io.parent_goid), goroutine, "{what} {bytes}"),
                None => missing.push((what, bytes)),
            }
        }
    }
    bench.programs.explain(missing.len(), &format!("{missing:?}"))
}

#[test]
fn of_a_static_program() -> Result<()> {
    sends_and_receives_are_those_of_their_goroutines(Linked::Statically)
}

/// Without C the goroutine is in a register.
#[test]
fn of_a_static_program_by_its_memory() -> Result<()> {
    let mut bench = Bench::new("gomemory", Linked::Statically, ROUNDS)?;
    assert_eq!(bench.go.binary.process.g_tls, G_IN_R14);
    bench.probes.set_process(bench.go.pid(), GoProcess { g_tls: -8, ..bench.go.binary.process })?;
    all_are_told(bench)
}

#[test]
fn of_a_program_that_runs_anywhere() -> Result<()> {
    sends_and_receives_are_those_of_their_goroutines(Linked::AsPie)
}

#[test]
fn of_a_program_with_c_code() -> Result<()> {
    sends_and_receives_are_those_of_their_goroutines(Linked::WithC)
}

#[test]
#[ignore = "kernels that let programs sit on their functions are in virtual machines"]
fn by_function_exits() -> Result<()> {
    sends_and_receives_are_seen_at(SocketSource::FunctionExits)
}

#[test]
#[ignore = "kernels that let programs sit on their functions are in virtual machines"]
fn by_kprobes() -> Result<()> {
    sends_and_receives_are_seen_at(SocketSource::Kprobes)
}

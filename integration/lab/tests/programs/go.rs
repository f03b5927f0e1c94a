//! Who did it: what the records say of goroutines, against what the goroutines say of themselves.

use anyhow::{Context as _, Result, ensure};
use weft_abi::{GoProcess, KIND_SOCK_IO, SockIo, io};
use weft_loader::go::GoProbes;
use zerocopy::FromBytes as _;

use crate::goprogram::{GoProgram, Linked};
use crate::load::Programs;

/// Of a program that this machine's compiler has built.
const PROCESS: GoProcess = GoProcess { g_tls: -8, goid: 152, parent_goid: 280, m: 48, curg: 184 };
/// How many goroutines send, and how many answer.
const ROUNDS: u32 = 50;

/// Every send and receive of a process, as the goroutines say it.
fn socket_io(programs: &mut Programs, pid: u32) -> Vec<SockIo> {
    let mut all = Vec::new();
    programs.drain(|bytes| {
        if bytes.first() == Some(&KIND_SOCK_IO) {
            all.extend(SockIo::read_from_prefix(bytes).map(|(io, _)| io));
        }
    });
    all.retain(|io| io.pid == pid);
    all
}

fn sends_and_receives_are_those_of_their_goroutines(linked: Linked) -> Result<()> {
    let mut programs = Programs::load(&format!("go{linked:?}").to_lowercase())?;
    let mut probes = GoProbes::open(&programs.pins)?;
    let mut program = GoProgram::start(&programs.netns, linked, ROUNDS)?;
    probes.set_process(program.pid(), PROCESS)?;
    let said = program.go_on()?;
    let records = socket_io(&mut programs, program.pid());
    ensure!(said.len() as u32 == 4 * ROUNDS, "{said:?}");
    for ((what, bytes), goroutine) in said {
        let kind = match what.as_str() {
            "send" => io::SEND,
            "recv" => io::RECV,
            _ => continue,
        };
        let record = records.iter().find(|io| io.len == bytes && io.header.detail == kind);
        let record = record.with_context(|| format!("no record of {what} {bytes}"))?;
        assert_eq!((record.goid, record.parent_goid), goroutine, "{what} {bytes}");
    }
    Ok(())
}

#[test]
fn of_a_static_program() -> Result<()> {
    sends_and_receives_are_those_of_their_goroutines(Linked::Statically)
}

#[test]
fn of_a_program_that_runs_anywhere() -> Result<()> {
    sends_and_receives_are_those_of_their_goroutines(Linked::AsPie)
}

#[test]
fn of_a_program_with_c_code() -> Result<()> {
    sends_and_receives_are_those_of_their_goroutines(Linked::WithC)
}

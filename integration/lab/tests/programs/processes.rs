//! Processes that come and go.

use std::process::{Command, Stdio};
use std::thread::sleep;
use std::time::Duration;

use anyhow::Result;
use weft_abi::{GoProcess, Process, process};
use weft_loader::go::GoProbes;

use crate::gobench::{Bench, Records};
use crate::goprogram::Linked;
use crate::load::Programs;

/// What was recorded of a process.
fn events(programs: &mut Programs, pid: u32) -> Vec<u8> {
    let records = Records::of(programs, pid);
    records.processes.iter().map(|record: &Process| record.header.detail).collect()
}

#[test]
fn a_pods_process_executes_twice_and_ends() -> Result<()> {
    let mut programs = Programs::load("exec")?;
    // Not a program that a shell may have inside.
    let mut command = Command::new("sh");
    command.args(["-c", r#"exec "$0" --help"#]).arg(std::env::current_exe()?).stdout(Stdio::null());
    let mut child = programs.netns.spawn(&mut command)?;
    child.wait()?;
    let events = events(&mut programs, child.id());
    assert_eq!(events, [process::EXEC, process::EXEC, process::EXIT]);
    Ok(())
}

#[test]
fn the_hosts_processes_are_none_of_ours() -> Result<()> {
    let mut programs = Programs::load("hostexec")?;
    let mut child = Command::new("true").spawn()?;
    child.wait()?;
    assert!(events(&mut programs, child.id()).is_empty());
    Ok(())
}

/// It has many threads.
#[test]
fn a_go_process_that_ends_is_forgotten() -> Result<()> {
    let mut bench = Bench::new("goexit", Linked::Statically, 20)?;
    bench.go.go_on()?;
    let pid = bench.go.pid();
    assert!(bench.probes.has_process(pid));
    bench.go.end()?;
    assert!(!bench.probes.has_process(pid));
    let events = events(&mut bench.programs, pid);
    assert_eq!(events.last(), Some(&process::EXIT), "{events:?}");
    Ok(())
}

#[test]
fn a_go_process_that_executes_another_program_is_forgotten() -> Result<()> {
    let mut programs = Programs::load("goexec")?;
    let mut probes = GoProbes::open(&programs.pins)?;
    // It waits for a line before it executes.
    let mut command = Command::new("sh");
    command.args(["-c", "read line; exec sleep 60"]).stdin(Stdio::piped());
    let mut child = programs.netns.spawn(&mut command)?;
    wait_for_exec(&mut programs, child.id());
    probes.set_process(child.id(), GoProcess::default())?;
    assert!(probes.has_process(child.id()));
    drop(child.stdin.take());
    wait_for_exec(&mut programs, child.id());
    assert!(!probes.has_process(child.id()));
    child.kill()?;
    child.wait()?;
    Ok(())
}

/// Who starts a process goes on before that has executed its program.
fn wait_for_exec(programs: &mut Programs, pid: u32) {
    while events(programs, pid).is_empty() {
        sleep(Duration::from_millis(10));
    }
}

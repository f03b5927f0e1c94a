//! Calls of Go functions.

use std::collections::BTreeMap;
use std::env;
use std::fs::File;
use std::io::{BufRead as _, BufReader};
use std::os::unix::fs::FileExt as _;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::thread::sleep;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, ensure};
use weft_abi::{GoCallLayout, go_call, io};
use weft_gobin::ProbePoint;
use weft_loader::{Pins, go::GoProbes};

use crate::gobench::Bench;
use crate::goprogram::Linked;

/// How many goroutines call.
const ROUNDS: u32 = 50;

/// Of every second call the connection is wrapped in another; of every fourth nothing that can be read lies behind it.
#[test]
fn a_call_knows_its_goroutine_its_socket_its_stream_and_its_contexts() -> Result<()> {
    let mut bench = Bench::new("gocall", Linked::Statically, ROUNDS)?;
    let attachment = bench.listen()?;
    let said = bench.go.go_on()?;
    assert_eq!(bench.probes.hits(&attachment), u64::from(ROUNDS));
    let records = bench.records();
    let calls: BTreeMap<u32, _> = records.calls.into_iter().map(|call| (call.0.stream_id, call)).collect();
    let sent = |bytes| records.ios.iter().find(|io| io.len == bytes && io.header.detail == io::SEND);
    let mut missing = Vec::new();
    for (id, goroutine) in said.of("call") {
        let (Some((call, contexts)), Some(sent)) = (calls.get(&id), sent(id)) else {
            missing.push(id);
            continue;
        };
        assert_eq!((call.goid, call.parent_goid), goroutine, "call {id}");
        assert_eq!((call.header.netns, call.pid), (bench.programs.cookie, bench.go.pid()), "call {id}");
        // The goroutine sent as many bytes as its call has for an id.
        assert_eq!((call.cookie, call.tid > 0), (sent.cookie, true), "call {id}");
        // What can be cancelled and what has a value; the root is none.
        assert_eq!(contexts.len(), 2, "call {id}: {contexts:x?}");
    }
    assert!(calls.len() as u32 <= ROUNDS);
    bench.programs.explain(missing.len(), &format!("{missing:?}"))
}

/// The rest is as it was.
#[test]
fn contexts_are_not_followed_while_nobody_knows_whose_they_are() -> Result<()> {
    let mut bench = Bench::new("gocontexts", Linked::Statically, ROUNDS)?;
    let attachment = bench.listen()?;
    bench.probes.follow_contexts(&attachment, Bench::layout(), false)?;
    let said = bench.go.go_on()?;
    let calls = bench.records().calls;
    assert_eq!(calls.len() as u32, ROUNDS);
    for (call, contexts) in calls {
        let goroutine = said.of("call").find(|(id, _)| *id == call.stream_id).map(|(_, goroutine)| goroutine);
        assert_eq!(Some((call.goid, call.parent_goid)), goroutine);
        assert!(call.cookie != 0 && contexts.is_empty(), "{call:?} {contexts:x?}");
    }
    Ok(())
}

/// It runs partly on the system stack of a thread: then it is told whom the thread works for.
#[test]
fn a_garbage_collection_is_told_of_who_began_it() -> Result<()> {
    let mut bench = Bench::new("gogc", Linked::Statically, 2)?;
    let points = bench.go.binary.points.clone();
    let runtime = points.iter().filter(|point| point.layout.function >= go_call::STOP_WORLD);
    let attach = |point: &ProbePoint| bench.probes.attach(&bench.go.path, point.file_offset, point.layout);
    let attachments = runtime.map(attach).collect::<Result<Vec<_>, _>>()?;
    let said = bench.go.go_on()?;
    let (_, (goid, _)) = said.of("gc").next().context("nobody collected garbage")?;
    let calls = bench.records().calls;
    let by = |function| {
        calls.iter().filter(move |(call, _)| call.header.detail == function).map(|(call, _)| call.goid)
    };
    assert!(by(go_call::GC_START).any(|by| by == goid), "{calls:?}");
    assert!(by(go_call::STOP_WORLD).any(|by| by == goid), "{calls:?}");
    // The world stops when marking begins, and when it is over.
    assert!(by(go_call::STOP_WORLD).count() >= 2 && by(go_call::START_WORLD).count() >= 2, "{calls:?}");
    assert!(by(go_call::GC_MARK_TERMINATION).count() >= 1, "{calls:?}");
    drop(attachments);
    Ok(())
}

/// What a breakpoint is, and what is in its place else: `int3`, `push %rbp`.
const ATTACHED: u8 = 0xcc;
const DETACHED: u8 = 0x55;

impl Bench {
    /// What the program would execute first behind the check of the stack.
    fn instruction(&self) -> Result<u8> {
        let memory = File::open(format!("/proc/{}/mem", self.go.pid()))?;
        let mut byte = [0];
        memory.read_exact_at(&mut byte, self.go.place("main.listened")?.address)?;
        Ok(byte[0])
    }

    /// Detaching waits for what all CPUs are at, and others may be at it, too.
    fn wait_for(&self, instruction: u8) -> Result<()> {
        let end = Instant::now() + Duration::from_secs(60);
        while self.instruction()? != instruction {
            ensure!(Instant::now() < end, "the instruction is {:#x}", self.instruction()?);
            sleep(Duration::from_millis(10));
        }
        Ok(())
    }
}

#[test]
fn who_drops_an_attachment_detaches() -> Result<()> {
    let mut bench = Bench::new("godrop", Linked::Statically, 1)?;
    assert_eq!(bench.instruction()?, DETACHED);
    let attachment = bench.listen()?;
    assert_eq!(bench.instruction()?, ATTACHED);
    drop(attachment);
    bench.wait_for(DETACHED)?;
    bench.go.go_on()?;
    assert!(bench.records().calls.is_empty());
    Ok(())
}

#[test]
fn who_is_no_known_process_is_counted_and_not_recorded() -> Result<()> {
    let mut bench = Bench::new("gostranger", Linked::Statically, 1)?;
    let attachment = bench.listen()?;
    bench.probes.remove_process(bench.go.pid());
    bench.go.go_on()?;
    assert_eq!(bench.probes.hits(&attachment), 1);
    let records = bench.records();
    assert!(records.calls.is_empty() && records.ios.iter().all(|io| io.goid == 0));
    Ok(())
}

/// Where the pins, the program and the place in it are said to the one that is killed.
const VICTIM: &str = "WEFT_TEST_VICTIM";

#[test]
fn nothing_is_left_of_an_agent_that_is_killed() -> Result<()> {
    if let Ok(words) = env::var(VICTIM) {
        return attach_for_ever(&words);
    }
    let mut bench = Bench::new("gokill", Linked::Statically, 1)?;
    let mut victim = victim(&bench)?;
    bench.probes.set_process(bench.go.pid(), bench.go.binary.process)?;
    assert_eq!(bench.instruction()?, ATTACHED);
    victim.kill()?;
    victim.wait()?;
    bench.wait_for(DETACHED)?;
    bench.go.go_on()?;
    assert!(bench.records().calls.is_empty());
    Ok(())
}

/// This test once more, as a process of its own that has attached.
fn victim(bench: &Bench) -> Result<Child> {
    let place = bench.go.place("main.listened")?;
    let words = format!("{} {} {}", bench.programs.bpffs().display(), bench.go.path.display(), place.offset);
    let mut command = Command::new(env::current_exe()?);
    command.args(["--exact", "gocalls::nothing_is_left_of_an_agent_that_is_killed", "--nocapture"]);
    let mut child = command.env(VICTIM, words).stderr(Stdio::piped()).spawn()?;
    let mut lines = BufReader::new(child.stderr.take().context("no stderr")?).lines();
    let attached = lines.any(|line| line.is_ok_and(|line| line.ends_with("attached")));
    ensure!(attached, "the victim says nothing");
    Ok(child)
}

fn attach_for_ever(words: &str) -> Result<()> {
    let words: Vec<_> = words.split(' ').collect();
    let [bpffs, program, offset] = words[..] else { anyhow::bail!("{words:?}") };
    let mut probes = GoProbes::open(&Pins::new(Path::new(bpffs)))?;
    let _attachment = probes.attach(Path::new(program), offset.parse()?, GoCallLayout::default())?;
    eprintln!("attached");
    loop {
        sleep(Duration::from_secs(1));
    }
}

/// Printed, not judged: it is another with each machine.
#[test]
fn a_hit_has_a_price() -> Result<()> {
    let mut bench = Bench::new("goprice", Linked::Statically, 1)?;
    let cost = bench.probes.measure_cost()?;
    eprintln!(
        "a hit costs {} ns where it is emulated, {} ns where it is stepped",
        cost.emulated, cost.stepped
    );
    assert!(cost.emulated > 0 && cost.stepped > 0);
    Ok(())
}

//! What a run of a program costs: printed, not judged. `--nocapture` shows it.

use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::Duration;

use anyhow::Result;
use weft_abi::{FlowWant, G_IN_R14, GoProcess, WANT_NONE};
use weft_lab::NetNs;
use weft_loader::{AttachMode, Device, Flows, StatsGuard, attach, detach, program_stats};

use crate::gobench::Bench;
use crate::goprogram::{GoProgram, Linked};
use crate::load::Programs;
use crate::packet::{IPV6, TCP, Tcp, ethernet, ipv6};
use crate::runs::flow;

/// Runs between two looks at the ring: so many records of 1,400 bytes have room.
const BATCH: u32 = 5_000;
const BATCHES: usize = 21;

/// The least of the batches, in ns a run: what the machine does besides only adds.
fn nanoseconds(programs: &mut Programs, program: &str, packet: &[u8]) -> Result<u32> {
    let mut batches = Vec::new();
    for _ in 0..BATCHES {
        batches.push(programs.run(program, packet, BATCH)?);
        programs.records();
    }
    Ok(batches.into_iter().min().unwrap_or(0))
}

#[test]
fn nanoseconds_a_run() -> Result<()> {
    let mut programs = Programs::load("cost")?;
    let v6 = |payload| ethernet(IPV6, &[], &ipv6(TCP, None, &Tcp::new(1000, payload).bytes()));
    let packets = [
        ("bare ACK", Tcp::new(1000, 0).frame()),
        ("bare ACK, IPv6", v6(0)),
        ("100 bytes", Tcp::new(1000, 100).frame()),
        ("100 bytes, IPv6", v6(100)),
        ("1400 bytes", Tcp::new(1000, 1400).frame()),
        ("no TCP", ethernet(0x0806, &[], &[0; 46])),
    ];
    for program in ["tc_ingress", "tc_egress"] {
        for (name, packet) in &packets {
            eprintln!("{program:10} {name:20} {:5} ns", nanoseconds(&mut programs, program, packet)?);
        }
    }
    let (mut flows, _) = Flows::take_over(&programs.pins)?;
    flows.set(flow(programs.cookie), Some(FlowWant { kind: WANT_NONE, argument: 0, framing: None }));
    let unwanted = nanoseconds(&mut programs, "tc_ingress", &Tcp::new(1000, 1400).frame())?;
    eprintln!("tc_ingress {:20} {unwanted:5} ns", "1400, none wanted");
    assert!(unwanted > 0);
    Ok(())
}

/// Of the exchanges of a process, and over how many connections.
const REQUESTS: u32 = 5_000;
const CONNECTIONS: u32 = 8;

/// As they are run by a Go program's requests to itself, with all that is between the kernel and it.
#[test]
fn nanoseconds_a_run_under_load() -> Result<()> {
    let known = [
        ("a Go process whose g is in its memory", Some(-8)),
        ("one whose g is in a register", Some(G_IN_R14)),
        ("any process", None),
    ];
    for (who, g_tls) in known {
        let mut bench = Bench::new("costload", Linked::Statically, 1)?;
        bench.go = GoProgram::load(&bench.programs.netns, REQUESTS, CONNECTIONS)?;
        if let Some(g_tls) = g_tls {
            bench.probes.set_process(bench.go.pid(), GoProcess { g_tls, ..bench.go.binary.process })?;
        }
        let _call = bench.listen()?;
        eprintln!("{who}:");
        statistics_under_load(&mut bench)?;
    }
    Ok(())
}

/// Most sockets of a node may be no pod's.
#[test]
fn nanoseconds_a_run_of_sockets_that_are_nobodys() -> Result<()> {
    let mut bench = Bench::new("costnobody", Linked::Statically, 1)?;
    let elsewhere = NetNs::create(&format!("weft-nobody-{}", std::process::id()))?;
    bench.go = GoProgram::load(&elsewhere, REQUESTS, CONNECTIONS)?;
    statistics_under_load(&mut bench)
}

fn statistics_under_load(bench: &mut Bench) -> Result<()> {
    let lo = Device { name: "lo".into(), ifindex: 1 };
    let (pins, cookie) = (bench.programs.pins.clone(), bench.programs.cookie);
    bench.programs.netns.run(|| attach(&pins, &lo, cookie, AttachMode::Auto))??;
    let _statistics = StatsGuard::enable()?;
    let before = program_stats(&pins)?;
    run_and_drain(bench)?;
    for (before, after) in before.iter().zip(program_stats(&pins)?) {
        let runs = after.runs - before.runs;
        let each = (after.nanoseconds - before.nanoseconds).checked_div(runs).unwrap_or(0);
        eprintln!("{:13} {each:5} ns, {runs} runs", after.name);
    }
    bench.programs.netns.run(|| detach(&pins, &lo, cookie))?.map_err(Into::into)
}

/// A full ring would be cheaper.
fn run_and_drain(bench: &mut Bench) -> Result<()> {
    let done = AtomicBool::new(false);
    let Bench { programs, go, .. } = bench;
    thread::scope(|scope| {
        scope.spawn(|| {
            while !done.load(Ordering::Relaxed) {
                programs.drain(|_| {});
                thread::sleep(Duration::from_millis(5));
            }
        });
        let said = go.go_on();
        done.store(true, Ordering::Relaxed);
        said.map(drop)
    })
}

//! What a run of a TC program costs, by what passes: printed, not judged. `--nocapture` shows it.

use anyhow::Result;
use weft_abi::{FlowWant, WANT_NONE};
use weft_loader::Flows;

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
    flows.set(flow(programs.cookie), Some(FlowWant { kind: WANT_NONE, argument: 0 }));
    let unwanted = nanoseconds(&mut programs, "tc_ingress", &Tcp::new(1000, 1400).frame())?;
    eprintln!("tc_ingress {:20} {unwanted:5} ns", "1400, none wanted");
    assert!(unwanted > 0);
    Ok(())
}

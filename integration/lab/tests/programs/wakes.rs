//! When a program wakes who takes the records.

use std::time::Duration;

use crate::load::Programs;
use crate::packet::Tcp;
use anyhow::{Result, ensure};

/// With its header a segment's record has some 1.1 KiB.
const PAYLOAD: usize = 1000;
/// As many as fill a sixteenth of the ring of 16 MiB.
const ENOUGH: u32 = 1100;
/// Nobody asks within this time.
const QUIET: Duration = Duration::from_millis(50);
/// Who asks has asked already.
const PATIENCE: Duration = Duration::from_secs(10);

#[test]
fn a_ring_that_fills_asks_once_for_somebody() -> Result<()> {
    let mut programs = Programs::load("wakes")?;
    let packet = Tcp::new(1, PAYLOAD).frame();
    for round in 0..2 {
        programs.run("tc_ingress", &packet, ENOUGH / 2)?;
        ensure!(!programs.ring.wait(QUIET), "round {round}: asked though little waits");
        programs.run("tc_ingress", &packet, ENOUGH)?;
        ensure!(programs.ring.wait(PATIENCE), "round {round}: nobody asked though much waits");
        programs.run("tc_ingress", &packet, ENOUGH)?;
        ensure!(!programs.ring.wait(QUIET), "round {round}: asked again before anything was taken");
        let records = programs.records().len();
        ensure!(records == (ENOUGH / 2 + 2 * ENOUGH) as usize, "{records} records");
    }
    Ok(())
}

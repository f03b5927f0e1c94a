//! What goroutines do.

use std::collections::BTreeMap;

use anyhow::{Context as _, Result, ensure};
use weft_abi::{GoSched, go_sched};
use weft_gobin::GoFunction;

use crate::gobench::Bench;
use crate::goprogram::Linked;

/// How many goroutines call, and how many answer.
const ROUNDS: u32 = 20;

/// The changes of each goroutine in the order in which they happened.
fn histories(mut changes: Vec<GoSched>) -> BTreeMap<u64, Vec<GoSched>> {
    changes.sort_by_key(|change| change.header.time);
    let mut histories = BTreeMap::<u64, Vec<_>>::new();
    for change in changes {
        histories.entry(change.goid).or_default().push(change);
    }
    histories
}

#[test]
fn a_goroutine_is_created_waits_runs_and_ends() -> Result<()> {
    let mut bench = Bench::new("gosched", Linked::Statically, ROUNDS)?;
    let binary = &bench.go.binary;
    let status = binary.points.iter().find(|point| point.function == GoFunction::Status);
    let status = status.context("no casgstatus")?;
    let attachment = bench.probes.attach_status(&bench.go.path, status.file_offset)?;
    let said = bench.go.go_on()?;
    let records = bench.records();
    ensure!(bench.probes.hits(&attachment) >= records.changes.len() as u64);
    let histories = histories(records.changes);
    for (call, (goid, creator)) in said.of("call") {
        let history = histories.get(&goid).with_context(|| format!("nothing of {goid}, call {call}"))?;
        let kinds: Vec<_> = history.iter().map(|change| change.header.detail).collect();
        let first = history.first().context("no history")?;
        assert_eq!((kinds[0], first.by), (go_sched::CREATED, creator), "{kinds:?}");
        // It has waited for the answer.
        assert!(kinds.contains(&go_sched::PARKED), "{kinds:?}");
        assert_eq!(kinds.last(), Some(&go_sched::DEAD), "{kinds:?}");
    }
    Ok(())
}

/// Nobody else could have taken the place of one of so few.
#[test]
fn who_runs_has_waited_since_he_was_able_to() -> Result<()> {
    let mut bench = Bench::new("gowait", Linked::Statically, ROUNDS)?;
    let binary = &bench.go.binary;
    let status = binary.points.iter().find(|point| point.function == GoFunction::Status);
    let offset = status.context("no casgstatus")?.file_offset;
    let _attachment = bench.probes.attach_status(&bench.go.path, offset)?;
    let said = bench.go.go_on()?;
    let histories = histories(bench.records().changes);
    let mut waits = 0;
    for (_, (goid, _)) in said.of("call") {
        for pair in histories.get(&goid).context("no history")?.windows(2) {
            let [before, after] = pair else { continue };
            let able = [go_sched::CREATED, go_sched::READY].contains(&before.header.detail);
            if able && after.header.detail == go_sched::RUNS {
                assert_eq!(after.wait, after.header.time - before.header.time, "goroutine {goid}");
                waits += 1;
            }
        }
    }
    // Each ran when it was created, and when its answer was there.
    ensure!(waits >= 2 * ROUNDS, "{waits}");
    Ok(())
}

//! More flows than there are slots: who is idle gives way, and it is counted.

use anyhow::{Result, ensure};
use weft_abi::{FlowKey, FlowWant, SLOTS, WANT_NONE};
use weft_loader::{Flows, GatheredRun};

use crate::load::Programs;
use crate::packet::Tcp;
use crate::runs::flow;

const NOTHING: Option<FlowWant> = Some(FlowWant { kind: WANT_NONE, argument: 0, framing: None });

/// The flow of this number; number 0 is that of the test's packets.
fn numbered(netns: u64, number: u32) -> FlowKey {
    let mut key = flow(netns);
    key.ifindex += number;
    key
}

/// Every slot is taken; the first is that of the test's packets.
fn full(programs: &Programs) -> Result<Flows> {
    let (mut flows, _) = Flows::take_over(&programs.pins)?;
    for number in 0..SLOTS {
        ensure!(flows.set(numbered(programs.cookie, number), NOTHING).is_empty());
    }
    assert_eq!((flows.used(), flows.evicted()), (u64::from(SLOTS), 0));
    Ok(flows)
}

fn sequences(runs: &[GatheredRun]) -> Vec<(u32, u32)> {
    runs.iter().map(|gathered| (gathered.run().seq, gathered.run().len)).collect()
}

#[test]
fn an_idle_flow_gives_its_slot_to_a_new_one() -> Result<()> {
    let mut programs = Programs::load("slots")?;
    let cookie = programs.cookie;
    let mut flows = full(&programs)?;
    let new = |number| numbered(cookie, SLOTS + number);

    // Nobody has been idle for a whole round yet: the newcomer is captured whole, and counted.
    assert!(flows.set(new(0), NOTHING).is_empty());
    assert_eq!((flows.used(), flows.evicted()), (u64::from(SLOTS), 1));

    // The first flow talks from round to round; the next ones do not. The first segment that a slot sees is recorded.
    programs.run("tc_ingress", &Tcp::new(900, 100).frame(), 1)?;
    assert_eq!(programs.records().len(), 1);
    for seq in [1000, 1100, 1200] {
        programs.run("tc_ingress", &Tcp::new(seq, 100).frame(), 1)?;
        assert_eq!(sequences(&flows.gathered()), [(seq, 100)]);
    }
    programs.run("tc_ingress", &Tcp::new(1300, 100).frame(), 1)?;
    for number in 0..1000 {
        assert!(flows.set(new(number), NOTHING).is_empty());
    }
    assert_eq!((flows.used(), flows.evicted()), (u64::from(SLOTS), 1001));
    assert_eq!(sequences(&flows.gathered()), [(1300, 100)], "who talks keeps its slot");
    assert!(programs.records().is_empty());
    Ok(())
}

#[test]
fn a_flow_that_lost_its_slot_can_have_another() -> Result<()> {
    let mut programs = Programs::load("slots-again")?;
    let cookie = programs.cookie;
    let mut flows = full(&programs)?;
    programs.run("tc_ingress", &Tcp::new(1000, 100).frame(), 1)?;
    assert_eq!(programs.records().len(), 1, "the first segment that a slot sees");
    flows.gathered();
    flows.gathered();
    // The flow that is idle for longest is that of the packets: its slot was the first, and the hand begins there.
    assert!(flows.set(numbered(cookie, SLOTS), NOTHING).is_empty());
    programs.run("tc_ingress", &Tcp::new(1100, 100).frame(), 1)?;
    assert_eq!(programs.records().len(), 1, "it has no slot any more: its segment is recorded");
    // Told again, it takes the slot of the next idle one.
    assert!(flows.set(numbered(cookie, 0), NOTHING).is_empty());
    programs.run("tc_ingress", &Tcp::new(1200, 100).frame(), 1)?;
    assert_eq!(programs.records().len(), 1);
    programs.run("tc_ingress", &Tcp::new(1300, 100).frame(), 1)?;
    assert!(programs.records().is_empty());
    assert_eq!(flows.evicted(), 2);
    let last = flows.set(numbered(cookie, 0), None);
    assert_eq!(sequences(&last), [(1300, 100)]);
    Ok(())
}

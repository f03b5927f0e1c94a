//! More processes than anybody expects.

use anyhow::Result;
use serde_json::json;
use weft_lab::Process;

use crate::node::{Node, goid, has_probes};

/// What 200 processes of one binary share.
const PROCESSES: usize = 200;

#[test]
fn many_processes_of_one_binary_are_read_once_and_attached_to_once() -> Result<()> {
    let node = Node::new(json!({}))?;
    let idle = ["runtime", "-every", "1h", "-ended", "0", "-collections", "0"];
    let processes: Vec<Process> =
        (0..PROCESSES).map(|_| node.start(node.mesh(), &idle)).collect::<Result<_>>()?;
    let all = |known: &[serde_json::Value]| {
        known.len() == PROCESSES
            && known.iter().all(|process| has_probes(process, "on") && !has_probes(process, "waiting"))
    };
    node.wait("200 processes", all)?;
    assert_eq!(node.metric("weft_go_processes")?, Some(PROCESSES as f64));
    assert_eq!(node.metric("weft_go_binaries_total{outcome=\"go\"}")?, Some(1.0));
    // Call, gc, assist: of one binary. Serve and create wait for a call, sched is for who wants all.
    assert_eq!(node.metric("weft_go_probes{state=\"on\"}")?, Some(3.0));
    assert_eq!(node.metric("weft_go_probes{state=\"off\"}")?, Some(3.0));
    assert_eq!(node.logged(&["a Go program", "mesh"])?, 1);
    drop(processes);
    node.wait("their end", <[_]>::is_empty)?;
    assert_eq!(node.metric("weft_go_probes{state=\"on\"}")?, Some(0.0));
    Ok(())
}

#[test]
fn a_storm_of_programs_disturbs_nobody() -> Result<()> {
    let mut node = Node::new(json!({}))?;
    let service = node.serve(node.mesh())?;
    node.settled(service.pid())?;
    let storm = "i=0; while [ $i -lt 3000 ]; do /bin/true; i=$((i+1)); done";
    let mut shells: Vec<Process> =
        (0..4).map(|_| node.start("/bin/sh".as_ref(), &["-c", storm])).collect::<Result<_>>()?;
    let exchanges = node.ask(100)?;
    assert!(exchanges.iter().all(|exchange| goid(exchange).is_some()), "{}", exchanges[0]);
    for shell in &mut shells {
        shell.wait(std::time::Duration::from_secs(120))?;
    }
    // Who starts behind the storm is found, whatever was missed in it.
    let late = node.start(node.mesh(), &["runtime", "-every", "1h"])?;
    node.settled(late.pid())?;
    assert_eq!(node.wait("two processes", |known| known.len() == 2)?.len(), 2);
    assert!(node.agent.process()?.exited()?.is_none());
    Ok(())
}

#[test]
fn processes_that_end_while_they_are_looked_at_are_no_error() -> Result<()> {
    let mut node = Node::new(json!({}))?;
    for round in 0..60 {
        let process =
            node.start(node.mesh(), &["runtime", "-every", "1h", "-ended", "0", "-collections", "0"])?;
        // Into every step: heard of, looked at, read, attached to.
        std::thread::sleep(std::time::Duration::from_millis(round * 5));
        drop(process);
    }
    node.wait("their end", <[_]>::is_empty)?;
    assert!(node.agent.process()?.exited()?.is_none());
    let log = node.agent.stderr();
    let complaints = log.lines().filter(|line| line.contains("WARN") || line.contains("ERROR"));
    assert_eq!(complaints.collect::<Vec<_>>(), Vec::<&str>::new());
    // What has lived long enough is listened to all the same.
    let service = node.serve(node.mesh())?;
    assert!(has_probes(&node.settled(service.pid())?, "on"));
    Ok(())
}

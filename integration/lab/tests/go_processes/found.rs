//! Processes that start, that were there before, and that end.

use std::time::Duration;

use anyhow::Result;
use serde_json::json;
use weft_lab::load;
use weft_lab::shop::NAMESPACE;
use weft_lab::{Agent, Lab, Observed, Shop, tools};

use crate::node::{Node, goid, has_probes};

#[test]
fn a_service_that_starts_is_found_and_its_goroutines_are_named() -> Result<()> {
    let node = Node::new(json!({}))?;
    let service = node.serve(node.mesh())?;
    let process = node.settled(service.pid())?;
    assert!(process["go_version"].as_str().is_some_and(|version| version.starts_with("1.")), "{process}");
    assert!(process["executable"].as_str().is_some_and(|path| path.ends_with("/mesh")), "{process}");
    assert_eq!(process["probes"]["call"]["state"], "on", "{process}");
    // It asks nobody: what explains calls would say nothing.
    assert_eq!(process["probes"]["serve"]["state"], "off", "{process}");
    assert!(process["probes"]["serve"]["why"].as_str().is_some_and(|why| why.contains("called nobody")));
    assert_eq!(process["probes"]["sched"]["state"], "off", "{process}");
    assert!(process["probes"]["sched"]["why"].as_str().is_some_and(|why| why.contains("go.probes")));
    let exchanges = node.ask(50)?;
    assert!(exchanges.iter().all(|exchange| goid(exchange).is_some_and(|goid| goid > 0)), "{}", exchanges[0]);
    Ok(())
}

#[test]
fn services_that_are_older_than_the_agent_are_found() -> Result<()> {
    let binaries = tools::rust_binaries()?;
    let lab = Lab::new(Shop::lab_options(&binaries))?;
    let mut shop = Shop::with_agent(&lab, Agent::prepare(&lab, &binaries.weft, json!({}))?)?;
    shop.agent.restart()?;
    let known = |shop: &Shop| {
        shop.agent.json("/api/v1/pods").map(|answer| answer.to_string().matches("go_version").count())
    };
    while known(&shop)? < 3 {
        std::thread::sleep(Duration::from_millis(50));
    }
    let report = load::run(&shop.client, &shop.load().rate(50).seconds(1).connections(2))?;
    let gateway = format!("{NAMESPACE}/gateway");
    Observed::wait(&shop.agent, Duration::from_secs(30), |seen| seen.pod(&gateway).server == report.ok)?;
    for pod in ["gateway", "orders", "inventory"] {
        let lines = shop.agent.json_lines(&format!("/api/v1/exchanges?limit=10000&pod={NAMESPACE}/{pod}"))?;
        assert!(
            !lines.is_empty() && lines.iter().all(|line| goid(line).is_some()),
            "{pod}: {:?}",
            lines.first()
        );
    }
    Ok(())
}

#[test]
fn nothing_is_left_of_a_process_that_ended() -> Result<()> {
    let node = Node::new(json!({}))?;
    let service = node.serve(node.mesh())?;
    let process = node.settled(service.pid())?;
    assert!(has_probes(&process, "on"), "{process}");
    drop(service);
    node.wait("its end", <[_]>::is_empty)?;
    assert_eq!(node.metric("weft_go_processes")?, Some(0.0));
    assert_eq!(node.metric("weft_go_probes{state=\"on\"}")?, Some(0.0));
    assert_eq!(node.metric("weft_go_binaries_total{outcome=\"go\"}")?, Some(1.0));
    // It is known already, and has lived long enough to be worth it.
    let again = node.serve(node.mesh())?;
    node.settled(again.pid())?;
    assert_eq!(node.metric("weft_go_binaries_total{outcome=\"go\"}")?, Some(1.0));
    Ok(())
}

#[test]
fn a_process_that_executes_another_program_is_another_process() -> Result<()> {
    let node = Node::new(json!({}))?;
    // The shell becomes the program: it keeps its number.
    let script = format!("sleep 0.5; exec {} runtime -every 1h", node.mesh().display());
    let shell = node.start("/bin/sh".as_ref(), &["-c", &script])?;
    let process = node.settled(shell.pid())?;
    assert!(process["executable"].as_str().is_some_and(|path| path.ends_with("/mesh")), "{process}");
    Ok(())
}

//! What probes may cost, and what is done about it.

use anyhow::Result;
use serde_json::json;
use weft_lab::load::{self, Load};

use crate::node::{Node, goid, has_probes, is_in};

#[test]
fn without_probes_goroutines_are_known_all_the_same() -> Result<()> {
    let node = Node::new(json!({"go": {"probes": "off"}}))?;
    let service = node.serve(node.mesh())?;
    let process = node.settled(service.pid())?;
    assert!(!has_probes(&process, "on") && has_probes(&process, "off"), "{process}");
    assert_eq!(process["probes"]["call"]["why"], "go.probes is off");
    let exchanges = node.ask(20)?;
    assert!(exchanges.iter().all(|exchange| goid(exchange).is_some()), "{}", exchanges[0]);
    Ok(())
}

#[test]
fn all_probes_are_on_whatever_they_cost() -> Result<()> {
    let node = Node::new(json!({"go": {"probes": "all", "budget": "0%"}}))?;
    let service = node.serve(node.mesh())?;
    let process = node.settled(service.pid())?;
    for group in ["call", "serve", "gc", "assist", "sched"] {
        assert_eq!(process["probes"][group]["state"], "on", "{process}");
    }
    node.ask(200)?;
    let process = node.settled(service.pid())?;
    assert_eq!(process["probes"]["sched"]["state"], "on", "{process}");
    Ok(())
}

#[test]
fn what_explains_calls_is_on_once_somebody_is_called() -> Result<()> {
    let node = Node::new(json!({}))?;
    let service = node.serve_calls()?;
    let process = node.settled(service.pid())?;
    assert_eq!(process["probes"]["call"]["state"], "on", "{process}");
    node.ask_for("/hello", 200)?;
    let process = node.settled(service.pid())?;
    for group in ["serve", "create"] {
        let probe = &process["probes"][group];
        assert!(probe["why"].as_str().is_some_and(|why| why.contains("called nobody")), "{process}");
    }
    load::run(&node.client, &Load::get(node.pod.url("/calls")).rate(20).seconds(1).connections(2))?;
    node.wait("serve and create to be on", |known| {
        known.iter().any(|process| is_in(process, "serve", "on") && is_in(process, "create", "on"))
    })?;
    Ok(())
}

#[test]
fn what_does_not_fit_into_the_budget_is_off_and_says_so() -> Result<()> {
    let node = Node::new(json!({"go": {"budget": "0.001%"}}))?;
    let service = node.serve_calls()?;
    let process = node.settled(service.pid())?;
    assert_eq!(process["probes"]["call"]["state"], "on", "nothing is known of its cost yet: {process}");
    let load = |path| load::start(&node.client, &Load::get(node.pod.url(path)).seconds(0).connections(8));
    let answering = load("/hello")?;
    node.wait("gc to be off", |known| known.iter().any(|process| is_in(process, "gc", "over_budget")))?;
    drop(answering);
    let process = node.settled(service.pid())?;
    // It asks nobody yet: what costs nothing stays.
    assert_eq!(process["probes"]["call"]["state"], "on", "{process}");
    let calling = load("/calls")?;
    node.wait("call and serve to be off", |known| {
        let is_dear = |process, group| is_in(process, group, "over_budget");
        known.iter().any(|process| is_dear(process, "call") && is_dear(process, "serve"))
    })?;
    drop(calling);
    let process = node.settled(service.pid())?;
    assert!(
        process["probes"]["serve"]["why"].as_str().is_some_and(|why| why.contains("go.budget is 0.001%")),
        "{process}"
    );
    assert_eq!(node.logged(&["probes of serve are off", "go.budget is 0.001%"])?, 1);
    assert_eq!(node.metric("weft_go_probes{state=\"over_budget\"}")?.map(|groups| groups >= 2.0), Some(true));
    let exchanges = node.ask_for("/hello", 20)?;
    assert!(exchanges.iter().all(|exchange| goid(exchange).is_some()), "{}", exchanges[0]);
    Ok(())
}

//! The agent comes late, goes, is killed, comes back; pods go: what the pods notice of it (nothing), and what the
//! counts say afterwards. Needs root and Go.

mod counting;
mod host;

use std::collections::BTreeSet;
use std::fs;
use std::thread::sleep;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use aya::programs::{ProgramInfo, loaded_programs};
use counting::{PODS, brief, counts_exactly, pods, quiet};
use host::{PATIENCE, device, instances};
use nix::sys::signal::Signal;
use serde_json::{Value, json};
use weft_lab::observed::Sides;
use weft_lab::tools::{self, RustBinaries};
use weft_lab::{Agent, Lab, LabOptions, Observed, Pod, Shop, Traces};
use weft_loader::netns::current_cookie;
use weft_loader::{Pins, Vantages, attached_programs, host_vantage, pod_sockets};

/// How long the programs go on recording for an agent that is gone (correlator/agent, charge.rs: 10 s), and more.
const LONGER_THAN_THE_HEARTBEAT: u64 = 13;

fn small() -> Value {
    json!({"capture": {"ring_bytes": 1 << 20}})
}

fn shop() -> Result<Shop> {
    Shop::open(&tools::rust_binaries()?, small())
}

fn pins(lab: &Lab) -> Pins {
    Pins::new(&lab.bpffs())
}

/// The programs are on every pod's device, once.
fn once_each(shop: &Shop) -> Result<()> {
    for pod in pods(shop) {
        let (pins, device) = (pins(pod.lab()), device(pod)?);
        ensure!(instances(&pins, &device)? == [1, 1], "{pod}: {}", shop.agent.stderr());
        ensure!(attached_programs(&pins, &device) == 2, "{pod}");
    }
    Ok(())
}

/// Pods first, then the agent, which has only `word` of them.
fn found_late(word: &str, options: impl Fn(&RustBinaries) -> LabOptions) -> Result<()> {
    let binaries = tools::rust_binaries()?;
    let lab = Lab::new(options(&binaries))?;
    let mut shop = Shop::with_agent(&lab, Agent::prepare(&lab, &binaries.weft, small())?)?;
    let (records, cache) = (lab.state_dir().join("pods"), lab.cni_cache().join("results"));
    let lost = if word == "records" { &cache } else { &records };
    if lost.exists() {
        fs::remove_dir_all(lost)?;
    }
    shop.agent.restart()?;
    let named = |seen: &Observed| PODS.iter().all(|pod| seen.exchanges.contains_key(*pod));
    let seen = Observed::wait(&shop.agent, PATIENCE, named)?;
    ensure!(named(&seen), "{seen:?}: {}", shop.agent.stderr());
    once_each(&shop)?;
    counts_exactly(&shop, &brief(&shop))
}

#[test]
fn pods_older_than_the_agent_are_found_by_the_plugins_records() -> Result<()> {
    found_late("records", Shop::lab_options)
}

#[test]
fn pods_older_than_the_agent_are_found_by_libcnis_cache_where_the_records_are_lost() -> Result<()> {
    found_late("cache", Shop::lab_options)
}

#[test]
fn pods_older_than_weft_are_found_by_libcnis_cache() -> Result<()> {
    found_late("cache", |_| LabOptions::default())
}

/// The agent ends under load, by `end`, and comes back: the pods do not notice, and it counts on.
fn comes_back(end: fn(&mut Agent) -> Result<()>) -> Result<()> {
    // The ring must hold what comes while the probes of the one before are taken away.
    let mut shop = Shop::open(&tools::rust_binaries()?, json!({}))?;
    counts_exactly(&shop, &brief(&shop))?;
    let load = shop.start(&shop.load().rate(200).connections(8).seconds(5))?;
    let busy = |seen: &Observed| seen.pod("shop/gateway").server > 300;
    ensure!(busy(&Observed::wait(&shop.agent, PATIENCE, busy)?), "{}", shop.agent.stderr());
    once_each(&shop)?;
    end(&mut shop.agent)?;
    shop.agent.spawn()?;
    shop.agent.wait_ready(PATIENCE)?;
    once_each(&shop)?;
    let counts = |seen: &Observed| PODS.iter().all(|pod| seen.pod(pod) != Sides::default());
    ensure!(counts(&Observed::wait(&shop.agent, PATIENCE, counts)?), "{}", shop.agent.stderr());
    let report = load.finish()?;
    ensure!(report.ok == report.sent && report.sent == report.planned, "{report:?}");
    ensure!(report.errors.is_empty(), "the pods noticed: {report:?}");
    counts_exactly(&shop, &brief(&shop))?;
    ensure!(!shop.agent.stderr().contains("nobody drained"), "{}", shop.agent.stderr());
    once_each(&shop)
}

#[test]
fn an_agent_that_is_restarted_under_load_counts_on() -> Result<()> {
    comes_back(|agent| {
        let process = agent.process()?;
        process.signal(Signal::SIGTERM)?;
        let status = process.wait(PATIENCE)?;
        ensure!(status.success(), "{status}: {}", agent.stderr());
        Ok(())
    })
}

#[test]
fn an_agent_that_is_killed_under_load_counts_on() -> Result<()> {
    comes_back(Agent::kill)
}

#[test]
fn after_an_outage_the_agent_says_how_much_nobody_drained() -> Result<()> {
    let mut shop = shop()?;
    counts_exactly(&shop, &brief(&shop))?;
    shop.agent.kill()?;
    let load = shop.load().rate(50).connections(4).seconds(LONGER_THAN_THE_HEARTBEAT);
    let report = shop.run(&load)?;
    ensure!(report.ok == report.planned && report.errors.is_empty(), "the pods noticed: {report:?}");
    shop.agent.spawn()?;
    shop.agent.wait_ready(PATIENCE)?;
    let log = shop.agent.stderr();
    let said = log.lines().find(|line| line.contains("nobody drained")).context("not a word of it")?;
    let seen = quiet(&shop.agent)?;
    ensure!(seen.loss.bytes_lost > 0 && seen.adds_up(), "{seen:?}");
    let lost = &shop.agent.json("/api/v1/loss")?["events_lost"];
    let of = |reason: &str| lost[reason].as_u64().unwrap_or(0);
    let segments = of("no_agent_segment") + of("ring_full_segment");
    ensure!(of("no_agent_segment") > 0, "{lost}");
    ensure!(said.contains(&format!("segments={segments} ")), "{said:?}, the API: {lost}");
    counts_exactly(&shop, &brief(&shop))?;
    once_each(&shop)
}

/// Everything that a pod's being traced consists of, by the kernel and the file system.
fn remains(lab: &Lab, netns: u64, ifindex: u32) -> Result<Vec<String>> {
    let (pins, vantages) = (pins(lab), Vantages::open(&pins(lab))?);
    let links = pins.tc_links()?.into_iter().filter(|link| link.pod == netns);
    let keys = [host_vantage(current_cookie()?, ifindex), pod_sockets(netns)];
    let entries = keys.into_iter().filter(|key| vantages.contains(*key));
    Ok(links.map(|link| format!("{link:?}")).chain(entries.map(|key| format!("{key:?}"))).collect())
}

fn wait_for_nothing(lab: &Lab, netns: u64, ifindex: u32) -> Result<()> {
    let end = Instant::now() + PATIENCE;
    while !remains(lab, netns, ifindex)?.is_empty() {
        ensure!(Instant::now() < end, "still there: {:?}", remains(lab, netns, ifindex)?);
        sleep(Duration::from_millis(100));
    }
    Ok(())
}

#[test]
fn a_pod_that_goes_is_gone() -> Result<()> {
    let shop = shop()?;
    counts_exactly(&shop, &brief(&shop))?;
    let Shop { client, inventory, agent, services, gateway: _gateway, orders: _orders } = shop;
    let (lab, netns, ifindex) = (client.lab(), inventory.netns().cookie()?, device(&inventory)?.ifindex);
    ensure!(remains(lab, netns, ifindex)?.len() == 4);
    drop((services, inventory));
    wait_for_nothing(lab, netns, ifindex)?;
    let end = Instant::now() + PATIENCE;
    loop {
        let answer = agent.json("/api/v1/pods")?;
        let of = |name: &str| answer["pods"].as_array()?.iter().find(|pod| pod["name"] == name).cloned();
        let gone = of("inventory").context("a pod that is gone keeps its counts for a while")?;
        ensure!(gone["server"]["count"].as_u64() > Some(0), "{gone}");
        ensure!(of("orders").is_some_and(|pod| pod["state"] == "traced"), "{answer}");
        if gone["state"] == "gone" {
            return Ok(());
        }
        ensure!(Instant::now() < end, "{gone}: {}", agent.stderr());
        sleep(Duration::from_millis(100));
    }
}

#[test]
fn a_pod_that_went_while_no_agent_ran_leaves_nothing() -> Result<()> {
    let binaries = tools::rust_binaries()?;
    let lab = Lab::new(Shop::lab_options(&binaries))?;
    let mut agent = Agent::start(&lab, &binaries.weft, small())?;
    let pod = Pod::create(&lab, "shop", "orders")?;
    let (netns, ifindex) = (pod.netns().cookie()?, device(&pod)?.ifindex);
    agent.kill()?;
    drop(pod);
    ensure!(remains(&lab, netns, ifindex)?.len() == 2, "DEL unpins the links and leaves the counters");
    agent.spawn()?;
    agent.wait_ready(PATIENCE)?;
    wait_for_nothing(&lab, netns, ifindex)
}

/// Ids of the pinned programs.
fn programs(pins: &Pins) -> Result<BTreeSet<u32>> {
    let files = pins.program("").read_dir()?.flatten();
    files.map(|file| Ok(ProgramInfo::from_pin(file.path())?.id())).collect()
}

#[test]
fn nothing_of_it_all_is_left() -> Result<()> {
    let mut shop = shop()?;
    let lab = shop.client.lab().clone();
    let mut pids: Vec<u32> = shop.services.iter().map(|service| service.process.pid()).collect();
    pids.push(shop.agent.process()?.pid());
    let traces = Traces::of(&lab, &pods(&shop), &pids);
    let programs = programs(&pins(&lab))?;
    ensure!(programs.len() == 10 && traces.found().len() > 10, "{programs:?} {:?}", traces.found());
    drop((shop, lab));
    ensure!(traces.found().is_empty(), "{:?}", traces.found());
    // The kernel frees them a little after their last user.
    let end = Instant::now() + PATIENCE;
    let loaded = || loaded_programs().flatten().any(|program| programs.contains(&program.id()));
    while loaded() {
        ensure!(Instant::now() < end, "still loaded, of {programs:?}");
        sleep(Duration::from_millis(100));
    }
    Ok(())
}

//! Peers that misbehave, beside a load that must not notice. Needs root and Go.

use std::process::Command;
use std::time::{Duration, SystemTime};

use anyhow::{Result, ensure};
use serde_json::{Value, json};
use weft_lab::load::{self, LoadReport};
use weft_lab::shop::NAMESPACE;
use weft_lab::{Observed, Shop, apt, tools};

/// Bytes of a connection, so that 100,000 are within 128 MiB.
const EACH: u64 = (128 << 20) / 100_000;

const SETTLE: Duration = Duration::from_secs(15);

fn open_shop() -> Result<Shop> {
    Shop::open(&tools::rust_binaries()?, json!({}))
}

fn answered(report: &LoadReport) -> Result<u64> {
    ensure!(report.ok == report.sent && report.errors.is_empty(), "the load itself failed: {report:?}");
    Ok(report.sent)
}

/// Exchanges of the gateway as a server since some time, by method. A peer that hangs up while it is answered leaves an
/// incomplete one.
fn exchanges(shop: &Shop, since: u128, method: &str) -> Result<usize> {
    let query = format!("limit=10000&pod={NAMESPACE}/gateway&since={since}");
    let lines = shop.agent.json_lines(&format!("/api/v1/exchanges?{query}"))?;
    let of = |line: &&Value| line["side"] == "server" && line["method"] == method;
    Ok(lines.iter().filter(of).count())
}

/// What a peer does, and what weft must say of it: an anomaly (if any), and the exchanges that it made.
struct Attack {
    kind: &'static str,
    anomaly: Option<&'static str>,
    posts: usize,
    /// Requests by GET that it is answered itself: a head that is too large is one, too.
    gets: u64,
}

const ATTACKS: [Attack; 6] = [
    Attack { kind: "garbage", anomaly: Some("garbage"), posts: 0, gets: 0 },
    Attack { kind: "half", anomaly: Some("truncated"), posts: 0, gets: 0 },
    Attack { kind: "long-header", anomaly: Some("header_too_large"), posts: 0, gets: 1 },
    Attack { kind: "long-body", anomaly: None, posts: 1, gets: 0 },
    Attack { kind: "one-byte", anomaly: None, posts: 1, gets: 0 },
    Attack { kind: "bare-reset", anomaly: Some("truncated"), posts: 0, gets: 0 },
];

#[test]
fn attacks_are_counted_and_nothing_is_invented() -> Result<()> {
    let shop = open_shop()?;
    let orders = format!("{NAMESPACE}/orders");
    let mut total = 0;
    for Attack { kind, anomaly, posts, gets } in ATTACKS {
        let before = Observed::now(&shop.agent)?;
        let begin = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH)?.as_nanos();
        let load = shop.start(&shop.load().rate(200).seconds(3).connections(8))?;
        load::hostile(&shop.client, &shop.gateway.endpoint().to_string(), kind, 3)?;
        let sent = answered(&load.finish()?)?;
        total += sent;
        let more = |seen: &Observed, name: &str| seen.anomalies.get(name) > before.anomalies.get(name);
        let seen = Observed::wait(&shop.agent, SETTLE, |seen| {
            let counted = seen.pod(&orders).server == total && seen.adds_up();
            counted && anomaly.is_none_or(|name| more(seen, name))
        })?;
        let got = exchanges(&shop, begin, "GET")? as u64;
        assert_eq!(got, sent + 3 * gets, "{kind}: the load beside it");
        assert_eq!(exchanges(&shop, begin, "POST")?, 3 * posts, "{kind}");
        assert!(seen.adds_up(), "{kind}: {:?}", seen.unsettled);
        assert_eq!(seen.loss.bytes_lost, 0, "{kind}");
        if let Some(name) = anomaly {
            assert!(more(&seen, name), "{kind}: no {name} in {:?}", seen.anomalies);
        }
    }
    Ok(())
}

#[test]
fn a_hundred_thousand_silent_connections_are_bounded() -> Result<()> {
    const CONNECTIONS: u32 = 100_000;
    let iproute2 = apt::Program { binary: "ip", package: "iproute2", why: "to give a pod a second address" };
    apt::ensure_programs(&[iproute2])?;
    let mut shop = open_shop()?;
    // One address has some 64,000 ports. From inventory, which opens no connections of its own.
    let second = "198.18.0.1";
    in_pod(&shop.inventory, &["addr", "add", &format!("{second}/32"), "dev", "eth0"])?;
    in_pod(&shop.orders, &["route", "add", second, "via", &shop.inventory.ipv4().to_string()])?;
    let _sink = load::sink(&shop.orders, 9000, CONNECTIONS + 1000)?;
    let target = format!("{}:9000", shop.orders.ipv4());
    let sources = [shop.inventory.ipv4().to_string(), second.to_owned()];
    let before = memory(&mut shop)?;
    let silence = load::silence(&shop.inventory, &target, CONNECTIONS, &sources)?;
    assert_eq!(silence.opened, u64::from(CONNECTIONS), "{}", silence.report);

    let sent = answered(&shop.run(&shop.load().rate(200).seconds(3).connections(8))?)?;
    let orders = format!("{NAMESPACE}/orders");
    let seen =
        Observed::wait(&shop.agent, SETTLE, |seen| seen.pod(&orders).server == sent && seen.adds_up())?;
    assert_eq!(seen.pod(&orders).server, sent, "the load beside them");
    assert!(seen.adds_up() && seen.loss.bytes_lost == 0, "{:?}", seen.loss);
    let tables = shop.agent.json("/api/v1/loss")?["tables"].clone();
    for table in tables.as_array().into_iter().flatten() {
        assert!(table["entries"].as_u64() <= table["limit"].as_u64(), "{table}");
    }
    // Both ends of each connection pass a vantage: a table of 131,072 holds all it may and lets the others go.
    let flows = tables.as_array().into_iter().flatten().find(|table| table["table"] == "flows").cloned();
    assert!(flows.as_ref().is_some_and(|flows| flows["entries"].as_u64() > Some(100_000)), "{flows:?}");
    let grown = memory(&mut shop)?.saturating_sub(before);
    eprintln!("{} KiB for 131,072 connections, at first {} KiB", grown >> 10, before >> 10);
    assert!(grown < 131_072 * EACH, "{grown} bytes for 131,072 connections");
    Ok(())
}

/// The agent's, without the ring.
fn memory(shop: &mut Shop) -> Result<u64> {
    Ok(shop.agent.memory()?.resident.saturating_sub(shop.agent.ring_resident()?))
}

/// Runs `ip` in a pod.
fn in_pod(pod: &weft_lab::Pod, arguments: &[&str]) -> Result<()> {
    let mut command = Command::new(tools::find_program("ip").unwrap_or_else(|| "ip".into()));
    let mut child = pod.netns().spawn(command.args(arguments))?;
    ensure!(child.wait()?.success(), "ip {} failed", arguments.join(" "));
    Ok(())
}

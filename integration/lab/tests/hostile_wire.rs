//! Peers that send in order to cost weft as much as possible, beside loads that must not notice. Needs root and Go.

use std::thread;
use std::time::Duration;

use anyhow::{Context, Result, anyhow, ensure};
use weft_lab::account::Account;
use weft_lab::disorder::Mess;
use weft_lab::load::Load;
use weft_lab::pair::{Pair, SETTLE, Traffic};
use weft_lab::shop::NAMESPACE;
use weft_lab::storm::{self, Storm};
use weft_lab::{Agent, Disorder, Observed, Pod};

/// Of the server that is attacked; the well-behaved have their own.
const PORT: u16 = 8081;
/// More than the agent's own memory with a few connections, and far below what the storms would have it keep.
const MEMORY: u64 = 128 << 20;

/// A storm, and what weft must show of it: an exchange for each of its requests. Where the server ended it, those that it
/// had answered by then, and no fewer than it must have read.
struct Case {
    kind: &'static str,
    read: u64,
    /// How many segments it has at least.
    segments: u64,
    /// An anomaly that must be counted at least so often, by both ends together.
    anomaly: Option<(&'static str, u64)>,
}

const STORMS: [Case; 9] = [
    // A million and more, unless the kernel had to put many bytes together because the machine was busy.
    Case { kind: "byte-flood", read: EACH, segments: 600_000, anomaly: None },
    Case { kind: "endless-head", read: EACH, segments: 0, anomaly: Some(("header_too_large", 16)) },
    Case { kind: "header-names", read: EACH, segments: 0, anomaly: Some(("malformed_field", 356)) },
    Case { kind: "noise", read: EACH, segments: 0, anomaly: Some(("garbage", 32)) },
    // The one with the field, and the first that names it more often than anybody may.
    Case { kind: "hpack-bomb", read: 2, segments: 0, anomaly: Some(("header_too_large", 2)) },
    Case { kind: "settings-flood", read: EACH, segments: 0, anomaly: None },
    // net/http hangs up when more than four times its 250 streams wait for a handler.
    Case { kind: "rapid-reset", read: 1000, segments: 0, anomaly: None },
    Case { kind: "continuation-flood", read: 0, segments: 0, anomaly: Some(("truncated", 2)) },
    Case { kind: "window-zero", read: EACH, segments: 0, anomaly: None },
];

/// The server does not end it.
const EACH: u64 = u64::MAX;

#[test]
fn storms_cost_little_and_hide_nothing() -> Result<()> {
    let mut pair = Pair::with_large_ring()?;
    let attacker = Pod::create(pair.client.lab(), NAMESPACE, "attacker")?;
    let _server = storm::serve(&pair.server, PORT)?;
    for case in &STORMS {
        let kind = case.kind;
        beside_a_load(&pair, &attacker, case).with_context(|| kind.to_owned())?;
        let resident = pair.agent.memory()?.resident.saturating_sub(pair.agent.ring_resident()?);
        eprintln!("{kind}: {} KiB resident without the ring", resident >> 10);
        ensure!(resident < MEMORY, "{kind}: {resident} bytes of memory");
        if kind == "rapid-reset" {
            all_are_broken_off(&pair.agent, &attacker)?;
        }
        tables_are_bounded(&pair.agent).with_context(|| kind.to_owned())?;
    }
    Ok(())
}

fn beside_a_load(pair: &Pair, attacker: &Pod, case: &Case) -> Result<()> {
    let before = Observed::now(&pair.agent)?;
    let loads = vec![Load::get(pair.server.url("/stock/{id}")).rate(200).seconds(2).connections(8)];
    let traffic = Traffic { loads, calls: vec!["-rate 100 -duration 2s -concurrency 4"] };
    let target = format!("{}:{PORT}", pair.server.ipv4());
    let (sent, storm) = thread::scope(|scope| -> Result<_> {
        let traffic = scope.spawn(|| pair.run(&traffic));
        let storm = storm::send(attacker, &target, case.kind)?;
        Ok((traffic.join().map_err(|_| anyhow!("a thread panicked"))??, storm))
    })?;
    judge(pair, attacker, &before, sent, &storm, case)
}

impl Case {
    /// Whether so many exchanges are those of this storm.
    fn shows(&self, storm: &Storm, exchanges: u64) -> bool {
        let least = if storm.error.is_empty() { storm.requests } else { self.read.max(storm.answers) };
        (least.min(storm.requests)..=storm.requests).contains(&exchanges)
    }

    fn is_noted(&self, before: &Observed, seen: &Observed) -> bool {
        let counted = |at: &Observed, name| at.anomalies.get(name).copied().unwrap_or(0);
        self.anomaly.is_none_or(|(name, least)| counted(seen, name) >= counted(before, name) + least)
    }
}

/// The well-behaved client's count is exact, the storm's what it can be, and every byte has its place.
fn judge(
    pair: &Pair,
    attacker: &Pod,
    before: &Observed,
    sent: u64,
    storm: &Storm,
    case: &Case,
) -> Result<()> {
    let counts = |seen: &Observed| {
        let more = |name: &str| (seen.pod(name), before.pod(name));
        let (client, client_before) = more(&pair.client.to_string());
        let (server, server_before) = more(&pair.server.to_string());
        let (attacker, attacker_before) = more(&attacker.to_string());
        (
            client.client - client_before.client,
            server.server - server_before.server,
            attacker.client - attacker_before.client,
        )
    };
    let right = |seen: &Observed| {
        let (client, server, attacker) = counts(seen);
        let all = client == sent && server == sent + attacker && case.shows(storm, attacker);
        all && case.is_noted(before, seen) && seen.adds_up()
    };
    let seen = Observed::wait(&pair.agent, SETTLE, right)?;
    let loss = seen.loss.since(&before.loss);
    let segments = segments_of(&seen, attacker) - segments_of(before, attacker);
    ensure!(segments >= case.segments, "{segments} segments: the kernel put bytes together");
    eprintln!(
        "{storm:?} in {segments} segments: {sent} requests beside it; client, server, attacker: {:?}; {loss:?}, {:?}, before: {:?}",
        counts(&seen),
        seen.anomalies,
        before.anomalies,
    );
    ensure!(right(&seen), "{:?}, {loss:?}, {:?}", counts(&seen), seen.anomalies);
    ensure!(loss.bytes_lost == 0 && loss.events_lost == 0, "{loss:?}");
    Ok(())
}

/// The client sends each RST_STREAM right behind its request: only what the server answered to its end before that passed is
/// whole.
fn all_are_broken_off(agent: &Agent, attacker: &Pod) -> Result<()> {
    let rows = agent.json_lines(&format!("/api/v1/exchanges?limit=10000&pod={attacker}"))?;
    let of_storm = rows.iter().filter(|row| row["path"] == "/stock/rapid-reset");
    let (reset, other): (Vec<_>, Vec<_>) = of_storm.partition(|row| row["reset"] == "CANCEL");
    let answered = other.iter().all(|row| row["complete"] == true);
    ensure!(reset.len() >= 1000 && answered, "{} are broken off, and these are not: {other:?}", reset.len());
    Ok(())
}

fn tables_are_bounded(agent: &Agent) -> Result<()> {
    let loss = agent.json("/api/v1/loss")?;
    let tables = loss["tables"].as_array().context("no tables")?;
    for table in tables {
        ensure!(table["entries"].as_u64() <= table["limit"].as_u64(), "{table}");
    }
    Ok(())
}

/// Segments that a pod sent.
fn segments_of(seen: &Observed, pod: &Pod) -> u64 {
    let sent =
        |account: &&Account| account.of.starts_with(&pod.to_string()) && account.of.ends_with("ingress");
    seen.accounts.iter().filter(sent).map(|account| account.segments).sum()
}

/// Segments of one byte that come late and twice: pieces behind gaps, of heads, bodies and frames.
#[test]
fn bytes_in_disorder_are_put_in_order() -> Result<()> {
    let pair = Pair::with_large_ring()?;
    let _server = storm::serve(&pair.server, PORT)?;
    let before = Observed::now(&pair.agent)?;
    let link = Disorder::of_output(&pair.client, Mess::usual()?)?;
    let storm = storm::send(&pair.client, &format!("{}:{PORT}", pair.server.ipv4()), "byte-trickle")?;
    let (done, _) = link.finish()?;
    ensure!(storm.error.is_empty() && storm.answers == storm.requests, "the storm itself failed: {storm:?}");
    let exact = |seen: &Observed| pair.counted(seen) == (storm.requests, storm.requests) && seen.adds_up();
    let seen = Observed::wait(&pair.agent, SETTLE, exact)?;
    let (segments, loss) = (segments_of(&seen, &pair.client), seen.loss.since(&before.loss));
    eprintln!("{storm:?} in {segments} segments, {done:?}: {loss:?}, {:?}", seen.anomalies);
    ensure!(exact(&seen), "{:?}, {:?}", pair.counted(&seen), seen.unsettled);
    ensure!(loss.bytes_lost == 0 && loss.bytes_opaque == 0 && loss.events_lost == 0, "{loss:?}");
    ensure!(done.delayed > 0 && done.duplicated > 0 && loss.bytes_duplicate > 0, "{done:?}, {loss:?}");
    ensure!(seen.anomalies.get("out_of_order") > Some(&0), "{:?}", seen.anomalies);
    Ok(())
}

/// As fast as it goes, with the ring that agents have. On a small machine it overflows: what is missing then is counted as lost.
/// How much CPU a record costs at the storm's begin and at its end is a figure for people (that a record costs the same however
/// old its connection is, `integration/bench/tests/work.rs` shows).
#[test]
fn the_fastest_storm_is_accounted_for() -> Result<()> {
    let mut pair = Pair::open()?;
    let _server = storm::serve(&pair.server, PORT)?;
    let (client, target) = (&pair.client, format!("{}:{PORT}", pair.server.ipv4()));
    let mut samples = Vec::new();
    let storm = thread::scope(|scope| -> Result<Storm> {
        let storm = scope.spawn(|| storm::send(client, &target, "byte-storm"));
        while !storm.is_finished() {
            samples.push((segments(&pair.agent)?, pair.agent.cpu_time()?));
            thread::sleep(Duration::from_millis(250));
        }
        storm.join().map_err(|_| anyhow!("a thread panicked"))?
    })?;
    let quarter = |from: usize, to: usize| {
        let ((first, begin), (last, end)) = (*samples.get(from)?, *samples.get(to)?);
        Some(end.saturating_sub(begin).as_nanos() / u128::from((last - first).max(1)))
    };
    let (all, last) = (samples.len(), samples.len().saturating_sub(1));
    let figures = [quarter(0, all / 4), quarter(last - all / 4, last)];
    eprintln!(
        "{storm:?}, {:?} segments; ns of CPU a segment in the first and the last quarter: {figures:?}",
        samples.last()
    );
    let exact = |seen: &Observed| pair.counted(seen) == (storm.requests, storm.requests);
    let seen = Observed::wait(&pair.agent, SETTLE, |seen| {
        seen.adds_up() && (exact(seen) || seen.loss.events_lost > 0)
    })?;
    assert!(exact(&seen) || seen.loss.events_lost > 0, "{:?}, {:?}", pair.counted(&seen), seen);
    assert!(seen.adds_up(), "{:?}", seen.unsettled);
    Ok(())
}

/// Segments at all vantages, as the kernel counts them.
fn segments(agent: &Agent) -> Result<u64> {
    agent.json("/api/v1/loss")?["bytes"]["total"]["segments"].as_u64().context("no segments")
}

//! Peers that send in order to cost weft as much as possible, beside loads that must not notice. Needs root and Go.

use std::thread;
use std::time::Duration;

use anyhow::{Context, Result, anyhow, ensure};
use weft_lab::load::Load;
use weft_lab::pair::{Pair, SETTLE, Traffic};
use weft_lab::shop::NAMESPACE;
use weft_lab::storm::{self, Storm};
use weft_lab::{Agent, Observed, Pod};

/// Of the server that is attacked; the well-behaved have their own.
const PORT: u16 = 8081;
/// More than the agent's own memory with a few connections, and far below what the storms would have it keep.
const MEMORY: u64 = 128 << 20;

/// What weft must show of a storm.
#[derive(Clone, Copy, Debug)]
enum Shows {
    /// An exchange for each request.
    Each,
    /// The server may have ended it: no more exchanges than requests.
    AtMost,
}

const STORMS: [(&str, Shows); 9] = [
    ("byte-flood", Shows::Each),
    ("endless-head", Shows::Each),
    ("header-names", Shows::Each),
    ("noise", Shows::Each),
    ("hpack-bomb", Shows::AtMost),
    ("settings-flood", Shows::Each),
    ("rapid-reset", Shows::AtMost),
    ("continuation-flood", Shows::AtMost),
    ("window-zero", Shows::Each),
];

#[test]
fn storms_cost_little_and_hide_nothing() -> Result<()> {
    let mut pair = Pair::open()?;
    let attacker = Pod::create(pair.client.lab(), NAMESPACE, "attacker")?;
    let _server = storm::serve(&pair.server, PORT)?;
    for (kind, shows) in STORMS {
        beside_a_load(&pair, &attacker, kind, shows).with_context(|| kind.to_owned())?;
        let resident = pair.agent.memory()?.resident.saturating_sub(pair.agent.ring_resident()?);
        eprintln!("{kind}: {} KiB resident without the ring", resident >> 10);
        ensure!(resident < MEMORY, "{kind}: {resident} bytes of memory");
        tables_are_bounded(&pair.agent).with_context(|| kind.to_owned())?;
    }
    Ok(())
}

fn beside_a_load(pair: &Pair, attacker: &Pod, kind: &str, shows: Shows) -> Result<()> {
    let before = Observed::now(&pair.agent)?;
    let loads = vec![Load::get(pair.server.url("/stock/{id}")).rate(200).seconds(2).connections(8)];
    let traffic = Traffic { loads, calls: vec!["-rate 100 -duration 2s -concurrency 4"] };
    let target = format!("{}:{PORT}", pair.server.ipv4());
    let (sent, storm) = thread::scope(|scope| -> Result<_> {
        let traffic = scope.spawn(|| pair.run(&traffic));
        let storm = storm::send(attacker, &target, kind)?;
        Ok((traffic.join().map_err(|_| anyhow!("a thread panicked"))??, storm))
    })?;
    judge(pair, attacker, &before, sent, &storm, shows)
}

/// The well-behaved client's count is exact, the storm's what it can be, and every byte has its place.
fn judge(
    pair: &Pair,
    attacker: &Pod,
    before: &Observed,
    sent: u64,
    storm: &Storm,
    shows: Shows,
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
        let storms = match shows {
            Shows::Each => attacker == storm.requests,
            Shows::AtMost => attacker <= storm.requests + 1,
        };
        client == sent && server == sent + attacker && storms && seen.adds_up()
    };
    let seen = Observed::wait(&pair.agent, SETTLE, right)?;
    let loss = seen.loss.since(&before.loss);
    eprintln!(
        "{storm:?}: {sent} requests beside it; client, server, attacker: {:?}; {loss:?}",
        counts(&seen)
    );
    ensure!(right(&seen), "{:?}, {loss:?}, {:?}", counts(&seen), seen.anomalies);
    ensure!(loss.bytes_lost == 0 && loss.events_lost == 0, "{loss:?}");
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

/// How much CPU a record costs at a storm's begin and at its end: a figure for people. Were it to grow with the
/// connection's age, a bound of time would say so on a slow machine only.
#[test]
fn a_record_costs_the_same_however_old_its_connection_is() -> Result<()> {
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
    // Faster than the ring is drained on a small machine: what is missing then is counted as lost.
    assert!(exact(&seen) || seen.loss.events_lost > 0, "{:?}, {:?}", pair.counted(&seen), seen);
    assert!(seen.adds_up(), "{:?}", seen.unsettled);
    Ok(())
}

/// Segments at all vantages, as the kernel counts them.
fn segments(agent: &Agent) -> Result<u64> {
    agent.json("/api/v1/loss")?["bytes"]["total"]["segments"].as_u64().context("no segments")
}

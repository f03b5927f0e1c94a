//! Runs a table of scenarios, and holds weft against tshark in each.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;
use std::thread::sleep;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use anyhow::{Context, Result, ensure};
use serde_json::Value;

use crate::account;

use super::{Bench, Claim, Difference, Scenario, Seen, compare, tshark, weft};

/// How long the account may take until it adds up. No test fails for being slow before that.
const PATIENCE: Duration = Duration::from_secs(20);
/// The agent's own way from the ring to what it publishes.
const PUBLISHED: Duration = Duration::from_millis(50);
/// An exchange waits that long for its socket events.
const JOINED: Duration = Duration::from_secs(1);

/// Names the scenarios to run, by a part of their names; all by default.
const ONLY: &str = "WEFT_ORACLE";

/// What happened in a scenario.
struct Run<'a> {
    scenario: &'a Scenario,
    claim: Claim,
    /// When, in ns since the epoch.
    began: u64,
    ended: u64,
    /// What the account of every byte lacks.
    unaccounted: Option<String>,
}

/// Runs every scenario of a table, one after the other, and compares. What is said to `http2_ports` is HTTP/2 from the
/// first byte: tshark has to be told.
///
/// # Errors
/// With every scenario in which weft and tshark, or weft and the client's own count, do not agree and the table does
/// not say why; or in which bytes are not accounted for.
pub fn check(mut bench: Bench, table: &[Scenario], http2_ports: &[u16]) -> Result<()> {
    let only = std::env::var(ONLY).unwrap_or_default();
    let wanted = table.iter().filter(|scenario| scenario.name.contains(&only));
    let runs = wanted.map(|scenario| run(&bench, scenario).context(scenario.name));
    let runs: Vec<Run<'_>> = runs.collect::<Result<_>>()?;
    let dropped = bench.capture.end()?;
    ensure!(dropped == 0, "tcpdump dropped {dropped} packets: the capture proves nothing");
    sleep(JOINED);
    let readings = Readings {
        live: weft::read_live(&bench.live()?)?,
        replayed: weft::read(&bench.replayed()?)?,
        tshark: tshark::decode(bench.capture.file(), http2_ports)?,
    };
    let mut complaints = String::new();
    for run in &runs {
        judge(&bench, run, &readings.of(run), &mut complaints);
    }
    ensure!(complaints.is_empty(), "weft and tshark differ:\n{complaints}");
    Ok(())
}

/// The same packets, read three times.
struct Readings {
    live: Vec<Seen>,
    replayed: Vec<Seen>,
    tshark: Vec<Seen>,
}

impl Readings {
    fn of(&self, run: &Run<'_>) -> Self {
        let within = |seen: &[Seen]| -> Vec<Seen> {
            let during = |exchange: &&Seen| (run.began..run.ended).contains(&exchange.began);
            seen.iter().filter(during).cloned().collect()
        };
        Self { live: within(&self.live), replayed: within(&self.replayed), tshark: within(&self.tshark) }
    }
}

fn judge(bench: &Bench, run: &Run<'_>, seen: &Readings, complaints: &mut String) {
    let differences = compare(&seen.replayed, &seen.tshark);
    let mut of_run = unexplained(run.scenario, &differences);
    let live = without_races(run.scenario, compare(&seen.live, &seen.replayed));
    of_run.extend(live.iter().map(|difference| format!("live against replay (as tshark): {difference}")));
    of_run.extend(run.unaccounted.clone());
    of_run.extend(miscounted(bench, run, &seen.live));
    report(run, seen.live.len(), differences.len(), &of_run, complaints);
}

/// Runs one scenario, and waits until every byte of it is accounted for.
fn run<'a>(bench: &Bench, scenario: &'a Scenario) -> Result<Run<'a>> {
    let (began, before) = (now()?, lost(&bench.agent.json("/api/v1/loss")?));
    let claim = (scenario.run)(bench)?;
    let unaccounted = settle(bench, before, now()?)?;
    Ok(Run { scenario, claim, began, ended: now()?, unaccounted })
}

/// Waits until nothing is pending and nothing unexplained; says what is, or what was lost, when it waited in vain.
fn settle(bench: &Bench, lost_before: u64, since: u64) -> Result<Option<String>> {
    let end = Instant::now() + PATIENCE;
    let published = since + u64::try_from(PUBLISHED.as_nanos())?;
    loop {
        let loss = bench.agent.json("/api/v1/loss")?;
        let unsettled = account::unsettled(&loss);
        if loss["time"].as_u64().is_some_and(|time| time >= published) && unsettled.is_empty() {
            let lost = lost(&loss) - lost_before;
            return Ok((lost > 0).then(|| format!("{lost} bytes were lost: {}", loss["events_lost"])));
        }
        if Instant::now() >= end {
            return Ok(Some(format!("bytes are not accounted for: {unsettled:?}")));
        }
        sleep(Duration::from_millis(50));
    }
}

fn lost(loss: &Value) -> u64 {
    loss["bytes"]["total"]["lost"].as_u64().unwrap_or(0)
}

/// The differences that the scenario does not explain, and the explanations that explain something else than they say.
fn unexplained(scenario: &Scenario, differences: &[Difference]) -> Vec<String> {
    let mut left: Vec<&Difference> = differences.iter().collect();
    let mut complaints = Vec::new();
    for explained in scenario.explained {
        let before = left.len();
        left.retain(|difference| !(explained.applies)(difference));
        let found = before - left.len();
        if found > explained.count || found < explained.count && !explained.races {
            complaints
                .push(format!("{}: {found} differences, {} are known", explained.name, explained.count));
        }
    }
    complaints.extend(left.iter().map(ToString::to_string));
    complaints
}

/// The differences but those of exchanges that both peers ended at once, where the scenario knows of such: live, weft looks some
/// microseconds away from tcpdump, and what passes in both directions meanwhile has another order there.
fn without_races(scenario: &Scenario, live: Vec<Difference>) -> Vec<Difference> {
    if !scenario.explained.iter().any(|explained| explained.races) {
        return live;
    }
    let resets = live.iter().filter(|difference| difference.field == "reset");
    let raced: BTreeSet<_> = resets.map(|difference| difference.exchange.key()).collect();
    live.into_iter().filter(|difference| !raced.contains(&difference.exchange.key())).collect()
}

/// What the client, or the scenario, counted otherwise than weft did at the servers' pod.
fn miscounted(bench: &Bench, run: &Run<'_>, live: &[Seen]) -> Vec<String> {
    let server = |seen: &&Seen| seen.server == (bench.server.ipv4(), run.scenario.port).into();
    let served: Vec<&Seen> = live.iter().filter(server).collect();
    let mut complaints = Vec::new();
    let Claim { requests, under_way, .. } = run.claim;
    if !(requests..=requests + under_way).contains(&(served.len() as u64)) {
        complaints.push(format!("{} exchanges, the client says {requests} (+{under_way})", served.len()));
    }
    let Claim { statuses, grpc_statuses, messages, .. } = &run.claim;
    let mut hold = |what: &str, claimed: Option<String>, seen: String| {
        if claimed.as_ref().is_some_and(|claimed| *claimed != seen) {
            complaints.push(format!("{what} {seen}, the client says {}", claimed.unwrap_or_default()));
        }
    };
    hold(
        "statuses",
        statuses.as_ref().map(|statuses| sorted(statuses.clone())),
        sorted(served.iter().filter_map(|seen| seen.status).collect()),
    );
    hold(
        "gRPC statuses",
        grpc_statuses.as_ref().map(|counts| format!("{counts:?}")),
        format!("{:?}", grpc_counts(&served)),
    );
    hold("gRPC messages", messages.map(|both| format!("{both:?}")), format!("{:?}", messages_of(&served)));
    complaints
}

fn sorted(mut statuses: Vec<u16>) -> String {
    statuses.sort_unstable();
    format!("{statuses:?}")
}

fn grpc_counts(served: &[&Seen]) -> BTreeMap<u32, u64> {
    let mut counts = BTreeMap::new();
    for status in served.iter().filter_map(|seen| seen.grpc_status) {
        *counts.entry(status).or_default() += 1;
    }
    counts
}

/// Messages of all requests, and of all responses.
fn messages_of(served: &[&Seen]) -> [u64; 2] {
    [0, 1].map(|direction| served.iter().filter_map(|seen| *seen.messages.get(direction)?).sum())
}

fn report(run: &Run<'_>, exchanges: usize, differences: usize, complaints: &[String], into: &mut String) {
    let name = run.scenario.name;
    let verdict = if complaints.is_empty() { "agree" } else { "DIFFER" };
    let took = Duration::from_nanos(run.ended - run.began);
    eprintln!("oracle: {verdict:6} {name}: {exchanges} exchanges, {differences} differences, {took:.1?}");
    for complaint in complaints.iter().take(12) {
        // Writing to a string cannot fail.
        let _ = writeln!(into, "  {name}: {complaint}");
    }
}

fn now() -> Result<u64> {
    Ok(u64::try_from(SystemTime::now().duration_since(UNIX_EPOCH)?.as_nanos())?)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::oracle::Explained;

    #[test]
    fn who_is_first_may_differ_where_the_peers_race() {
        let seen = |port: u16| Seen::begun(([10, 0, 0, 1], port).into(), ([10, 0, 0, 2], 80).into(), 1, 5);
        let answered = |port| Seen { status: Some(200), ..seen(port) };
        let live = [Seen { reset: Some("CANCEL".to_owned()), ..seen(1) }, answered(2)];
        let differences = compare(&live, &[answered(1), seen(2)]);
        let scenario = Scenario::new("", 80, |_| Ok(Claim::default()));
        assert_eq!(without_races(&scenario, differences.clone()), differences);
        const RACE: &[Explained] = &[Explained::at_most("answer-after-reset", 9, |_| true)];
        let left = without_races(&scenario.explained(RACE), differences);
        assert!(left.len() == 1 && left[0].exchange == answered(2), "{left:?}");
    }
}

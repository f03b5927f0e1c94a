//! The demo's one document, and what it says in words.
use std::collections::BTreeMap;

use anyhow::{Context as _, Result};
use serde::Serialize;
use weft_lab::{
    Capture, Observed, Shop,
    observed::{Loss, Quantiles, Sides as Counts},
    shop::NAMESPACE,
    wire_times::{self, WireTimes},
};
use weft_loader::{Pins, program_stats};

use super::{phase::Phase, say, trace::Traces};

/// What `--json` prints.
#[derive(Debug, Serialize)]
pub struct Report {
    /// The load generator's own count, by the pod that it ran in.
    sent: BTreeMap<String, u64>,
    exchanges: BTreeMap<String, Counts>,
    latency_ms: BTreeMap<String, Quantiles>,
    traces: Traces,
    loss: Loss,
    overhead: Overhead,
    wire_times: WireTimes,
    programs: Vec<Program>,
    phases: Vec<Phase>,
}

#[derive(Debug, Serialize)]
struct Overhead {
    agent_cpu_us_per_exchange: f64,
    agent_rss_mb: f64,
    ring_mb: f64,
}

/// A program's cost, as the kernel measures it.
#[derive(Debug, Serialize)]
pub struct Program {
    name: String,
    runs: u64,
    nanoseconds_a_run: f64,
}

impl Report {
    /// Puts the phases together.
    pub fn new(
        shop: &mut Shop,
        phases: Vec<Phase>,
        programs: Vec<Program>,
        wire_times: WireTimes,
        traces: Traces,
    ) -> Result<Self> {
        let mut exchanges: BTreeMap<String, Counts> = BTreeMap::new();
        let mut loss = Loss::default();
        for phase in &phases {
            for (pod, sides) in &phase.exchanges {
                let sum = exchanges.entry(pod.clone()).or_default();
                sum.server += sides.server;
                sum.client += sides.client;
            }
            add(&mut loss, &phase.loss);
        }
        Ok(Self {
            sent: [(format!("{NAMESPACE}/client"), phases.iter().map(|phase| phase.sent).sum())].into(),
            latency_ms: Observed::now(&shop.agent)?.latency,
            traces,
            loss,
            overhead: overhead(shop, &phases, &exchanges)?,
            exchanges,
            wire_times,
            programs,
            phases,
        })
    }

    /// # Errors
    /// When a count does not equal what was sent, or the bytes do not add up.
    pub fn verdict(&self) -> Result<()> {
        self.phases.iter().try_for_each(Phase::verdict)
    }

    /// In words.
    pub fn explain(&self) {
        for phase in &self.phases {
            explain_phase(phase);
        }
        let Overhead { agent_cpu_us_per_exchange, agent_rss_mb, ring_mb } = &self.overhead;
        eprintln!(
            "agent: {agent_cpu_us_per_exchange:.1} us of CPU an exchange, {agent_rss_mb:.1} MiB and a ring of {ring_mb:.0} MiB"
        );
        for Program { name, runs, nanoseconds_a_run } in &self.programs {
            eprintln!("program {name}: {nanoseconds_a_run:.0} ns a run, {runs} runs");
        }
        let WireTimes { compared, within_20us, p50_us, p99_us, max_us } = &self.wire_times;
        eprintln!(
            "wire times against tcpdump: {:.2}% of {compared} within 20 us (p50 {p50_us:.1}, p99 {p99_us:.1}, max {max_us:.1} us)",
            within_20us * 100.0
        );
        self.traces.explain();
    }
}

fn explain_phase(phase: &Phase) {
    eprintln!("{}: {} sent, {} answered 2xx ({:.0}/s)", phase.name, phase.sent, phase.ok, phase.per_second);
    for (pod, Counts { server, client }) in &phase.exchanges {
        eprintln!("  {pod:<18} {server:>9} as server {client:>9} as client");
    }
    let Loss { bytes_seen, bytes_decoded, bytes_opaque, bytes_duplicate, bytes_lost, events_lost } =
        phase.loss;
    eprintln!(
        "  {} | {bytes_seen} bytes seen = {bytes_decoded} decoded + {bytes_opaque} opaque + {bytes_duplicate} duplicate \
         + {bytes_lost} lost ({}); {events_lost} records lost",
        if phase.equal { "every count equals what was sent" } else { "COUNTS DIFFER" },
        if phase.adds_up { "adds up" } else { "DOES NOT ADD UP" },
    );
    if !phase.anomalies.is_empty() {
        eprintln!("  anomalies: {:?}", phase.anomalies);
    }
}

/// Messages at the gateway's device against tcpdump's nanosecond times of the same device. In a phase of its own:
/// tcpdump costs more than weft does.
pub fn wire_times(shop: &Shop) -> Result<WireTimes> {
    say("wire times: 500 requests/s for 4 s, with tcpdump at the gateway's device");
    let capture = Capture::start(shop.gateway.lab(), None, shop.gateway.host_veth())?;
    let report = shop.run(&shop.load().rate(500).seconds(4).connections(8))?;
    let captured = capture.finish()?;
    let pod = format!("{NAMESPACE}/gateway");
    Observed::wait(&shop.agent, std::time::Duration::from_secs(5), |now| {
        now.pod(&pod).server == report.sent
    })?;
    let exchanges = shop.agent.json_lines(&format!("/api/v1/exchanges?limit=10000&pod={pod}"))?;
    wire_times::compare(&exchanges, &captured.segments).context("cannot compare with the capture")
}

/// What the programs cost, while the kernel's statistics were on.
#[expect(clippy::cast_precision_loss, reason = "for people: three digits")]
pub fn programs(pins: &Pins) -> Result<Vec<Program>> {
    let stats = program_stats(pins)?;
    let programs = stats.into_iter().map(|program| Program {
        nanoseconds_a_run: program.nanoseconds as f64 / program.runs.max(1) as f64,
        name: program.name,
        runs: program.runs,
    });
    Ok(programs.collect())
}

#[expect(clippy::cast_precision_loss, reason = "for people: three digits")]
fn overhead(shop: &mut Shop, phases: &[Phase], exchanges: &BTreeMap<String, Counts>) -> Result<Overhead> {
    let cpu: f64 = phases.iter().map(|phase| phase.agent_cpu_us).sum();
    let count: u64 = exchanges.values().map(|sides| sides.server + sides.client).sum();
    let ring = shop.agent.ring_resident()?;
    let mib = |bytes: u64| bytes as f64 / f64::from(1 << 20);
    Ok(Overhead {
        agent_cpu_us_per_exchange: cpu / count.max(1) as f64,
        agent_rss_mb: mib(shop.agent.memory()?.resident.saturating_sub(ring)),
        ring_mb: 8.0,
    })
}

fn add(sum: &mut Loss, loss: &Loss) {
    let Loss { bytes_seen, bytes_decoded, bytes_opaque, bytes_duplicate, bytes_lost, events_lost } = loss;
    sum.bytes_seen += bytes_seen;
    sum.bytes_decoded += bytes_decoded;
    sum.bytes_opaque += bytes_opaque;
    sum.bytes_duplicate += bytes_duplicate;
    sum.bytes_lost += bytes_lost;
    sum.events_lost += events_lost;
}

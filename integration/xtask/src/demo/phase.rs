//! One load, and what weft saw of it.
use std::{collections::BTreeMap, time::Duration};

use anyhow::{Result, ensure};
use serde::Serialize;
use weft_lab::{
    Observed, Shop,
    load::{Load, LoadReport},
    observed::{Loss, Sides},
    shop::NAMESPACE,
};

use super::{expected, live, say};

/// How long the last exchanges may take to be published.
const SETTLE: Duration = Duration::from_secs(10);

/// The figures of one load.
#[derive(Debug, Serialize)]
pub struct Phase {
    /// What it is called.
    pub name: &'static str,
    /// Requests a second that were asked for; 0: as many as are answered.
    pub rate: u32,
    /// The generator's own count.
    pub sent: u64,
    /// Of these, answered with 2xx.
    pub ok: u64,
    /// Answers a second.
    pub per_second: f64,
    /// What weft counted, by pod.
    pub exchanges: BTreeMap<String, Sides>,
    /// The account of the phase's bytes.
    pub loss: Loss,
    /// Anomalies in the phase, by kind.
    pub anomalies: BTreeMap<String, u64>,
    /// Whether of every vantage, in every direction, every byte has its place.
    pub adds_up: bool,
    /// Whether every pod's every side equals what was sent.
    pub equal: bool,
    /// CPU time of the agent in us.
    pub agent_cpu_us: f64,
    /// The agent's CPU time by exchange, in us.
    pub agent_cpu_us_per_exchange: f64,
}

/// Runs a load and waits until what weft saw of it is published. None when somebody interrupts.
pub fn run(
    shop: &mut Shop,
    name: &'static str,
    load: &Load,
    interrupt: &weft_lab::interrupt::Interrupt,
) -> Result<Option<Phase>> {
    say(&match load.rate {
        0 => format!("{name}: unthrottled over {} connections for {:?}", load.connections, load.duration),
        rate => {
            format!("{name}: {rate} requests/s over {} connections for {:?}", load.connections, load.duration)
        }
    });
    let before = Observed::now(&shop.agent)?;
    let cpu_before = shop.agent.cpu_time()?;
    let mut running = shop.start(load)?;
    while running.process.exited()?.is_none() {
        live::show(&shop.agent)?;
        if interrupt.sleep(Duration::from_secs(1)) {
            return Ok(None);
        }
    }
    live::keep(before.exchanges.len());
    let report = running.finish()?;
    let after = Observed::wait(&shop.agent, SETTLE, |now| equal(&before, now, report.sent) && now.adds_up())?;
    let cpu = shop.agent.cpu_time()?.saturating_sub(cpu_before);
    Ok(Some(Phase::new(name, load.rate, &report, &before, &after, cpu)))
}

impl Phase {
    #[expect(clippy::cast_precision_loss, reason = "for people: three digits")]
    fn new(
        name: &'static str,
        rate: u32,
        report: &LoadReport,
        before: &Observed,
        after: &Observed,
        cpu: Duration,
    ) -> Self {
        let exchanges: BTreeMap<_, _> =
            after.exchanges.keys().map(|pod| (pod.clone(), since(before, after, pod))).collect();
        let total: u64 = exchanges.values().map(|sides| sides.server + sides.client).sum();
        let agent_cpu_us = cpu.as_secs_f64() * 1e6;
        let anomalies = after
            .anomalies
            .iter()
            .map(|(kind, count)| (kind.clone(), count - before.anomalies.get(kind).copied().unwrap_or(0)));
        Self {
            name,
            rate,
            sent: report.sent,
            ok: report.ok,
            per_second: report.ok_per_second,
            adds_up: after.adds_up(),
            equal: equal(before, after, report.sent),
            exchanges,
            loss: after.loss.since(&before.loss),
            anomalies: anomalies.filter(|(_, count)| *count > 0).collect(),
            agent_cpu_us,
            agent_cpu_us_per_exchange: agent_cpu_us / total.max(1) as f64,
        }
    }

    /// # Errors
    /// When a count differs without a loss that explains it.
    pub fn verdict(&self) -> Result<()> {
        ensure!(self.adds_up, "{}: the bytes do not add up: {:?}", self.name, self.loss);
        let explained = self.loss.bytes_lost > 0 && self.loss.events_lost > 0;
        ensure!(self.equal || explained, "{}: sent {}, counted {:?}", self.name, self.sent, self.exchanges);
        Ok(())
    }
}

fn equal(before: &Observed, after: &Observed, sent: u64) -> bool {
    expected(sent)
        .into_iter()
        .all(|(pod, sides)| since(before, after, &format!("{NAMESPACE}/{pod}")) == sides)
}

fn since(before: &Observed, after: &Observed, pod: &str) -> Sides {
    let (old, new) = (before.pod(pod), after.pod(pod));
    Sides { server: new.server - old.server, client: new.client - old.client }
}

//! One measurement: untraced, or with the agent beside.
use std::{thread::sleep, time::Duration};

use anyhow::{Result, ensure};
use weft_lab::{
    Agent, Observed,
    load::Latency,
    observed::{Loss, Sides},
};
use weft_loader::{Pins, StatsGuard, program_stats};

use super::subject::Subject;

/// How long the last exchanges may take to be published.
const SETTLE: Duration = Duration::from_secs(10);
/// The kernel's statistics cost: they are on in a short measurement of their own.
const STATISTICS: Duration = Duration::from_millis(800);

/// What was measured without regard to tracing.
#[derive(Clone, Copy, Debug)]
pub struct Sample {
    pub served: u64,
    pub per_second: f64,
    pub latency: Latency,
    /// CPU time of the service's process, in us a request.
    pub cpu_us: f64,
}

/// What tracing it took besides.
#[derive(Clone, Copy, Debug)]
pub struct Traced {
    pub sample: Sample,
    pub agent_cpu_us_per_exchange: f64,
    pub agent_rss_mb: f64,
    /// Time in all of weft's programs, in ns for each request that was served.
    pub kernel_ns: f64,
    /// Requests that were counted as served.
    pub exchanges: u64,
    /// Calls that were counted as made.
    pub calls: u64,
    pub events_lost: u64,
}

/// A load of so many requests a second; 0: as many as are answered.
#[expect(clippy::cast_precision_loss, reason = "three digits are enough")]
pub fn sample(subject: &Subject, rate: u32, duration: Duration) -> Result<Sample> {
    let before = subject.process.cpu_time()?;
    let answered = subject.load(rate, duration)?;
    let cpu = subject.process.cpu_time()?.saturating_sub(before);
    Ok(Sample {
        served: answered.served,
        per_second: answered.per_second,
        latency: answered.latency,
        cpu_us: cpu.as_secs_f64() * 1e6 / answered.served as f64,
    })
}

/// The same while the agent traces the pod.
#[expect(clippy::cast_precision_loss, reason = "three digits are enough")]
pub fn traced(
    subject: &Subject,
    agent: &mut Agent,
    calls: u64,
    rate: u32,
    duration: Duration,
) -> Result<Traced> {
    let before = Seen::now(agent, subject)?;
    let cpu = agent.cpu_time()?;
    let sample = sample(subject, rate, duration)?;
    let expected = Sides { server: sample.served, client: calls * sample.served };
    let seen = settle(agent, subject, &before, expected)?;
    let cpu = agent.cpu_time()?.saturating_sub(cpu);
    let sides = seen.sides.server + seen.sides.client;
    let ring = agent.ring_resident()?;
    Ok(Traced {
        sample,
        agent_cpu_us_per_exchange: cpu.as_secs_f64() * 1e6 / sides.max(1) as f64,
        agent_rss_mb: agent.memory()?.resident.saturating_sub(ring) as f64 / f64::from(1 << 20),
        kernel_ns: kernel_ns(subject, rate)?,
        exchanges: seen.sides.server,
        calls: seen.sides.client,
        events_lost: seen.loss.events_lost,
    })
}

/// What weft has counted of the pod.
#[derive(Clone, Copy, Debug)]
struct Seen {
    sides: Sides,
    loss: Loss,
}

impl Seen {
    fn now(agent: &Agent, subject: &Subject) -> Result<Self> {
        let observed = Observed::now(agent)?;
        Ok(Self { sides: observed.pod(&subject.pod.to_string()), loss: observed.loss })
    }

    fn since(&self, before: &Self) -> Self {
        let sides = Sides {
            server: self.sides.server.saturating_sub(before.sides.server),
            client: self.sides.client.saturating_sub(before.sides.client),
        };
        Self { sides, loss: self.loss.since(&before.loss) }
    }
}

/// Waits until what was served is counted.
fn settle(agent: &Agent, subject: &Subject, before: &Seen, expected: Sides) -> Result<Seen> {
    let pod = subject.pod.to_string();
    let seen = |observed: &Observed| Seen { sides: observed.pod(&pod), loss: observed.loss }.since(before);
    let observed = Observed::wait(agent, SETTLE, |now| seen(now).sides == expected)?;
    Ok(seen(&observed))
}

#[expect(clippy::cast_precision_loss, reason = "three digits are enough")]
fn kernel_ns(subject: &Subject, rate: u32) -> Result<f64> {
    let pins = Pins::new(&subject.pod.lab().bpffs());
    let statistics = StatsGuard::enable()?;
    let before = nanoseconds(&pins)?;
    let answered = subject.load(rate, STATISTICS)?;
    // The last segments' acknowledgements.
    sleep(Duration::from_millis(50));
    let spent = nanoseconds(&pins)?.saturating_sub(before);
    drop(statistics);
    ensure!(spent > 0, "the kernel counted no run of weft's programs");
    Ok(spent as f64 / answered.served as f64)
}

fn nanoseconds(pins: &Pins) -> Result<u64> {
    Ok(program_stats(pins)?.iter().map(|program| program.nanoseconds).sum())
}

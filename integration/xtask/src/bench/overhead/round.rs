//! One measurement: untraced, or with the agent beside.
use std::{collections::BTreeMap, thread::sleep, time::Duration};

use anyhow::{Result, ensure};
use weft_lab::{
    Agent, Observed,
    load::Latency,
    observed::{Loss, Sides},
};
use weft_loader::{Pins, ProgramStats, StatsGuard, program_stats};

use super::subject::Subject;

/// How long the last exchanges may take to be published.
const SETTLE: Duration = Duration::from_secs(5);
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
#[derive(Clone, Debug)]
pub struct Traced {
    pub sample: Sample,
    pub agent_cpu_us_per_exchange: f64,
    pub agent_rss_mb: f64,
    /// Time in weft's programs, by their name, in ns for each request that was served. The load generator's own calls are
    /// in it: a program that sits at all sockets turns them down.
    pub kernel_ns: BTreeMap<String, f64>,
    /// How often each of them ran for each request.
    pub kernel_runs: BTreeMap<String, f64>,
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

/// The agent, and everything that the service has served since it was started.
pub struct Watch<'a> {
    agent: &'a mut Agent,
    subject: &'a Subject,
    served: u64,
}

/// What weft has counted.
#[derive(Clone, Copy, Debug)]
struct Seen {
    sides: Sides,
    loss: Loss,
}

impl<'a> Watch<'a> {
    /// An agent that was started just now.
    pub fn new(agent: &'a mut Agent, subject: &'a Subject) -> Self {
        Self { agent, subject, served: 0 }
    }

    /// Load that is not measured.
    pub fn warm_up(&mut self, duration: Duration) -> Result<()> {
        self.served += self.subject.load(0, duration)?.served;
        Ok(())
    }

    /// A [`sample`], and what tracing it took.
    #[expect(clippy::cast_precision_loss, reason = "three digits are enough")]
    pub fn sample(&mut self, rate: u32, duration: Duration) -> Result<Traced> {
        let before = self.settle()?;
        let cpu = self.agent.cpu_time()?;
        let sample = sample(self.subject, rate, duration)?;
        self.served += sample.served;
        let seen = self.settle()?;
        let cpu = self.agent.cpu_time()?.saturating_sub(cpu);
        let exchanges = seen.sides.server - before.sides.server;
        let calls = seen.sides.client - before.sides.client;
        let ring = self.agent.ring_resident()?;
        let (kernel_ns, kernel_runs) = self.kernel(rate)?;
        Ok(Traced {
            sample,
            agent_cpu_us_per_exchange: cpu.as_secs_f64() * 1e6 / (exchanges + calls).max(1) as f64,
            agent_rss_mb: self.agent.memory()?.resident.saturating_sub(ring) as f64 / f64::from(1 << 20),
            kernel_ns,
            kernel_runs,
            exchanges,
            calls,
            events_lost: seen.loss.since(&before.loss).events_lost,
        })
    }

    /// Waits until everything that was served is counted, and gives what is.
    fn settle(&self) -> Result<Seen> {
        let pod = self.subject.pod.to_string();
        let served = Sides { server: self.served, client: self.served * self.subject.calls() };
        let observed = Observed::wait(self.agent, SETTLE, |now| now.pod(&pod) == served)?;
        Ok(Seen { sides: observed.pod(&pod), loss: observed.loss })
    }

    /// Time in the programs and how often they ran, for each request.
    fn kernel(&mut self, rate: u32) -> Result<(BTreeMap<String, f64>, BTreeMap<String, f64>)> {
        let pins = Pins::new(&self.subject.pod.lab().bpffs());
        let statistics = StatsGuard::enable()?;
        let before = program_stats(&pins)?;
        let answered = self.subject.load(rate, STATISTICS)?;
        // The last segments' acknowledgements.
        sleep(Duration::from_millis(50));
        let after = program_stats(&pins)?;
        drop(statistics);
        self.served += answered.served;
        let each = |count: fn(&ProgramStats) -> u64| each(&before, &after, count, answered.served);
        let nanoseconds = each(|program| program.nanoseconds);
        ensure!(!nanoseconds.is_empty(), "the kernel counted no run of weft's programs");
        Ok((nanoseconds, each(|program| program.runs)))
    }
}

/// What came to a count between two looks, by program, for each request; programs that did not run are not in it.
#[expect(clippy::cast_precision_loss, reason = "three digits are enough")]
fn each(
    before: &[ProgramStats],
    after: &[ProgramStats],
    count: fn(&ProgramStats) -> u64,
    requests: u64,
) -> BTreeMap<String, f64> {
    let earlier = |name: &str| before.iter().find(|program| program.name == name).map_or(0, count);
    let since = after.iter().map(|program| (&program.name, count(program) - earlier(&program.name)));
    let since = since.filter(|(_, count)| *count > 0);
    since.map(|(name, count)| (name.clone(), count as f64 / requests as f64)).collect()
}

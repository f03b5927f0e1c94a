//! `cargo xtask bench overhead`: what tracing costs a service, in alternating rounds of the same process with and without it.
mod report;
mod round;
mod subject;

use std::{thread::sleep, time::Duration};

use anyhow::{Context as _, Result, bail};
use clap::Args;
use nix::unistd::geteuid;
use weft_lab::{Agent, Lab, Shop, tools};

use self::{
    report::{Load, Pairs, Report},
    round::{Sample, Traced, Watch},
    subject::{Subject, Workload},
};
use super::probes::{self, Probes};

/// After the agent has come or gone: the kernel detaches in its own time.
const PAUSE: Duration = Duration::from_millis(300);

#[derive(Args)]
pub struct Options {
    /// Print one JSON document at the end; everything else goes to stderr.
    #[arg(long)]
    json: bool,
    /// Rounds for each service, each untraced and traced.
    #[arg(long, default_value_t = 5)]
    rounds: u32,
    /// How long each measurement takes.
    #[arg(long, default_value_t = 3)]
    seconds: u64,
    /// Only these services.
    #[arg(long, value_delimiter = ',')]
    workload: Vec<Workload>,
    /// What the agent may turn on in Go processes; `budget` is what it does by itself.
    #[arg(long, value_enum, default_value_t = Probes::Budget)]
    probes: Probes,
}

pub fn execute(options: &Options) -> Result<()> {
    if !geteuid().is_root() {
        bail!("the services run in network namespaces: run it as root (sudo -E cargo xtask bench overhead)");
    }
    let binaries = tools::rust_binaries()?;
    let workloads =
        if options.workload.is_empty() { Workload::ALL.to_vec() } else { options.workload.clone() };
    let mut report = Report::default();
    for workload in workloads {
        super::say(&format!("{workload:?}: {} rounds", options.rounds));
        let lab = Lab::new(Shop::lab_options(&binaries))?;
        let mut agent = Agent::prepare(&lab, &binaries.weft, probes::configuration(options.probes))?;
        let subject = Subject::start(&lab, workload)?;
        measure(&subject, &mut agent, workload, options, &mut report)
            .with_context(|| format!("{workload:?}"))?;
    }
    report.explain();
    if options.json {
        super::print(&serde_json::to_value(&report)?)?;
    }
    Ok(())
}

fn measure(
    subject: &Subject,
    agent: &mut Agent,
    workload: Workload,
    options: &Options,
    report: &mut Report,
) -> Result<()> {
    // Until the service's heap and the connections to the host are what they stay.
    let warm = subject.load(0, Duration::from_secs(options.seconds.min(2)))?;
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a rate of requests")]
    let half = (warm.per_second / 2.0) as u32;
    let mut pairs = [Pairs::new(workload, Load::Saturation, 0), Pairs::new(workload, Load::Half, half)];
    for round in 0..options.rounds {
        // Whatever drifts meets both kinds alike.
        let (without, with) = if round % 2 == 0 {
            (untraced(subject, &pairs, options)?, traced(subject, agent, &pairs, options)?)
        } else {
            let with = traced(subject, agent, &pairs, options)?;
            (untraced(subject, &pairs, options)?, with)
        };
        let samples = without.into_iter().zip(with);
        pairs.iter_mut().zip(samples).for_each(|(pairs, (without, with))| pairs.add(without, with));
    }
    pairs.iter().for_each(|pairs| report.add(pairs));
    Ok(())
}

fn untraced(subject: &Subject, pairs: &[Pairs], options: &Options) -> Result<Vec<Sample>> {
    let duration = Duration::from_secs(options.seconds);
    pairs.iter().map(|pairs| round::sample(subject, pairs.rate, duration)).collect()
}

/// Starts the agent, measures, and takes everything of it off the kernel again.
fn traced(subject: &Subject, agent: &mut Agent, pairs: &[Pairs], options: &Options) -> Result<Vec<Traced>> {
    let duration = Duration::from_secs(options.seconds);
    agent.restart()?;
    agent.wait_processes(&[subject.process.pid()])?;
    let mut watch = Watch::new(agent, subject);
    watch.warm_up(PAUSE)?;
    let measured = pairs.iter().map(|pairs| watch.sample(pairs.rate, duration)).collect();
    agent.detach();
    sleep(PAUSE);
    measured
}

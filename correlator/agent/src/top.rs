//! `weft top`: the per-pod latency table, live.
use std::{collections::HashMap, io::IsTerminal as _, thread::sleep, time::Duration};

use anyhow::Result;
use clap::Args;
use serde::Deserialize;

use crate::{client::Agent, output::line, table};

/// Options of `weft top`.
#[derive(Args, Debug)]
pub struct Options {
    #[command(flatten)]
    agent: Agent,
    /// Show the table once and end; also the default where stdout is no terminal.
    #[arg(long)]
    once: bool,
    /// Seconds between two looks.
    #[arg(long, default_value_t = 1, value_parser = clap::value_parser!(u64).range(1..=3600))]
    interval: u64,
}

#[derive(Deserialize)]
struct Pods {
    /// ns since the epoch.
    time: u64,
    pods: Vec<table::PodRow>,
}

type Counts = HashMap<(u64, &'static str), u64>;

/// Shows the table until it is interrupted, or the agent is gone.
///
/// # Errors
/// When no agent answers.
pub fn run(options: &Options) -> Result<()> {
    let live = !options.once && std::io::stdout().is_terminal();
    let mut before: Option<(u64, Counts)> = None;
    loop {
        let now: Pods = options.agent.get("/api/v1/pods")?;
        if live {
            // Home, and clear to the end: no flicker as with clearing first.
            line(
                "\u{1b}[H\u{1b}[Jweft top: latency per pod, first byte of the request to last byte of the response\n",
            );
        }
        table::print(&now.pods, |pod, side| rate(before.as_ref(), &now, pod, side));
        if !live {
            return Ok(());
        }
        let counts = now
            .pods
            .iter()
            .flat_map(|pod| {
                [((pod.netns, "server"), pod.server.count), ((pod.netns, "client"), pod.client.count)]
            })
            .collect();
        before = Some((now.time, counts));
        sleep(Duration::from_secs(options.interval));
    }
}

#[expect(clippy::cast_precision_loss, reason = "for the eye: whole exchanges a second")]
fn rate(before: Option<&(u64, Counts)>, now: &Pods, pod: &table::PodRow, side: &'static str) -> Option<f64> {
    let (then, counts) = before?;
    let count = if side == "server" { pod.server.count } else { pod.client.count };
    let old = counts.get(&(pod.netns, side)).copied().unwrap_or(0);
    let nanoseconds = now.time.checked_sub(*then).filter(|ns| *ns > 0)?;
    Some(count.saturating_sub(old) as f64 * 1e9 / nanoseconds as f64)
}

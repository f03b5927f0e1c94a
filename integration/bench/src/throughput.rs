//! How fast one core is. Time of the thread's own CPU, so that others on the machine do not count.
use std::{sync::Arc, time::Duration};

use anyhow::{Result, ensure};
use rustix::time::ClockId;
use serde_json::{Value, json};
use weft_core::{Config, Correlator, recording::Reader};

use crate::{cpu, sink::Counter};

/// What one replay took.
struct Round {
    cpu: Duration,
    exchanges: u64,
    segments: u64,
}

pub fn measure(recording: &[u8], rounds: usize) -> Result<Value> {
    let mut all = (0..rounds.max(1)).map(|_| round(recording)).collect::<Result<Vec<_>>>()?;
    all.sort_by_key(|round| round.cpu);
    let exchanges = all.first().map_or(0, |round| round.exchanges);
    ensure!(exchanges > 0, "the recording gives no exchange");
    ensure!(all.iter().all(|round| round.exchanges == exchanges), "rounds differ");
    let per_s =
        |round: Option<&Round>| round.map_or(0.0, |round| round.exchanges as f64 / round.cpu.as_secs_f64());
    Ok(json!({
        "exchanges": exchanges,
        "segments": all.first().map_or(0, |round| round.segments),
        "exchanges_per_s": per_s(all.get(all.len() / 2)).round(),
        "exchanges_per_s_best": per_s(all.first()).round(),
        "exchanges_per_s_worst": per_s(all.last()).round(),
    }))
}

fn round(recording: &[u8]) -> Result<Round> {
    let reader = Reader::new(recording)?;
    let mut sink = Counter::default();
    let mut correlator = Correlator::new(Arc::new(Config::default()));
    let start = cpu_time();
    for input in reader {
        correlator.handle(input?, &mut sink);
    }
    correlator.finish(&mut sink);
    let cpu = cpu_time().saturating_sub(start);
    Ok(Round { cpu, exchanges: sink.complete, segments: correlator.snapshot().records.segments })
}

/// What this thread has used of a processor.
pub fn cpu_time() -> Duration {
    cpu::time(ClockId::ThreadCPUTime)
}

//! Ratios, and what they must be.
use std::collections::BTreeMap;

use serde::Serialize;

use super::{
    round::{Sample, Traced},
    subject::Workload,
};

/// How much load there is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Load {
    /// As much as is answered.
    Saturation,
    /// Half of that, at a steady rate.
    Half,
}

/// Measurements of one service under one load, untraced and traced.
pub struct Pairs {
    pub workload: Workload,
    pub load: Load,
    /// Requests a second; 0: as many as are answered.
    pub rate: u32,
    pairs: Vec<(Sample, Traced)>,
}

/// What `--json` prints.
#[derive(Debug, Default, Serialize)]
pub struct Report {
    runs: Vec<Run>,
}

/// The medians of all rounds; ratios are traced : untraced.
#[derive(Debug, Serialize)]
struct Run {
    workload: Workload,
    load: Load,
    rounds: usize,
    throughput_ratio: f64,
    p50_ratio: f64,
    p99_ratio: f64,
    p999_ratio: f64,
    traced_cpu_ratio: f64,
    kernel_ns_per_exchange: f64,
    /// The same by program.
    kernel_ns_by_program: BTreeMap<String, f64>,
    /// How often each ran, for each request.
    kernel_runs_by_program: BTreeMap<String, f64>,
    agent_cpu_us_per_exchange: f64,
    agent_rss_mb: f64,
    served: u64,
    exchanges: u64,
    calls: u64,
    events_lost: u64,
    untraced: Absolute,
    traced: Absolute,
}

/// What the ratios are of.
#[derive(Debug, Serialize)]
struct Absolute {
    per_second: f64,
    cpu_us: f64,
    p50_ms: f64,
    p99_ms: f64,
    p999_ms: f64,
}

impl Pairs {
    pub fn new(workload: Workload, load: Load, rate: u32) -> Self {
        Self { workload, load, rate, pairs: Vec::new() }
    }

    pub fn add(&mut self, untraced: Sample, traced: Traced) {
        self.pairs.push((untraced, traced));
    }

    fn ratio(&self, value: impl Fn(&Sample) -> f64) -> f64 {
        median(self.pairs.iter().map(|(untraced, traced)| value(&traced.sample) / value(untraced)))
    }

    fn median(&self, value: impl Fn(&Traced) -> f64) -> f64 {
        median(self.pairs.iter().map(|(_, traced)| value(traced)))
    }

    fn programs(&self, figures: fn(&Traced) -> &BTreeMap<String, f64>) -> BTreeMap<String, f64> {
        let names = self.pairs.iter().flat_map(|(_, traced)| figures(traced).keys());
        let of = |name: &String| self.median(|traced| figures(traced).get(name).copied().unwrap_or(0.0));
        names.map(|name| (name.clone(), of(name))).collect()
    }

    fn sum(&self, value: impl Fn(&Traced) -> u64) -> u64 {
        self.pairs.iter().map(|(_, traced)| value(traced)).sum()
    }

    fn absolute<'a>(&'a self, which: impl Fn(&'a (Sample, Traced)) -> &'a Sample) -> Absolute {
        let of = |value: fn(&Sample) -> f64| median(self.pairs.iter().map(|pair| value(which(pair))));
        Absolute {
            per_second: of(|sample| sample.per_second),
            cpu_us: of(|sample| sample.cpu_us),
            p50_ms: of(|sample| sample.latency.p50),
            p99_ms: of(|sample| sample.latency.p99),
            p999_ms: of(|sample| sample.latency.p999),
        }
    }
}

impl Report {
    pub fn add(&mut self, pairs: &Pairs) {
        self.runs.push(Run {
            workload: pairs.workload,
            load: pairs.load,
            rounds: pairs.pairs.len(),
            throughput_ratio: pairs.ratio(|sample| sample.per_second),
            p50_ratio: pairs.ratio(|sample| sample.latency.p50),
            p99_ratio: pairs.ratio(|sample| sample.latency.p99),
            p999_ratio: pairs.ratio(|sample| sample.latency.p999),
            traced_cpu_ratio: pairs.ratio(|sample| sample.cpu_us),
            kernel_ns_per_exchange: pairs.median(|traced| traced.kernel_ns.values().sum()),
            kernel_ns_by_program: pairs.programs(|traced| &traced.kernel_ns),
            kernel_runs_by_program: pairs.programs(|traced| &traced.kernel_runs),
            agent_cpu_us_per_exchange: pairs.median(|traced| traced.agent_cpu_us_per_exchange),
            agent_rss_mb: pairs.median(|traced| traced.agent_rss_mb),
            served: pairs.sum(|traced| traced.sample.served),
            exchanges: pairs.sum(|traced| traced.exchanges),
            calls: pairs.sum(|traced| traced.calls),
            events_lost: pairs.sum(|traced| traced.events_lost),
            untraced: pairs.absolute(|(untraced, _)| untraced),
            traced: pairs.absolute(|(_, traced)| &traced.sample),
        });
    }

    /// A table for people: each figure with what it must be.
    pub fn explain(&self) {
        for run in &self.runs {
            run.explain();
        }
    }
}

/// What a figure must be.
enum Bound {
    Least(f64),
    Most(f64),
    Free,
}

impl Run {
    fn explain(&self) {
        let Self { workload, load, untraced, traced, .. } = self;
        eprintln!(
            "\n{workload:?}, {load:?}: {:.0}/s untraced, {:.0}/s traced; p50 {:.3} and {:.3} ms, p99 {:.2} and {:.2} ms",
            untraced.per_second,
            traced.per_second,
            untraced.p50_ms,
            traced.p50_ms,
            untraced.p99_ms,
            traced.p99_ms
        );
        let saturated = |bound| if *load == Load::Saturation { bound } else { Bound::Free };
        let (throughput, cpu) = self.bounds();
        line("throughput, traced : untraced", self.throughput_ratio, saturated(Bound::Least(throughput)));
        line("CPU of the service a request", self.traced_cpu_ratio, Bound::Most(cpu));
        line("p50", self.p50_ratio, Bound::Free);
        line("p99", self.p99_ratio, Bound::Free);
        line("p99.9", self.p999_ratio, Bound::Free);
        let kernel = if *workload == Workload::Fanout { 8000.0 } else { 3000.0 };
        line("ns in weft's programs a request", self.kernel_ns_per_exchange, Bound::Most(kernel));
        for (name, ns) in &self.kernel_ns_by_program {
            let runs = self.kernel_runs_by_program.get(name).copied().unwrap_or(0.0);
            line(&format!("  {name}, {runs:.2} runs"), *ns, Bound::Free);
        }
        line("us of the agent's CPU an exchange", self.agent_cpu_us_per_exchange, Bound::Most(15.0));
        line("MiB of the agent", self.agent_rss_mb, Bound::Free);
        let exact = self.exchanges == self.served && self.calls == self.served * workload.calls();
        eprintln!(
            "  {} served, {} counted and {} calls of its own: {}; {} records lost",
            self.served,
            self.exchanges,
            self.calls,
            if exact { "exact" } else { "MISSED" },
            self.events_lost
        );
    }

    /// The least throughput and the most CPU of the service, traced : untraced.
    fn bounds(&self) -> (f64, f64) {
        match self.workload {
            Workload::Hello | Workload::Grpc => (0.92, 1.08),
            Workload::Work200us => (0.98, 1.02),
            Workload::Fanout => (0.88, f64::INFINITY),
        }
    }
}

fn line(what: &str, value: f64, bound: Bound) {
    let verdict = match bound {
        Bound::Free => String::new(),
        Bound::Most(f64::INFINITY) => String::new(),
        Bound::Least(least) => format!("at least {least}{}", missed(value >= least)),
        Bound::Most(most) => format!("at most {most}{}", missed(value <= most)),
    };
    eprintln!("  {what:<34} {value:>10.3}  {verdict}");
}

fn missed(met: bool) -> &'static str {
    if met { "" } else { "  MISSED" }
}

fn median(values: impl Iterator<Item = f64>) -> f64 {
    let mut values: Vec<f64> = values.collect();
    values.sort_by(f64::total_cmp);
    let middle = values.len() / 2;
    match values.len() {
        0 => f64::NAN,
        odd if odd % 2 == 1 => values[middle],
        _ => f64::midpoint(values[middle - 1], values[middle]),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_median_is_in_the_middle() {
        assert_eq!(median([3.0, 1.0, 2.0].into_iter()), 2.0);
        assert_eq!(median([4.0, 1.0, 2.0, 3.0].into_iter()), 2.5);
        assert!(median(std::iter::empty()).is_nan());
    }
}

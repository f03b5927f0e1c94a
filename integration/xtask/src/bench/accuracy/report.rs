//! What was found, as the document and as a table.
use std::collections::BTreeMap;

use super::super::probes::Probes;
use serde::Serialize;
use weft_lab::topology::{Build, Flavour, Verdict, Workload};

/// What `--json` prints.
#[derive(Debug, Default, Serialize)]
pub struct Report {
    pub runs: Vec<Run>,
}

/// All workloads with one build, one concurrency, and one kind of probes.
#[derive(Debug, Serialize)]
pub struct Run {
    go: &'static str,
    build: Flavour,
    concurrency: u32,
    probes: Probes,
    #[serde(flatten)]
    all: Verdict,
    /// Right traces of workloads that can be told, as a share: what is required.
    right_share: f64,
    workloads: BTreeMap<String, Judged>,
}

/// One workload.
#[derive(Debug, Serialize)]
struct Judged {
    untellable: bool,
    #[serde(flatten)]
    verdict: Verdict,
}

impl Run {
    pub fn new(build: Build, concurrency: u32, probes: Probes) -> Self {
        Self {
            go: build.version(),
            build: build.flavour,
            concurrency,
            probes,
            all: Verdict::default(),
            right_share: 1.0,
            workloads: BTreeMap::new(),
        }
    }

    pub fn add(&mut self, workload: &Workload, verdict: Verdict) {
        self.all.add(&verdict);
        let judged = Judged { untellable: workload.untellable, verdict };
        self.workloads.insert(workload.name.clone(), judged);
        let mut tellable = Verdict::default();
        self.workloads.values().filter(|it| !it.untellable).for_each(|it| tellable.add(&it.verdict));
        self.right_share = tellable.right_share();
    }

    /// A table for people.
    pub fn explain(&self) {
        let Self { go, build, concurrency, probes, all, right_share, workloads } = self;
        eprintln!(
            "Go {go} {build:?}, {concurrency} at a time, probes {probes:?}: {} right, {} incomplete, {} wrong; {:.2}% right where it can be told",
            all.right,
            all.incomplete,
            all.wrong,
            right_share * 100.0
        );
        for (name, Judged { untellable, verdict }) in workloads {
            let note = if *untellable { " (may stay incomplete)" } else { "" };
            eprintln!(
                "  {name:<24} {:>6} right {:>6} incomplete {:>6} wrong {:>5} unseen  {:?}{note}",
                verdict.right, verdict.incomplete, verdict.wrong, verdict.unseen, verdict.by_evidence
            );
            verdict.examples.iter().take(2).for_each(|example| eprintln!("    {example}"));
        }
    }
}

impl Report {
    /// What is required, and whether it is so.
    pub fn explain(&self) {
        eprintln!(
            "\n{:<16} {:>6} {:<8} {:>8} {:>11} {:>7} {:>9}",
            "GO", "AT ONCE", "PROBES", "RIGHT", "INCOMPLETE", "WRONG", "RIGHT %"
        );
        for run in &self.runs {
            let build = format!("{} {:?}", run.go, run.build).to_lowercase();
            eprintln!(
                "{build:<16} {:>7} {:<8} {:>8} {:>11} {:>7} {:>9.2}  required: {}",
                run.concurrency,
                format!("{:?}", run.probes).to_lowercase(),
                run.all.right,
                run.all.incomplete,
                run.all.wrong,
                run.right_share * 100.0,
                required(run.probes)
            );
        }
    }
}

fn required(probes: Probes) -> &'static str {
    match probes {
        Probes::On => "wrong 0, right 99.9%",
        Probes::Off => "wrong at most 0.1%",
        Probes::Budget => "-",
    }
}

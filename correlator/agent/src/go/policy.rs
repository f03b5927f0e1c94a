//! What may be done to Go processes: the configuration, and what a probe costs on this machine.
use std::time::Duration;

use weft_loader::go::{GoProbes as Loader, ProbeCost};

use super::group::Group;
use crate::config::{Go, GoProbes};

/// Both together.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Policy {
    /// The configuration.
    go: Go,
    cost: ProbeCost,
}

/// What is assumed where it cannot be measured, in ns: dear, so that too little is listened at rather than too much.
const ASSUMED: ProbeCost = ProbeCost { emulated: 3_000, stepped: 50_000 };

impl Policy {
    /// The configuration, and what is measured now.
    pub fn measured(loader: &mut Loader, go: Go) -> Self {
        let cost = if go.probes == GoProbes::Off { ASSUMED } else { measure(loader, go) };
        Self { go, cost }
    }

    /// Another configuration; says whether it is one. What a probe costs is measured when that is first of interest.
    pub fn configure(&mut self, loader: &mut Loader, go: Go) -> bool {
        let before = std::mem::replace(&mut self.go, go);
        if before.probes == GoProbes::Off && go.probes != GoProbes::Off {
            self.cost = measure(loader, go);
        }
        before != go
    }

    /// Groups that may be turned on, in the order of their value.
    pub fn groups(&self) -> impl Iterator<Item = Group> {
        let probes = self.go.probes;
        Group::ALL.into_iter().filter(move |group| match probes {
            GoProbes::Off => false,
            // Every switch of a goroutine: no budget has room for it that leaves some for anything else.
            GoProbes::Auto => *group != Group::Sched,
            GoProbes::All => true,
        })
    }

    /// Whether functions of metrics may be listened at.
    pub fn allows_functions(&self) -> bool {
        self.go.probes != GoProbes::Off
    }

    /// The most that they may add to the processes' CPU time, where there is a limit.
    pub fn limit(&self) -> Option<f64> {
        (self.go.probes == GoProbes::Auto).then_some(self.go.budget.0)
    }

    /// Whether it matters what they cost: with a budget of 100 % all is on that may be of use later.
    pub fn saves(&self) -> bool {
        self.limit().is_some_and(|limit| limit < 1.0)
    }

    /// What it costs a thread to come by a probe so many times.
    pub fn cost(&self, emulated: bool, hits: u64) -> Duration {
        let ProbeCost { emulated: cheap, stepped } = self.cost;
        Duration::from_nanos(hits.saturating_mul(if emulated { cheap } else { stepped }))
    }

    /// Why a group is not among [`Self::groups`].
    pub fn why_off(&self) -> &'static str {
        match self.go.probes {
            GoProbes::Off => "go.probes is off",
            GoProbes::Auto | GoProbes::All => "go.probes is auto: only all turns it on",
        }
    }

    /// Why a group with this share is off.
    pub fn too_dear(&self, share: f64) -> String {
        let budget = self.go.budget;
        if share.is_finite() {
            format!("it added {:.1}% to the CPU time of the processes: go.budget is {budget}", share * 100.0)
        } else {
            format!("it took all the CPU time of the processes: go.budget is {budget}")
        }
    }
}

fn measure(loader: &mut Loader, go: Go) -> ProbeCost {
    let cost = loader.measure_cost().unwrap_or_else(|error| {
        tracing::warn!("what a probe costs cannot be measured: {error}");
        ASSUMED
    });
    let ProbeCost { emulated, stepped } = cost;
    tracing::info!(emulated, stepped, probes = %go.probes, budget = %go.budget, "what a probe costs here, in ns");
    cost
}

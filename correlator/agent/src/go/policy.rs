//! What may be done to Go processes: the configuration, and what a probe costs on this machine.
use std::time::Duration;

use super::group::Group;
use crate::config::{Go, GoProbes};

/// What it costs a thread to come by a probe.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Cost {
    /// At an instruction that the kernel emulates.
    pub emulated: Duration,
    /// At any other one: the processor executes it alone, and stops once more behind it.
    pub stepped: Duration,
}

/// Both together.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Policy {
    /// The configuration.
    pub go: Go,
    /// As it was measured when the agent started.
    pub cost: Cost,
}

impl Policy {
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

    /// The most that they may add to the processes' CPU time, where there is a limit.
    pub fn limit(&self) -> Option<f64> {
        (self.go.probes == GoProbes::Auto).then_some(self.go.budget.0)
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

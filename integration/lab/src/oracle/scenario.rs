//! A named scenario: who talks to whom, what the client counted, and which differences are known and why.

use std::collections::BTreeMap;

use anyhow::Result;

use super::{Bench, Difference};

/// What the client says about its own run.
#[derive(Clone, Debug, Default)]
pub struct Claim {
    /// Requests that it sent.
    pub requests: u64,
    /// Requests of which it does not know whether they count: they were under way when it ended.
    pub under_way: u64,
    /// gRPC messages that it sent and got.
    pub messages: Option<[u64; 2]>,
    /// gRPC statuses and how many calls ended with each.
    pub grpc_statuses: Option<BTreeMap<u32, u64>>,
    /// The final status of each answered request, in any order; absent where it does not say.
    pub statuses: Option<Vec<u16>>,
}

impl Claim {
    /// So many requests.
    pub fn requests(requests: u64) -> Self {
        Self { requests, ..Self::default() }
    }

    /// These statuses, one for each request.
    pub fn statuses(statuses: Vec<u16>) -> Self {
        Self { statuses: Some(statuses.clone()), ..Self::requests(statuses.len() as u64) }
    }
}

impl Claim {
    /// Both, one after the other.
    #[must_use]
    pub fn and(self, other: Self) -> Self {
        let both = |one: Option<Vec<u16>>, other: Option<Vec<u16>>| Some([one?, other?].concat());
        Self {
            requests: self.requests + other.requests,
            under_way: self.under_way + other.under_way,
            statuses: both(self.statuses, other.statuses),
            ..Self::default()
        }
    }
}

/// A difference between weft and tshark whose reason is known. The name is a row in docs/ORACLE.md.
#[derive(Clone, Copy, Debug)]
pub struct Explained {
    /// Its row.
    pub name: &'static str,
    /// How many differences of this scenario it explains, exactly; at most, where the peers race.
    pub count: usize,
    /// Fewer are fine.
    pub races: bool,
    /// Which.
    pub applies: fn(&Difference) -> bool,
}

impl Explained {
    /// So many differences in which `applies` holds.
    pub const fn new(name: &'static str, count: usize, applies: fn(&Difference) -> bool) -> Self {
        Self { name, count, races: false, applies }
    }

    /// At most so many: which of the peers is first is not the same in every run.
    pub const fn at_most(name: &'static str, count: usize, applies: fn(&Difference) -> bool) -> Self {
        Self { name, count, races: true, applies }
    }
}

/// One row of a table of scenarios.
#[derive(Clone, Copy)]
pub struct Scenario {
    /// Client, server, and what they do.
    pub name: &'static str,
    /// The server's port, in the server's pod.
    pub port: u16,
    /// Lets the client work to its end.
    pub run: fn(&Bench) -> Result<Claim>,
    /// The known differences.
    pub explained: &'static [Explained],
}

impl Scenario {
    /// One without known differences.
    pub const fn new(name: &'static str, port: u16, run: fn(&Bench) -> Result<Claim>) -> Self {
        Self { name, port, run, explained: &[] }
    }

    /// The same with these.
    #[must_use]
    pub const fn explained(self, explained: &'static [Explained]) -> Self {
        Self { explained, ..self }
    }
}

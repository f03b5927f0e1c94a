//! A named scenario: who talks to whom, what the client counted, and which differences are known and why.

use anyhow::Result;

use super::{Bench, Difference};

/// What the client says about its own run.
#[derive(Clone, Debug, Default)]
pub struct Claim {
    /// Requests that it sent.
    pub requests: u64,
    /// Requests of which it does not know whether they count: they were under way when it ended.
    pub under_way: u64,
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

/// A difference between weft and tshark whose reason is known. The name is a row in docs/ORACLE.md.
#[derive(Clone, Copy, Debug)]
pub struct Explained {
    /// Its row.
    pub name: &'static str,
    /// How many differences of this scenario it explains, exactly.
    pub count: usize,
    /// Which.
    pub applies: fn(&Difference) -> bool,
}

impl Explained {
    /// So many differences in which `applies` holds.
    pub const fn new(name: &'static str, count: usize, applies: fn(&Difference) -> bool) -> Self {
        Self { name, count, applies }
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

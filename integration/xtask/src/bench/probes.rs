//! What an agent under measurement may turn on in Go processes.
use serde::Serialize;
use serde_json::{Value, json};

/// Kinds of probes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, clap::ValueEnum)]
#[serde(rename_all = "lowercase")]
pub enum Probes {
    /// Everything that tells causes, whatever it costs.
    On,
    /// Nothing.
    Off,
    /// What an agent does by itself: as much as costs 2 %.
    Budget,
}

impl Probes {
    pub const ALL: [Self; 3] = [Self::On, Self::Off, Self::Budget];
}

/// The agent's configuration for it.
pub fn configuration(probes: Probes) -> Value {
    match probes {
        Probes::Off => json!({"go": {"probes": "off"}}),
        Probes::On => json!({"go": {"probes": "auto", "budget": "100%"}}),
        Probes::Budget => json!({"go": {"probes": "auto", "budget": "2%"}}),
    }
}

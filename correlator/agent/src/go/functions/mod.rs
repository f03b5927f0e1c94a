//! Metrics of Go functions: which there are, where their functions are in binaries, and for which pods they are counted.
mod numbers;
mod places;
mod series;

use std::sync::Arc;

use weft_loader::go::GoProbes;

pub use self::{
    numbers::Numbers,
    places::{Place, Places},
    series::{Series, Wishes},
};
use crate::config::{Config, FunctionMetric, Go, definitions};

/// What the configuration says of Go processes.
#[derive(Clone, Debug, Default)]
pub struct Settings {
    /// What may be done to them.
    pub go: Go,
    /// Metrics of their functions.
    pub functions: Vec<FunctionMetric>,
}

impl Settings {
    /// Of a configuration that is valid.
    pub fn of(config: &Config) -> Self {
        let functions = definitions(&config.metrics.custom).map(|defined| defined.functions);
        Self { go: config.go, functions: functions.unwrap_or_default() }
    }
}

/// The metrics that there are, by their numbers.
pub type Functions = Vec<(u32, Arc<FunctionMetric>)>;

/// Tells the program what counts at each one's function.
pub fn define(loader: &mut GoProbes, functions: &Functions) {
    for (number, metric) in functions {
        if let Err(error) = loader.define_function(*number, metric.layout()) {
            tracing::warn!(metric = metric.name, "metrics.custom: nothing is counted: {error}");
        }
    }
}

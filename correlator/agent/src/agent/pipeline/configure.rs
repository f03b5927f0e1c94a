//! What of the configuration changes while the thread runs: all of it between two events.
use std::sync::Arc;

use weft_core::{Input, SamplingConfig};
use weft_metrics::Settings;

use super::Pipeline;
use crate::{agent::Bounds, config::Config};

/// It.
pub struct Live {
    core: Arc<weft_core::Config>,
    registry: Settings,
    store: Bounds,
    sampling: SamplingConfig,
    cpu: Option<f64>,
}

impl Live {
    /// Of a whole configuration.
    pub fn of(config: &Config) -> Self {
        Self {
            core: config.core(),
            registry: config.registry(),
            store: config.store(),
            sampling: config.sampling.core(),
            cpu: config.sampling.adaptive.cpu(),
        }
    }
}

impl Pipeline {
    /// What was recorded before is taken before: it was recorded under the other configuration.
    pub(super) fn configure(&mut self, live: Live) {
        let Live { core, registry, store, sampling, cpu } = live;
        if let Err(error) = self.charge.filter_ports(&core.ports) {
            tracing::error!(%error, "capture.ports and capture.exclude_ports are not in force");
        }
        self.drain_all();
        self.published.registry.configure(registry);
        self.published.store.set_bounds(store);
        self.sink.recorder.configure(sampling);
        self.cpu.set_limit(cpu);
        self.take(Input::Config(core));
    }
}

//! What is sent to a backend of OTLP, where one is configured.
use std::sync::Arc;

use anyhow::{Context as _, Result};
use tokio::task::block_in_place;
use weft_metrics::{Profiles, exposition::Page};
use weft_otlp::{Counts, Exporter, Handle, Identity, Resources, Source, Spans};

use super::metrics::{self, Origin};
use crate::{clock, config::Config};

/// An exporter that does not run yet.
pub struct Export {
    exporter: Exporter,
    /// Where it takes any.
    spans: Option<Spans>,
    counts: Arc<Counts>,
}

/// Who has the metrics.
struct Metrics(Origin);

/// Prepares the one that the configuration wants.
///
/// # Errors
/// When there cannot be a way to the backend: which key, and why.
pub fn prepare(config: &Config) -> Result<Option<Export>> {
    let Some(otlp) = &config.export.otlp else { return Ok(None) };
    let counts = Arc::new(Counts::default());
    let settings = otlp.settings()?;
    let takes_spans = settings.signals.spans;
    let (exporter, spans) = Exporter::new(settings, Arc::clone(&counts)).context("export.otlp")?;
    Ok(Some(Export { exporter, spans: Some(spans).filter(|_| takes_spans), counts }))
}

impl Export {
    /// Where spans go; nowhere, where the backend takes none.
    pub fn spans(&self) -> Option<Spans> {
        self.spans.clone()
    }

    /// What becomes of everything.
    pub fn counts(&self) -> Arc<Counts> {
        Arc::clone(&self.counts)
    }

    /// Starts it on the current runtime.
    pub fn start(self, of: Origin) -> Handle {
        let began = clock::monotonic().0.saturating_add_signed(clock::offset().0);
        let name = rustix::system::uname().nodename().to_string_lossy().into_owned();
        let own = vec![
            ("service.name", "weft".to_owned()),
            ("service.version", env!("CARGO_PKG_VERSION").to_owned()),
            ("service.instance.id", name.clone()),
            ("host.name", name),
            ("k8s.node.name", of.node.clone()),
        ];
        let node = Some(of.node.clone());
        self.exporter.start(Identity { began, own, node }, Metrics(of))
    }
}

impl Source for Metrics {
    fn identify(&mut self, resources: &mut Resources) {
        resources.update(&self.0.published.snapshot.load());
    }

    fn write(&mut self, page: &mut Page<'_>) {
        // It reads maps of other programs: the listener's answers go on meanwhile. Others' names are for those who scrape.
        block_in_place(|| metrics::write(page, &self.0.now(), Profiles::OTEL));
    }
}

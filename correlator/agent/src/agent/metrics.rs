//! What is known, under the names that dashboards ask for: docs/METRICS.md lists them.
mod cluster;
mod configuration;
mod go;
mod own;

use std::sync::Arc;

use weft_core::Snapshot;
use weft_metrics::{
    Registry,
    exposition::{Format, Kind, Page},
    requests,
};

use super::reload;
use crate::go::view::View;

/// Where all of it comes from.
pub struct Sources {
    /// What is counted by pod and by what was asked for.
    pub registry: Arc<Registry>,
    /// What the pipeline counts.
    pub snapshot: Arc<Snapshot>,
    /// What became of spans, by decision.
    pub spans: [(&'static str, u64); 4],
    /// What is known of Go processes.
    pub go: Arc<View>,
    /// What became of the configuration file.
    pub configuration: Arc<reload::Status>,
    /// How it is about the cluster's API.
    pub cluster: Arc<weft_kube::Status>,
    /// The node's name.
    pub node: String,
}

/// The page for a scraper.
pub fn render(sources: &Sources, format: Format) -> Vec<u8> {
    let Sources { registry, snapshot, spans, go, configuration, cluster, node } = sources;
    let mut page = Page::new(format);
    requests::write(&mut page, registry);
    own::write(&mut page, snapshot, registry);
    let help = "Exchanges by what sampling decided of their spans";
    labelled(&mut page, ("weft_spans_sampled", help, Kind::Counter), "decision", *spans);
    go::write(&mut page, go, snapshot);
    cluster::write(&mut page, snapshot, cluster);
    configuration::write(&mut page, configuration);
    // What scrapers join other metrics with: exactly one an instance.
    let version = env!("CARGO_PKG_VERSION");
    let labels = [("service_name", "weft"), ("service_version", version), ("k8s_node_name", node.as_str())];
    page.family("target", "What this instance is", Kind::Info).value(&labels, 1);
    page.finish()
}

/// A family of which every series has one label.
fn labelled<'a>(
    page: &mut Page,
    (name, help, kind): (&str, &str, Kind),
    label: &str,
    values: impl IntoIterator<Item = (&'a str, u64)>,
) {
    let mut family = page.family(name, help, kind);
    for (value, count) in values {
        family.value(&[(label, value)], count);
    }
}

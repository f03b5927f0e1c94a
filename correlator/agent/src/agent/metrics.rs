//! What is known, under the names that dashboards ask for: docs/METRICS.md lists them.
mod cluster;
mod configuration;
mod custom;
mod functions;
mod go;
mod own;

use std::{collections::HashMap, sync::Arc};

use arc_swap::ArcSwap;
use weft_core::{PodSnapshot, Snapshot};
use weft_metrics::{
    PodLabels, Profiles, Registry, beyla,
    exposition::{Format, Kind, Metric, Page, Point, Scrape, Unit},
    istio, requests,
};
use weft_otlp::Counts;

use super::{custom::Custom, pipeline::Published, reload};
use crate::go::{GoHandle, view::View};

/// Where all of it comes from, at any time.
#[derive(Clone)]
pub struct Origin {
    pub published: Published,
    /// Metrics of the operator's own.
    pub custom: Custom,
    /// What is known of Go processes.
    pub go: GoHandle,
    /// What became of the configuration file.
    pub configuration: Arc<ArcSwap<reload::Status>>,
    /// How it is about the cluster's API.
    pub cluster: Arc<weft_kube::Status>,
    /// The node's name.
    pub node: String,
    /// What became of what was exported, where anything is.
    pub export: Option<Arc<Counts>>,
    /// Whose names requests and calls have on the page.
    pub profiles: Profiles,
}

/// All of it, at one time.
pub struct Sources {
    /// What is counted by pod and by what was asked for.
    pub registry: Arc<Registry>,
    /// Metrics of the operator's own: they are read when they are written.
    pub custom: Custom,
    /// What the pipeline counts.
    pub snapshot: Arc<Snapshot>,
    /// What became of spans, by decision.
    pub spans: [(&'static str, u64); 4],
    /// What is known of Go processes.
    pub go: Arc<View>,
    /// Where what is counted at their functions is read.
    pub counted: GoHandle,
    /// What became of the configuration file.
    pub configuration: Arc<reload::Status>,
    /// How it is about the cluster's API.
    pub cluster: Arc<weft_kube::Status>,
    /// The node's name.
    pub node: String,
    /// What became of what was exported, where anything is.
    pub export: Option<Arc<Counts>>,
    /// Whose names requests and calls have on the page.
    pub profiles: Profiles,
}

impl Origin {
    /// What there is now.
    pub fn now(&self) -> Sources {
        let Self { published, custom, go, configuration, cluster, node, export, profiles } = self;
        Sources {
            registry: Arc::clone(&published.registry),
            custom: custom.clone(),
            snapshot: published.snapshot.load_full(),
            spans: published.spans.by_decision(),
            go: go.view(),
            counted: go.clone(),
            configuration: configuration.load_full(),
            cluster: Arc::clone(cluster),
            node: node.clone(),
            export: export.clone(),
            profiles: *profiles,
        }
    }
}

/// The page for a scraper, piece by piece.
pub fn render(sources: &Sources, format: Format, out: &mut dyn FnMut(&[u8])) {
    let mut scrape = Scrape::new(format, out);
    let mut page = Page::new(&mut scrape);
    write(&mut page, sources, sources.profiles);
    targets(&mut page, sources);
    scrape.finish();
}

/// What scrapers join other metrics with: exactly one an instance. Where Beyla's are asked for, a pod is one by itself.
fn targets(page: &mut Page<'_>, sources: &Sources) {
    let Sources { registry, node, profiles: Profiles { beyla, otel: _, istio: _ }, .. } = sources;
    let version = env!("CARGO_PKG_VERSION");
    let labels = [("service.name", "weft"), ("service.version", version), ("k8s.node.name", node.as_str())];
    let mut family = page.family(&count("target", "What this instance is", Kind::Info));
    family.value(&Point::own(&labels), 1);
    if *beyla {
        beyla::write_targets(&mut family, registry);
        drop(family);
        let mut family = page.family(&count("traces_target", "What a pod's service is", Kind::Info));
        beyla::write_targets(&mut family, registry);
    }
}

/// Everything, with requests and calls under these names. Reads maps of other programs, which takes its time.
pub fn write(page: &mut Page<'_>, sources: &Sources, profiles: Profiles) {
    let Sources {
        registry,
        custom,
        snapshot,
        spans,
        go,
        counted,
        configuration,
        cluster,
        node: _,
        export,
        profiles: _,
    } = sources;
    requests::write(page, registry, profiles);
    if profiles.istio {
        istio::write(page, registry);
    }
    let custom = custom.read();
    custom::write(page, &custom);
    own::write(page, snapshot, (registry, &custom));
    let help = "Exchanges by what sampling decided of their spans";
    labelled(page, &count("weft.spans.sampled", help, Kind::Counter), "decision", *spans);
    let pods = snapshot.pods.iter().map(|pod| (pod.netns, labels_of(pod))).collect();
    go::write(page, go, &pods);
    functions::write(page, &go.functions, counted, &pods);
    cluster::write(page, snapshot, cluster);
    configuration::write(page, configuration);
    if let Some(export) = export {
        export.write(page);
    }
}

/// Pods by the cookie of their netns, which is what is known of a process's.
type Pods = HashMap<u64, PodLabels>;

fn labels_of(pod: &PodSnapshot) -> PodLabels {
    PodLabels::new(&pod.namespace, &pod.name, pod.netns)
}

/// A family of things that are counted.
const fn count<'a>(name: &'a str, help: &'a str, kind: Kind) -> Metric<'a> {
    Metric { name, unit: Unit::Count, help, kind }
}

/// A histogram of durations.
const fn durations<'a>(name: &'a str, help: &'a str) -> Metric<'a> {
    Metric { name, unit: Unit::Seconds, help, kind: Kind::Histogram }
}

/// A family of which every series has one label.
fn labelled<'a>(
    page: &mut Page<'_>,
    metric: &Metric<'_>,
    label: &str,
    values: impl IntoIterator<Item = (&'a str, u64)>,
) {
    let mut family = page.family(metric);
    for (value, count) in values {
        family.value(&Point::own(&[(label, value)]), count);
    }
}

//! The configuration file: one immutable structure, every default sensible, unknown keys refused.
mod change;
mod choice;
mod custom;
mod go;
mod identity;
mod locate;
mod otlp;
mod profiles;
mod sampling;
mod span;

use std::{
    fs,
    net::SocketAddr,
    ops::RangeInclusive,
    path::{Path, PathBuf},
    sync::Arc,
};

use anyhow::{Context as _, Result, bail};
use serde::Deserialize;
use weft_core::{PortFilter, RouteConfig, Template};
use weft_loader::AttachMode;
use weft_metrics::Settings;

use crate::agent::Bounds;

#[cfg(test)]
use self::go::Budget;
pub use self::{
    custom::{Custom, FunctionMetric, definitions},
    go::{Go, GoProbes},
    identity::{Identity, Kubernetes},
    otlp::Otlp,
    profiles::Profiles,
    sampling::Sampling,
    span::Span,
};

/// The most that `capture.max_header_bytes` may be. Servers take up to about as much, and an HTTP/2 head that is larger
/// than a frame (16 KiB) goes on in CONTINUATION frames.
const MAX_HEADER_BYTES: usize = 64 << 10;

/// The most that `export.store.spans` may be.
const MAX_SPANS: usize = 10_000_000;

/// What `export.store.bytes` may be: room for some heads of the longest kind, and 16 GiB.
const STORE_BYTES: RangeInclusive<usize> = 1 << 20..=16 << 30;

/// The whole configuration.
#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Config {
    pub paths: Paths,
    pub capture: Capture,
    pub identity: Identity,
    pub metrics: Metrics,
    pub routes: Routes,
    pub redact: Redact,
    pub sampling: Sampling,
    pub go: Go,
    pub export: Export,
}

/// Where things are; several agents on one host differ here.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Paths {
    /// A folder on a BPF file system; one is mounted where there is none.
    pub bpffs: PathBuf,
    /// What the plugin and the agent tell each other.
    pub state_dir: PathBuf,
    /// The cgroup v2 folder whose sockets are seen; `auto`: the root; `off`: no socket events.
    pub cgroup: String,
    /// libcni's result cache: pods that are older than weft get their names from it.
    pub cni_cache: PathBuf,
}

/// What the programs take.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Capture {
    /// Only these ports, where any are named.
    pub ports: Vec<u16>,
    /// Never these ports.
    pub exclude_ports: Vec<u16>,
    /// The most bytes of a message's head that are buffered.
    pub max_header_bytes: usize,
    /// Size of the ring between the programs and the agent.
    pub ring_bytes: u32,
    /// `auto`: TCX where the kernel has it, else clsact; `clsact`: always that.
    pub attach: String,
}

/// The listener.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Metrics {
    /// Address of the HTTP listener; port 0: any, the address is written to `<state_dir>/listen`.
    pub listen: SocketAddr,
    /// The most values that a label of one pod's metric has; identity is exempt.
    pub label_cardinality_limit: usize,
    /// The most series of all pods.
    pub series_limit: usize,
    /// How long a series is shown that counts nothing.
    pub idle_series: Span,
    /// Metrics of the operator's own.
    pub custom: Vec<Custom>,
    /// Whose names requests and calls have.
    pub profiles: Profiles,
}

/// How paths become routes.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Routes {
    /// Such as `/orders/{id}`.
    pub templates: Vec<Template>,
    /// Also learn from what is asked.
    pub learn: bool,
}

/// Where results go, beside the metrics.
#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Export {
    /// What the listener's API shows.
    pub store: Store,
    /// A backend that speaks OTLP; absent: none. There is no default, because nobody may listen there.
    pub otlp: Option<Otlp>,
}

/// In memory.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Store {
    /// The most exchanges that are kept.
    pub spans: usize,
    /// The most memory that they take together.
    pub bytes: usize,
}

/// What nobody gets to see.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Redact {
    /// Fields whose values a redacted recording masks.
    pub headers: Vec<String>,
    /// Cut the query string from every path.
    pub query: bool,
}

impl Default for Paths {
    fn default() -> Self {
        Self {
            bpffs: "/sys/fs/bpf".into(),
            state_dir: "/run/weft".into(),
            cgroup: "auto".into(),
            cni_cache: "/var/lib/cni".into(),
        }
    }
}

impl Default for Capture {
    fn default() -> Self {
        Self {
            ports: Vec::new(),
            exclude_ports: Vec::new(),
            max_header_bytes: 8192,
            ring_bytes: 8 << 20,
            attach: "auto".into(),
        }
    }
}

impl Default for Metrics {
    fn default() -> Self {
        let Settings { label_cardinality_limit, series_limit, idle, pods: _, profiles: _ } =
            Settings::default();
        Self {
            listen: SocketAddr::from(([127, 0, 0, 1], 7070)),
            label_cardinality_limit,
            series_limit,
            idle_series: Span(idle),
            custom: Vec::new(),
            profiles: Profiles::default(),
        }
    }
}

impl Default for Routes {
    fn default() -> Self {
        let RouteConfig { templates, learn } = RouteConfig::default();
        Self { templates, learn }
    }
}

impl Default for Store {
    fn default() -> Self {
        Self { spans: 50_000, bytes: 32 << 20 }
    }
}

impl Default for Redact {
    fn default() -> Self {
        let core = weft_core::Config::default();
        Self { headers: core.redact_headers, query: core.redact_query }
    }
}

impl Config {
    /// Reads a file; no file: the defaults.
    ///
    /// # Errors
    /// When the file cannot be read, or says something that is not allowed: file, line, key.
    pub fn load(path: Option<&Path>) -> Result<Self> {
        let Some(path) = path else { return Ok(Self::default()) };
        let text = fs::read_to_string(path).with_context(|| format!("{}: cannot read", path.display()))?;
        Self::from_text(path, &text)
    }

    /// What a file says.
    ///
    /// # Errors
    /// When it says something that is not allowed: file, line, key.
    pub fn from_text(path: &Path, text: &str) -> Result<Self> {
        Self::parse(text).with_context(|| format!("{}: not a valid configuration", path.display()))
    }

    pub fn parse(text: &str) -> Result<Self> {
        if text.trim().is_empty() {
            return Ok(Self::default());
        }
        let config: Self = serde_saphyr::from_str(text)?;
        config.check().map_err(|error| locate::named(error, text))?;
        Ok(config)
    }

    fn check(&self) -> Result<()> {
        let ring = self.capture.ring_bytes;
        if !ring.is_power_of_two() || !(64 << 10..=1 << 30).contains(&ring) {
            bail!("capture.ring_bytes is {ring}: a power of two from 65536 to 1073741824 is allowed");
        }
        let head = self.capture.max_header_bytes;
        if !(256..=MAX_HEADER_BYTES).contains(&head) {
            bail!("capture.max_header_bytes is {head}: 256 to {MAX_HEADER_BYTES} is allowed");
        }
        let Metrics { label_cardinality_limit, series_limit, ref custom, .. } = self.metrics;
        for (key, limit) in
            [("label_cardinality_limit", label_cardinality_limit), ("series_limit", series_limit)]
        {
            if limit == 0 {
                bail!("metrics.{key} is 0: 1 and more is allowed");
            }
        }
        definitions(custom)?;
        self.identity.check()?;
        let spans = self.export.store.spans;
        if !(1..=MAX_SPANS).contains(&spans) {
            bail!("export.store.spans is {spans}: 1 to {MAX_SPANS} is allowed");
        }
        let bytes = self.export.store.bytes;
        if !STORE_BYTES.contains(&bytes) {
            let (least, most) = STORE_BYTES.into_inner();
            bail!("export.store.bytes is {bytes}: {least} to {most} is allowed");
        }
        if let Some(otlp) = &self.export.otlp {
            otlp.settings()?;
        }
        self.attach_mode().map(drop)
    }

    /// How TC programs are attached.
    ///
    /// # Errors
    /// When `capture.attach` names no mode.
    pub fn attach_mode(&self) -> Result<AttachMode> {
        let name = &self.capture.attach;
        AttachMode::parse(name)
            .with_context(|| format!("capture.attach is {name:?}: auto or clsact is allowed"))
    }

    /// What the pipeline needs of it.
    pub fn core(&self) -> Arc<weft_core::Config> {
        let Capture { ports, exclude_ports, .. } = &self.capture;
        Arc::new(weft_core::Config {
            ports: PortFilter { include: ports.clone(), exclude: exclude_ports.clone() },
            max_header_bytes: self.capture.max_header_bytes,
            redact_query: self.redact.query,
            redact_headers: self.redact.headers.clone(),
            networks: self.identity.networks.iter().map(|(network, name)| (*network, name.clone())).collect(),
            routes: RouteConfig { templates: self.routes.templates.clone(), learn: self.routes.learn },
            limits: weft_core::Limits::default(),
        })
    }

    /// What is counted by what was asked for, and its bounds. A backend of OTLP gets OpenTelemetry's, whatever the page shows.
    pub fn registry(&self) -> Settings {
        let Metrics { listen: _, label_cardinality_limit, series_limit, idle_series, custom: _, profiles } =
            self.metrics;
        let pods = weft_core::Limits::default().pods;
        let shown = profiles.shown();
        let profiles = weft_metrics::Profiles { otel: shown.otel || self.export.otlp.is_some(), ..shown };
        Settings { label_cardinality_limit, series_limit, pods, idle: idle_series.0, profiles }
    }

    /// The bounds of what is kept in memory.
    pub fn store(&self) -> Bounds {
        let Store { spans, bytes } = self.export.store;
        Bounds { spans, bytes }
    }

    /// The cgroup for socket events.
    pub fn cgroup(&self) -> Option<PathBuf> {
        match self.paths.cgroup.as_str() {
            "auto" => weft_loader::cgroup2_root().ok(),
            "off" => None,
            path => Some(path.into()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_said_means_the_defaults() {
        assert_eq!(Config::parse("").unwrap(), Config::default());
        assert_eq!(Config::parse("capture: {}\n").unwrap(), Config::default());
    }

    /// What people copy from says what holds without it.
    #[test]
    fn the_file_with_all_keys_has_the_defaults() {
        let file = Config::parse(include_str!("../../../install/weft.yaml")).unwrap();
        assert_eq!(file, Config::default());
    }

    #[test]
    fn a_part_leaves_the_rest_alone() {
        let config = Config::parse(
            "paths: { bpffs: /tmp/bpf }\nidentity: { networks: { 10.0.0.0/8: corp } }\nmetrics: { listen: 127.0.0.1:0 }\n",
        )
        .unwrap();
        assert_eq!(config.paths.bpffs, PathBuf::from("/tmp/bpf"));
        assert_eq!(config.paths.state_dir, PathBuf::from("/run/weft"));
        assert_eq!(config.core().networks, [("10.0.0.0/8".parse().unwrap(), "corp".to_owned())]);
    }

    #[test]
    fn probes_of_go_have_a_budget() {
        let go = |text| Config::parse(text).unwrap().go;
        assert_eq!(go("go: {}"), Go { probes: GoProbes::Auto, budget: Budget(0.02) });
        assert_eq!(go("go: { probes: off }").probes, GoProbes::Off);
        let all = go("go: { probes: all, budget: 0.5% }");
        assert_eq!((all.probes, all.budget), (GoProbes::All, Budget(0.005)));
        assert_eq!(format!("{} {}", all.probes, all.budget), "all 0.5%");
    }

    #[test]
    fn profiles_say_what_is_shown_and_otlp_has_its_own() {
        let settings = |text| Config::parse(text).unwrap().registry().profiles;
        let weft_metrics::Profiles { otel, istio, beyla } = settings("metrics: { profiles: [beyla, istio] }");
        assert_eq!((otel, istio, beyla), (false, true, true));
        assert_eq!(settings("{}"), weft_metrics::Profiles::OTEL);
        let both = "metrics: { profiles: [istio] }\nexport: { otlp: { endpoint: 'http://h:4317' } }";
        assert!(settings(both).otel && settings(both).istio);
        assert!(!Config::parse(both).unwrap().metrics.profiles.shown().otel);
    }

    #[test]
    fn sampling_is_as_it_is_written() {
        let sampling = |text| Config::parse(text).unwrap().sampling.core();
        assert_eq!(sampling(""), weft_core::SamplingConfig::default());
        let all = sampling(
            "sampling: { default: 0.5, errors: 0.9, slower_than: { 2s: 1, 100ms: 0.5 }, per_pod: { shop/orders: 0 }, \
             adaptive: { spans_per_second: 200 } }",
        );
        assert_eq!((all.default, all.errors, all.spans_per_second), (0.5, 0.9, Some(200)));
        assert_eq!(all.slower_than, [(100_000_000, 0.5), (2_000_000_000, 1.0)]);
        assert_eq!(all.per_pod, [("shop/orders".to_owned(), 0.0)].into());
    }

    #[test]
    fn what_is_wrong_has_its_line() {
        for (text, line) in [
            ("capture:\n  ring_bytes: 1000\n", "line 2"),
            ("go: {}\ncapture:\n  ports: []\n  attach: xdp\n", "line 4"),
            ("metrics:\n\n  series_limit: 0\n", "line 3"),
            ("export:\n  store:\n    spans: 0\n", "line 3"),
            ("go:\n  budget: 2\n", "line 2"),
            ("routes:\n  learn: true\n  templates: [orders]\n", "line 3"),
            ("capture:\n  ring_byte: 1\n", "line 2"),
            ("identity:\n  networks:\n    10.0.0.0/99: x\n", "line 3"),
        ] {
            let error = format!("{:#}", Config::parse(text).unwrap_err());
            assert!(error.contains(line), "{text}: {error}");
        }
    }

    #[test]
    fn what_is_wrong_is_named() {
        for (text, named) in [
            ("capture: { ring_byte: 1 }", "ring_byte"),
            ("metrics: { listen: localhost }", "listen"),
            ("capture: { ring_bytes: 1000 }", "ring_bytes is 1000"),
            ("capture: { max_header_bytes: 10 }", "max_header_bytes is 10"),
            ("identity: { networks: { 10.0.0.0/99: x } }", "10.0.0.0/99"),
            ("capture: { attach: xdp }", "attach is \"xdp\""),
            ("identity: { kubernetes: on }", "identity.kubernetes is \"on\""),
            ("identity: { labels: [a b] }", "\"a b\""),
            ("go: { probes: some }", "go.probes is \"some\""),
            ("go: { budget: 2 }", "go.budget is \"2\""),
            ("go: { budget: 101% }", "go.budget is \"101%\""),
            ("go: { budget: -1% }", "go.budget is \"-1%\""),
            ("go: { budget: NaN% }", "go.budget is \"NaN%\""),
            ("export: { store: { spans: 0 } }", "export.store.spans is 0"),
            ("export: { otlp: {} }", "endpoint"),
            ("export: { otlp: { endpoint: 'localhost:4317' } }", "http:// or https:// is allowed"),
            ("export: { otlp: { endpoint: 'ftp://host' } }", "http:// or https:// is allowed"),
            ("export: { otlp: { endpoint: 'http://a b' } }", "export.otlp.endpoint is \"http://a b\""),
            ("export: { otlp: { endpoint: 'http://h', protocol: thrift } }", "grpc or http is allowed"),
            (
                "export: { otlp: { endpoint: 'http://h', temporality: both } }",
                "cumulative or delta is allowed",
            ),
            ("export: { otlp: { endpoint: 'http://h', signals: [logs] } }", "metrics or spans is allowed"),
            ("export: { otlp: { endpoint: 'http://h', signals: [] } }", "export.otlp.signals is empty"),
            ("export: { otlp: { endpoint: 'http://h', compression: zstd } }", "gzip or none is allowed"),
            ("export: { otlp: { endpoint: 'http://h', interval: 10ms } }", "export.otlp.interval is 10ms"),
            ("export: { otlp: { endpoint: 'http://h', queue: 0 } }", "export.otlp.queue is 0"),
            ("export: { otlp: { endpoint: 'http://h', headers: { a b: c } } }", "export.otlp.headers.a b"),
            ("export: { otlp: { endpoint: 'http://h', headers: { te: c } } }", "te is the transport's own"),
            ("export: { otlp: { endpoint: 'http://h', headers: { x: { env: WEFT_NONE } } } }", "WEFT_NONE"),
            ("export: { store: { bytes: 1000 } }", "export.store.bytes is 1000"),
            ("export: { store: { byte: 1000 } }", "byte"),
            ("sampling: { default: 1.5 }", "1.5 is no share"),
            ("sampling: { errors: -0.1 }", "-0.1 is no share"),
            ("sampling: { default: .nan }", "no share"),
            ("sampling: { default: many }", "many"),
            ("sampling: { slower_than: { 500: 1.0 } }", "\"500\" is no length of time"),
            ("sampling: { slower_than: { 500ms: 2 } }", "2 is no share"),
            ("sampling: { per_pod: { orders: 1.0 } }", "\"orders\" is no pod"),
            ("sampling: { per_pod: { shop/: 1.0 } }", "\"shop/\" is no pod"),
            ("sampling: { per_pod: { a/b/c: 1.0 } }", "\"a/b/c\" is no pod"),
            ("sampling: { per_pod: { shop/orders: 7 } }", "7 is no share"),
            ("sampling: { adaptive: { spans_per_second: 0 } }", "spans_per_second is 0"),
            ("sampling: { adaptive: { cpu: 0% } }", "a percentage from 1% to 100% is allowed"),
            ("sampling: { default: 0.1, eror: 1 }", "eror"),
            ("metrics: { idle_series: 5 }", "\"5\""),
            ("metrics: { profiles: [] }", "metrics.profiles is []: one or more of otel, istio and beyla"),
            (
                "metrics: { profiles: [otel, linkerd] }",
                "metrics.profiles is \"linkerd\": otel, istio or beyla is allowed",
            ),
            ("metrics: { profiles: [istio, istio] }", "metrics.profiles is \"istio\" twice"),
            ("metrics: { idle_series: 5x }", "\"5x\""),
            ("routes: { templates: [orders] }", "\"orders\" does not begin with /"),
            ("paths: [", "line"),
        ] {
            let error = format!("{:#}", Config::parse(text).unwrap_err());
            assert!(error.contains(named), "{text}: {error}");
        }
    }
}

//! What of another configuration can be in force while the agent runs, and what waits for a restart.
use super::{Capture, Config, Export, Identity, Metrics, Paths};

impl Config {
    /// What of it can be in force in an agent that was started with `started`, and the keys whose values need a restart: of
    /// these the running ones stay.
    pub fn adopt(mut self, started: &Self) -> (Self, Vec<&'static str>) {
        let mut waiting = Waiting(Vec::new());
        let Self { paths, capture, identity, metrics, routes: _, redact: _, sampling: _, go: _, export } =
            &mut self;
        let Paths { bpffs, state_dir, cgroup, cni_cache } = paths;
        waiting.keep("paths.bpffs", bpffs, &started.paths.bpffs);
        waiting.keep("paths.state_dir", state_dir, &started.paths.state_dir);
        waiting.keep("paths.cgroup", cgroup, &started.paths.cgroup);
        waiting.keep("paths.cni_cache", cni_cache, &started.paths.cni_cache);
        let Capture { ports: _, exclude_ports: _, max_header_bytes: _, ring_bytes, attach } = capture;
        waiting.keep("capture.ring_bytes", ring_bytes, &started.capture.ring_bytes);
        waiting.keep("capture.attach", attach, &started.capture.attach);
        let Identity { kubernetes, node, labels, networks: _ } = identity;
        waiting.keep("identity.kubernetes", kubernetes, &started.identity.kubernetes);
        waiting.keep("identity.node", node, &started.identity.node);
        waiting.keep("identity.labels", labels, &started.identity.labels);
        let Metrics {
            listen,
            label_cardinality_limit: _,
            series_limit: _,
            idle_series: _,
            custom: _,
            profiles,
        } = metrics;
        waiting.keep("metrics.listen", listen, &started.metrics.listen);
        waiting.keep("metrics.profiles", profiles, &started.metrics.profiles);
        let Export { store: _, otlp } = export;
        waiting.keep("export.otlp", otlp, &started.export.otlp);
        (self, waiting.0)
    }
}

/// Keys that cannot change while the agent runs, and differ.
struct Waiting(Vec<&'static str>);

impl Waiting {
    fn keep<T: Clone + PartialEq>(&mut self, key: &'static str, value: &mut T, running: &T) {
        if value != running {
            value.clone_from(running);
            self.0.push(key);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_needs_a_restart_stays_and_the_rest_changes() {
        let started = Config::parse("capture: { ring_bytes: 65536 }").unwrap();
        let next = "capture: { ring_bytes: 131072, ports: [80] }\nmetrics: { listen: 127.0.0.1:1, series_limit: 7 }\n\
             export: { otlp: { endpoint: 'http://h:4317' } }";
        let (adopted, waiting) = Config::parse(next).unwrap().adopt(&started);
        assert_eq!(waiting, ["capture.ring_bytes", "metrics.listen", "export.otlp"]);
        assert_eq!(adopted.capture.ring_bytes, 65536);
        assert_eq!(adopted.metrics.listen, started.metrics.listen);
        assert_eq!((adopted.capture.ports, adopted.metrics.series_limit), (vec![80], 7));
    }

    #[test]
    fn who_counts_under_other_names_begins_anew() {
        let started = Config::parse("metrics: { profiles: [otel] }").unwrap();
        let (adopted, waiting) =
            Config::parse("metrics: { profiles: [istio, otel] }").unwrap().adopt(&started);
        assert_eq!((adopted, waiting), (started, vec!["metrics.profiles"]));
    }

    #[test]
    fn back_to_what_is_running_waits_for_nothing() {
        let started = Config::parse("paths: { state_dir: /run/x }").unwrap();
        assert_eq!(started.clone().adopt(&started), (started, Vec::new()));
    }
}

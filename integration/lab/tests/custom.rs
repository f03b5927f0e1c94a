//! Metrics of the operator's own, from maps that somebody else pinned, as scrapers, Prometheus and the OpenTelemetry Collector see
//! them. Needs root, Debian's package of Prometheus, and Go for the Collector.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use aya::maps::{Array, HashMap, Map, MapData, PerCpuArray, PerCpuHashMap, PerCpuValues, Queue};
use aya::util::nr_cpus;
use serde_json::{Value, json};
use weft_lab::otelcol::Collector;
use weft_lab::prometheus::{self, Prometheus};
use weft_lab::{Agent, Lab, LabOptions, http, tools};
use weft_loader::Pins;

const PATIENCE: Duration = Duration::from_secs(40);

/// An agent, and the folder in which somebody pins maps.
struct Site {
    lab: Lab,
    agent: Agent,
}

impl Site {
    /// `custom` is made for that folder: [`Self::pin`] is what it gets.
    fn open(config: Value) -> Result<Self> {
        let lab = Lab::new(LabOptions::default())?;
        let mut agent = Agent::prepare(&lab, &tools::rust_binaries()?.weft, json!({}))?;
        fs::create_dir_all(lab.bpffs().join("app"))?;
        agent.write_config(placed(&lab, config))?;
        agent.restart()?;
        Ok(Self { lab, agent })
    }

    fn pin(&self, name: &str) -> PathBuf {
        self.lab.bpffs().join("app").join(name)
    }

    fn pinned(&self, name: &str) -> Result<MapData> {
        Ok(MapData::from_pin(self.pin(name))?)
    }

    fn page(&self) -> Result<String> {
        Ok(self.agent.get("/metrics")?.text())
    }

    /// Lines of the page that begin so, and end with values.
    fn samples(&self, beginning: &str) -> Result<BTreeSet<String>> {
        let page = self.page()?;
        Ok(page.lines().filter(|line| line.starts_with(beginning)).map(str::to_owned).collect())
    }

    /// A reading is shown for a second.
    fn wait_for(&self, line: &str) -> Result<()> {
        let is = || Ok(self.page()?.lines().any(|found| found == line));
        self.agent.wait(PATIENCE, line, is).with_context(|| self.page().unwrap_or_default())
    }

    fn complaints(&self) -> Vec<String> {
        let said = self.agent.stderr();
        said.lines().filter(|line| line.contains("metrics.custom:")).map(str::to_owned).collect()
    }
}

/// `pin: NAME` is a name in the lab's folder.
fn placed(lab: &Lab, config: Value) -> Value {
    let text = config.to_string().replace("PINS", &lab.bpffs().join("app").display().to_string());
    serde_json::from_str(&text).unwrap_or_default()
}

fn set<const N: usize>(lines: [&str; N]) -> BTreeSet<String> {
    lines.into_iter().map(str::to_owned).collect()
}

/// A key of `struct { u32 op; char comm[16]; }`.
fn op(op: u32, comm: &str) -> [u8; 20] {
    let mut key = [0; 20];
    key[..4].copy_from_slice(&op.to_ne_bytes());
    key[4..4 + comm.len()].copy_from_slice(comm.as_bytes());
    key
}

/// A value of `struct { u64 last; s32 depth; u32 pad; }`.
fn depth(depth: i32) -> [u8; 16] {
    let mut value = [0xff; 16];
    value[8..12].copy_from_slice(&depth.to_ne_bytes());
    value
}

fn per_cpu(each: impl Fn(u64) -> u64) -> Result<PerCpuValues<u64>> {
    let cpus = nr_cpus().map_err(|(path, error)| anyhow::anyhow!("{path}: {error}"))?;
    Ok(PerCpuValues::try_from((0..cpus as u64).map(each).collect::<Vec<_>>())?)
}

fn cpus() -> Result<u64> {
    Ok(per_cpu(|_| 0)?.len() as u64)
}

/// One of each kind.
fn metrics() -> Value {
    let label = json!([{"name": "op", "type": "u32", "values": {"0": "read", "1": "write"}}]);
    json!([
        {"name": "app_queue_depth", "help": "Work that waits", "type": "gauge", "map": {
            "pin": "PINS/depth", "value": {"offset": 8, "type": "i32"},
            "labels": [label[0], {"name": "app.comm", "offset": 4, "type": "string", "length": 16}]}},
        {"name": "app.ops", "help": "Operations", "type": "counter", "map": {"pin": "PINS/ops", "labels": label}},
        {"name": "app.read", "unit": "By", "help": "Bytes read", "type": "counter", "map": {"pin": "PINS/read"}},
        {"name": "app.drops", "help": "By port", "type": "counter", "map": {
            "pin": "PINS/drops", "labels": [{"name": "port", "type": "u16be"}]}},
    ])
}

/// Those of the maps of [`metrics`] that change later.
struct Maps {
    depth: HashMap<MapData, [u8; 20], [u8; 16]>,
    ops: Array<MapData, u64>,
}

impl Maps {
    fn pin(site: &Site) -> Result<Self> {
        HashMap::<_, [u8; 20], [u8; 16]>::create(1000, 0)?.pin(site.pin("depth"))?;
        Array::<_, u64>::create(3, 0)?.pin(site.pin("ops"))?;
        PerCpuArray::<_, u64>::create(1, 0)?.pin(site.pin("read"))?;
        PerCpuHashMap::<_, u16, u64>::create(1000, 0)?.pin(site.pin("drops"))?;
        let mut maps = Self {
            depth: Map::HashMap(site.pinned("depth")?).try_into()?,
            ops: Map::Array(site.pinned("ops")?).try_into()?,
        };
        maps.depth.insert(op(1, "a\"b\\c\n"), depth(7), 0)?;
        maps.depth.insert(op(9, "sh"), depth(-3), 0)?;
        maps.ops.set(0, 5, 0)?;
        maps.ops.set(1, u64::MAX, 0)?;
        let mut read = PerCpuArray::try_from(Map::PerCpuArray(site.pinned("read")?))?;
        read.set(0, per_cpu(|cpu| 100 + cpu)?, 0)?;
        let mut drops = PerCpuHashMap::try_from(Map::PerCpuHashMap(site.pinned("drops")?))?;
        drops.insert(443_u16.to_be(), per_cpu(|_| 2)?, 0)?;
        Ok(maps)
    }
}

#[test]
fn scrapers_see_what_the_maps_have() -> Result<()> {
    let site = Site::open(json!({"metrics": {"custom": metrics()}}))?;
    let mut maps = Maps::pin(&site)?;
    site.wait_for("app_ops_total{op=\"read\"} 5")?;
    let cpus = cpus()?;
    let read: u64 = (0..cpus).map(|cpu| 100 + cpu).sum();
    let expected = [
        "app_queue_depth{op=\"write\",app_comm=\"a\\\"b\\\\c\\n\"} 7".to_owned(),
        "app_queue_depth{op=\"9\",app_comm=\"sh\"} -3".to_owned(),
        "app_ops_total{op=\"read\"} 5".to_owned(),
        format!("app_ops_total{{op=\"write\"}} {}", u64::MAX),
        "app_ops_total{op=\"2\"} 0".to_owned(),
        format!("app_read_bytes_total {read}"),
        format!("app_drops_total{{port=\"443\"}} {}", 2 * cpus),
    ];
    assert_eq!(site.samples("app_")?, BTreeSet::from(expected));
    let said = prometheus::check(site.page()?.as_bytes())?;
    assert!(!said.lines().any(|line| line.contains("app_")), "{said}");
    let openmetrics =
        http::get(site.agent.address()?, "/metrics", &["Accept: application/openmetrics-text"], PATIENCE)?
            .text();
    for line in ["# TYPE app_ops counter", "# HELP app_read_bytes Bytes read", "app_ops_total{op=\"read\"} 5"]
    {
        assert!(openmetrics.lines().any(|found| found == line), "{line}\n{openmetrics}");
    }
    // It asks for protobuf.
    let prometheus = Prometheus::start(&site.lab, &site.agent)?;
    prometheus.wait_for("app_queue_depth{app_comm=\"sh\"}", -3.0)?;
    maps.ops.set(0, 6, 0)?;
    maps.depth.remove(&op(9, "sh"))?;
    prometheus.wait_for("app_ops_total{op=\"read\"}", 6.0)?;
    prometheus.wait_for("count(app_queue_depth)", 1.0)
}

#[test]
fn the_collector_is_told_what_the_maps_have() -> Result<()> {
    let collector = {
        // Its own lab: the agent's configuration needs its address.
        let lab = Lab::new(LabOptions::default())?;
        (Collector::start(&lab)?, lab)
    };
    let otlp = json!({"endpoint": collector.0.grpc(), "interval": "1s", "temporality": "delta"});
    let site = Site::open(json!({"metrics": {"custom": metrics()}, "export": {"otlp": otlp}}))?;
    let mut maps = Maps::pin(&site)?;
    let points = |metric: &str, key: &str, value: &str| -> Result<Vec<Value>> {
        let points = collector.0.points()?.into_iter().filter(|point| {
            point.metric == metric && point.attributes.get(key).is_some_and(|found| found == value)
        });
        Ok(points.map(|point| point.json["asInt"].clone()).collect())
    };
    let told = |metric: &str, key: &str, value: &str, expected: &str| {
        let is = || Ok(points(metric, key, value)?.iter().any(|found| found == expected));
        site.agent.wait(PATIENCE, metric, is)
    };
    told("app_queue_depth", "app.comm", "sh", "-3")?;
    maps.ops.set(0, 12, 0)?;
    told("app.ops", "op", "read", "7")?;
    // What was counted before the agent looked is nobody's increase.
    assert_eq!(points("app.ops", "op", "read")?, [json!("7")]);
    Ok(())
}

#[test]
fn a_map_that_cannot_be_read_is_no_metric_until_it_can() -> Result<()> {
    let one =
        |name: &str, pin: &str| json!({"name": name, "help": "x", "type": "gauge", "map": {"pin": pin}});
    let program = Pins::new(Path::new("PINS/..")).program("tc_ingress");
    let site = Site::open(json!({"metrics": {"custom": [
        one("app_missing", "PINS/missing"),
        one("app_narrow", "PINS/narrow"),
        one("app_queue", "PINS/queue"),
        one("app_large", "PINS/large"),
        one("app_program", &program.to_string_lossy()),
        one("app_file", "/etc/hostname"),
        {"name": "app_key", "help": "x", "type": "gauge",
            "map": {"pin": "PINS/key", "labels": [{"name": "far", "offset": 4, "type": "u32"}]}},
    ]}}))?;
    let (narrow, queue) = (HashMap::<_, u32, u32>::create(8, 0)?, Queue::<_, u64>::create(8, 0)?);
    let key = HashMap::<_, u32, u64>::create(8, 0)?;
    narrow.pin(site.pin("narrow"))?;
    queue.pin(site.pin("queue"))?;
    key.pin(site.pin("key"))?;
    HashMap::<_, u32, u64>::create(300_000, 0)?.pin(site.pin("large"))?;
    let mut large = HashMap::<_, u32, u64>::try_from(Map::HashMap(site.pinned("large")?))?;
    for id in 0..=262_144 {
        large.insert(id, 1, 0)?;
    }
    let reads = |metric: &str, result: &str| {
        format!("weft_custom_reads_total{{metric=\"{metric}\",result=\"{result}\"}}")
    };
    for (metric, result) in [
        ("app_missing", "missing"),
        ("app_narrow", "unfit"),
        ("app_queue", "unfit"),
        ("app_key", "unfit"),
        ("app_large", "too_many"),
        ("app_program", "unfit"),
        ("app_file", "denied"),
    ] {
        let count = || Ok(site.samples(&reads(metric, result))?.iter().any(|line| !line.ends_with(" 0")));
        site.agent.wait(PATIENCE, metric, count)?;
    }
    assert_eq!(site.samples("app_")?, BTreeSet::new());
    let said = site.complaints();
    for why in [
        "nothing is pinned there",
        "map.value is bytes 0 to 8 of a value, and the map's values have 4",
        "a map of type Queue cannot be read",
        "the label far is bytes 4 to 8 of a key, and the map's keys have 4",
        "it has more than 262144 entries",
        "what is pinned there is no map",
        "access is denied",
    ] {
        ensure!(said.iter().filter(|line| line.contains(why)).count() == 1, "{why}: {said:#?}");
    }
    let mut missing = Array::<_, u64>::create(1, 0)?;
    missing.set(0, 42, 0)?;
    missing.pin(site.pin("missing"))?;
    site.wait_for("app_missing 42")?;
    fs::remove_file(site.pin("missing"))?;
    site.agent.wait(PATIENCE, "absence", || Ok(site.samples("app_")?.is_empty()))?;
    Ok(())
}

#[test]
fn what_is_too_much_joins_other() -> Result<()> {
    let label = json!([{"name": "id", "type": "u32"}]);
    let custom = json!([
        {"name": "app_many", "help": "x", "type": "counter", "map": {"pin": "PINS/many", "labels": label}},
    ]);
    let site = Site::open(
        json!({"metrics": {"custom": custom, "label_cardinality_limit": 10, "series_limit": 1000}}),
    )?;
    HashMap::<_, u32, u64>::create(20_000, 0)?.pin(site.pin("many"))?;
    let mut many = HashMap::<_, u32, u64>::try_from(Map::HashMap(site.pinned("many")?))?;
    for id in 0..10_000 {
        many.insert(id, 1, 0)?;
    }
    site.wait_for("app_many_total{id=\"other\"} 9990")?;
    assert_eq!(site.samples("app_many_total")?.len(), 11);
    let overflow = site.samples("weft_series_overflow_total{metric=\"app_many\"}")?;
    assert!(overflow.iter().all(|line| !line.ends_with(" 0")) && overflow.len() == 1, "{overflow:?}");
    // Half of them go: what they had counted stays counted.
    for id in 0..5_000 {
        many.remove(&id)?;
    }
    many.insert(20_000, 5, 0)?;
    site.agent.wait(PATIENCE, "the new entry", || {
        let total = |line: &String| line.rsplit(' ').next()?.parse::<u64>().ok();
        Ok(site.samples("app_many_total")?.iter().filter_map(total).sum::<u64>() == 10_005)
    })
}

#[test]
fn another_configuration_is_in_force_at_once() -> Result<()> {
    let metric = |name: &str| json!({"name": name, "help": "x", "type": "gauge", "map": {"pin": "PINS/one"}});
    let site = Site::open(json!({"metrics": {"custom": [metric("app_a")]}}))?;
    let mut map = Array::<_, u64>::create(1, 0)?;
    map.set(0, 3, 0)?;
    map.pin(site.pin("one"))?;
    site.wait_for("app_a 3")?;
    let write =
        |custom: Value| site.agent.write_config(placed(&site.lab, json!({"metrics": {"custom": custom}})));
    write(json!([metric("app_b")]))?;
    site.wait_for("app_b 3")?;
    assert_eq!(site.samples("app_")?, set(["app_b 3"]));
    write(json!([metric("app_b"), metric("weft_x")]))?;
    let refused =
        "metrics.custom.1 (weft_x): name is weft_x to Prometheus: what begins with weft_ is weft's own";
    site.agent.wait(PATIENCE, "refusal", || Ok(site.agent.get("/readyz")?.text().contains(refused)))?;
    assert_eq!(site.samples("app_")?, set(["app_b 3"]));
    Ok(())
}

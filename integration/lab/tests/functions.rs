//! Metrics of Go functions (`metrics.custom`), against what the load generator has sent. The services call `writeJSON` once for each
//! answer, with its status as an integer. Needs root, Go, and Debian's package of Prometheus.

use std::collections::BTreeSet;
use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use serde_json::{Value, json};
use weft_lab::load::Load;
use weft_lab::otelcol::Collector;
use weft_lab::prometheus::{self, Prometheus};
use weft_lab::shop::SERVERS;
use weft_lab::{Agent, Lab, Service, Shop, tools};

const PATIENCE: Duration = Duration::from_secs(40);
const ANSWERS: &str = "app_answers_total";

/// Nothing is too dear unless a test says so.
fn config(functions: Value) -> Value {
    json!({"go": {"budget": "100%"}, "metrics": {"custom": functions}})
}

fn answers() -> Value {
    json!({"name": "app.answers", "help": "Answers", "type": "counter", "function": {"symbol": "main.writeJSON"}})
}

fn statuses() -> Value {
    json!({"name": "app.status", "help": "Statuses of answers", "type": "histogram", "function": {
        "symbol": "main.writeJSON", "argument": {"word": 2, "type": "i64"}, "buckets": [199, 200, 499]}})
}

fn sleeps() -> Value {
    json!({"name": "app.sleep", "unit": "s", "help": "Sleeps", "type": "histogram", "function": {
        "symbol": "time.Sleep", "argument": {"word": 0, "type": "duration"}, "buckets": [0.001, 0.003, 0.01]}})
}

struct Page(String);

impl Page {
    fn of(shop: &Shop) -> Result<Self> {
        Ok(Self(shop.agent.get("/metrics")?.text()))
    }

    fn number(&self, sample: &str) -> Option<f64> {
        prometheus::sample(&self.0, sample)?.parse().ok()
    }

    fn begins(&self, beginning: &str) -> bool {
        self.0.lines().any(|line| line.starts_with(beginning))
    }
}

fn of_pod(sample: &str, pod: &str) -> String {
    format!("{sample}{{k8s_namespace_name=\"shop\",k8s_pod_name=\"{pod}\"}}")
}

fn wait_for(shop: &Shop, what: &str, is: impl Fn(&Page) -> bool) -> Result<()> {
    shop.agent
        .wait(PATIENCE, what, || Ok(is(&Page::of(shop)?)))
        .with_context(|| shop.agent.get("/metrics").map(|page| page.text()).unwrap_or_default())
}

/// Counted for each pod that serves, which has not happened before all probes are there.
fn wait_counted(shop: &Shop, sample: &str) -> Result<()> {
    wait_for(shop, sample, |page| SERVERS.iter().all(|pod| page.number(&of_pod(sample, pod)).is_some()))
}

#[test]
fn each_call_is_counted_and_its_argument_too() -> Result<()> {
    let absent =
        json!({"name": "app.absent", "help": "x", "type": "counter", "function": {"symbol": "main.nothing"}});
    let frameless = json!({"name": "app.frameless", "help": "x", "type": "counter", "function": {"symbol": "runtime.memmove"}});
    let all = json!([answers(), statuses(), sleeps(), absent, frameless]);
    let shop = Shop::open(&tools::rust_binaries()?, config(all))?;
    let prometheus = Prometheus::start(shop.client.lab(), &shop.agent)?;
    for sample in [ANSWERS, "app_status_count", "app_sleep_seconds_count"] {
        wait_counted(&shop, sample)?;
    }
    // Which of its last requests are answered nobody knows of a load that is cut off.
    let load = shop.run(&shop.load().rate(1000).seconds(3))?;
    let streams = Load::get(shop.orders.url("/stream?chunks=3&bytes=10&pause=2ms")).rate(50).seconds(1);
    let sleeps = 3.0 * shop.run(&streams.connections(4))?.ok as f64;
    ensure!(load.ok == load.planned && sleeps > 0.0, "{load:?} {sleeps}");
    let all = load.ok as f64;
    let page = Page::of(&shop)?;
    let number = |sample: &str, pod: &str| page.number(&of_pod(sample, pod));
    for pod in SERVERS {
        assert_eq!(number(ANSWERS, pod), Some(all), "{pod}");
        assert_eq!(number("app_status_count", pod), Some(all), "{pod}");
        assert_eq!(number("app_status_sum", pod), Some(200.0 * all), "{pod}");
        prometheus.wait_for(&format!("{ANSWERS}{{k8s_pod_name=\"{pod}\"}}"), all)?;
        for (bound, expected) in [("199.0", 0.0), ("200.0", all), ("499.0", all), ("+Inf", all)] {
            let query = format!("app_status_bucket{{k8s_pod_name=\"{pod}\",le=\"{bound}\"}}");
            prometheus.wait_for(&query, expected)?;
        }
    }
    assert_eq!(number("app_sleep_seconds_count", "orders"), Some(sleeps));
    let sum = number("app_sleep_seconds_sum", "orders").context("no sum")?;
    assert!((sum - sleeps * 0.002).abs() < 1e-9, "{sum}");
    prometheus.wait_for("app_sleep_seconds_bucket{k8s_pod_name=\"orders\",le=\"0.001\"}", 0.0)?;
    prometheus.wait_for("app_sleep_seconds_bucket{k8s_pod_name=\"orders\",le=\"0.003\"}", sleeps)?;
    let state =
        |metric: &str, state: &str| format!("weft_custom_functions{{metric=\"{metric}\",state=\"{state}\"}}");
    for (metric, in_state) in [("app.answers", "on"), ("app.absent", "absent"), ("app.frameless", "failed")] {
        assert_eq!(page.number(&state(metric, in_state)), Some(1.0), "{metric}");
    }
    assert!(!page.begins("app_absent") && !page.begins("app_frameless"));
    let said = prometheus::check(shop.agent.get("/metrics")?.text().as_bytes())?;
    assert!(!said.lines().any(|line| line.contains("app_")), "{said}");
    Ok(())
}

#[test]
fn a_backend_of_otlp_has_the_same() -> Result<()> {
    let binaries = tools::rust_binaries()?;
    let lab = Lab::new(Shop::lab_options(&binaries))?;
    let collector = Collector::start(&lab)?;
    let mut config = config(json!([answers(), statuses()]));
    config["export"] = json!({"otlp": {"endpoint": collector.grpc(), "interval": "1s"}});
    let shop = Shop::with_agent(&lab, Agent::start(&lab, &binaries.weft, config)?)?;
    wait_counted(&shop, "app_status_count")?;
    wait_counted(&shop, ANSWERS)?;
    let sent = shop.run(&shop.load().rate(200).seconds(2))?.ok;
    for (metric, key) in [("app.answers", "asInt"), ("app.status", "count")] {
        let is = || {
            let points = collector.points()?.into_iter().filter(|point| point.metric == metric);
            let whole = points.filter(|point| point.json[key] == json!(sent.to_string()));
            let pods: BTreeSet<_> =
                whole.filter_map(|point| point.resource.get("k8s.pod.name").cloned()).collect();
            Ok(SERVERS.iter().all(|server| pods.iter().any(|pod| pod == server)))
        };
        shop.agent.wait(PATIENCE, metric, is)?;
    }
    let points = collector.points()?;
    let last = points.iter().rfind(|point| point.metric == "app.status").context("no histogram")?;
    let bounds = last.json["explicitBounds"].as_array().context("no bounds")?;
    assert_eq!(bounds.iter().filter_map(Value::as_f64).collect::<Vec<_>>(), [199.0, 200.0, 499.0]);
    Ok(())
}

#[test]
fn what_is_not_listened_at_has_no_series() -> Result<()> {
    let shop = Shop::open(&tools::rust_binaries()?, config(json!([answers(), statuses()])))?;
    wait_counted(&shop, ANSWERS)?;
    let sent = shop.run(&shop.load().rate(100).seconds(1))?.ok as f64;
    let gateway = of_pod(ANSWERS, "gateway");
    let write = |config: Value| shop.agent.write_config(config);
    // One goes, the other goes on.
    write(config(json!([answers(), sleeps()])))?;
    wait_counted(&shop, "app_sleep_seconds_count")?;
    let page = Page::of(&shop)?;
    assert_eq!(page.number(&gateway), Some(sent));
    assert!(!page.begins("app_status"));
    let mut off = config(json!([answers()]));
    off["go"] = json!({"probes": "off"});
    write(off)?;
    wait_for(&shop, "absence", |page| !page.begins("app_"))?;
    let state = |state: &str| format!("weft_custom_functions{{metric=\"app.answers\",state=\"{state}\"}}");
    assert_eq!(Page::of(&shop)?.number(&state("off")), Some(1.0));
    let mut dear = config(json!([answers()]));
    dear["go"] = json!({"budget": "0%"});
    write(dear)?;
    wait_counted(&shop, ANSWERS)?;
    assert_eq!(Page::of(&shop)?.number(&gateway), Some(0.0));
    let load = shop.start(&shop.load())?;
    wait_for(&shop, "over budget", |page| page.number(&state("over_budget")) == Some(1.0))?;
    wait_for(&shop, "absence", |page| !page.begins("app_"))?;
    load.stop()?;
    Ok(())
}

#[test]
fn what_was_counted_outlives_a_process_and_not_an_agent() -> Result<()> {
    let mut shop = Shop::open(&tools::rust_binaries()?, config(json!([answers()])))?;
    wait_counted(&shop, ANSWERS)?;
    let before = shop.run(&shop.load().rate(100).seconds(1))?.ok as f64;
    let inventory = of_pod(ANSWERS, "inventory");
    // A container that is started again runs in its pod's netns.
    shop.services[0].process.stop()?;
    shop.services[0] = Service::inventory(&shop.inventory)?;
    let more = shop.run(&shop.load().rate(100).seconds(1))?.ok as f64;
    let counted = Page::of(&shop)?.number(&inventory).context("no series")?;
    // What the new process did until its binary was attached to is not in it.
    ensure!(counted >= before && counted <= before + more, "{counted} {before} {more}");
    shop.agent.wait_processes(&[shop.services[0].process.pid()])?;
    let more = shop.run(&shop.load().rate(100).seconds(1))?.ok as f64;
    assert_eq!(Page::of(&shop)?.number(&inventory), Some(counted + more));
    shop.agent.kill()?;
    shop.agent.restart()?;
    wait_counted(&shop, ANSWERS)?;
    assert_eq!(Page::of(&shop)?.number(&inventory), Some(0.0));
    let sent = shop.run(&shop.load().rate(100).seconds(1))?.ok as f64;
    assert_eq!(Page::of(&shop)?.number(&inventory), Some(sent));
    Ok(())
}

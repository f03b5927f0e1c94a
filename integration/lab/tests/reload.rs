//! The configuration while the agent runs: ConfigMap mounts, files that are wrong, gone, or others every moment, and traffic that
//! must not notice. Needs root and Go.

use std::fs;
use std::process::Command;
use std::time::Duration;

use anyhow::{Result, ensure};
use nix::sys::signal::Signal;
use serde_json::{Value, json};
use weft_lab::shop::SERVERS;
use weft_lab::{ConfigMap, Observed, Process, Shop, prometheus, tools};

/// How long something may take that happens by itself. No test fails for being slow before that.
const PATIENCE: Duration = Duration::from_secs(60);

/// A shop whose agent reads its configuration from a ConfigMap mount.
struct Mounted {
    shop: Shop,
    map: ConfigMap,
}

impl Mounted {
    fn open(config: Value) -> Result<Self> {
        let shop = Shop::open(&tools::rust_binaries()?, config)?;
        let map = ConfigMap::in_place_of(shop.agent.config())?;
        Ok(Self { shop, map })
    }

    fn swap(&mut self, config: Value) -> Result<()> {
        let document = self.shop.agent.document(config)?;
        self.map.swap(&document)
    }

    /// One number of `/metrics`.
    fn metric(&self, series: &str) -> Result<f64> {
        let page = String::from_utf8(self.shop.agent.get("/metrics")?.body)?;
        Ok(prometheus::sample(&page, series).unwrap_or("NaN").parse()?)
    }

    fn reloads(&self, result: &str) -> Result<f64> {
        self.metric(&format!("weft_config_reloads_total{{result=\"{result}\"}}"))
    }

    fn wait_for(&self, result: &str, count: f64) -> Result<()> {
        self.wait(&format!("{count} reloads {result}"), || Ok(self.reloads(result)? >= count))
    }

    fn wait(&self, what: &str, is: impl FnMut() -> Result<bool>) -> Result<()> {
        self.shop.agent.wait(PATIENCE, what, is)
    }

    fn readyz(&self) -> Result<String> {
        let answer = self.shop.agent.get("/readyz")?;
        ensure!(answer.status == 200, "not ready: {}", answer.status);
        Ok(String::from_utf8(answer.body)?)
    }

    /// The routes of what the gateway was last asked for.
    fn route(&self) -> Result<Value> {
        let exchanges = self.shop.agent.json_lines("/api/v1/exchanges?limit=1&pod=shop/gateway")?;
        Ok(exchanges.last().map(|exchange| exchange["route"].clone()).unwrap_or_default())
    }

    /// Waits until each server has counted so many, and every byte has its place.
    fn counts_exactly(&self, requests: u64) -> Result<()> {
        let counted = |seen: &Observed| SERVERS.map(|pod| seen.pod(&format!("shop/{pod}")).server);
        let all = [requests; SERVERS.len()];
        let seen = Observed::wait(&self.shop.agent, PATIENCE, |seen| counted(seen) == all && seen.adds_up())?;
        ensure!(counted(&seen) == all, "{:?}, expected {all:?}", counted(&seen));
        ensure!(seen.adds_up() && seen.loss.bytes_lost == 0, "{:?} {:?}", seen.unsettled, seen.loss);
        Ok(())
    }

    fn asks(&self) -> Result<u64> {
        Ok(self.shop.run(&self.shop.load().rate(20).seconds(1).connections(1))?.ok)
    }
}

#[test]
fn a_config_map_is_swapped_under_traffic_and_nothing_is_lost() -> Result<()> {
    let mut mounted = Mounted::open(json!({}))?;
    let load = mounted.shop.load().rate(200).seconds(8).connections(8);
    let running = mounted.shop.start(&load)?;
    mounted.swap(json!({"routes": {"templates": ["/checkout/{order}"]}}))?;
    mounted.wait_for("applied", 1.0)?;
    // What is in force is what new exchanges show.
    mounted.wait("exchange with the new route", || Ok(mounted.route()? == "/checkout/{order}"))?;
    mounted.swap(json!({"identity": {"networks": {"0.0.0.0/0": "all"}}, "go": {"probes": "off"}, "metrics": {"series_limit": 50}}))?;
    mounted.wait_for("applied", 2.0)?;
    mounted.wait("exchange with a learned route", || Ok(mounted.route()? == "/checkout/{id}"))?;
    let report = running.finish()?;
    ensure!(report.ok == report.sent && report.errors.is_empty(), "{report:?}");
    mounted.counts_exactly(report.ok)
}

#[test]
fn a_recording_has_the_change_where_it_came() -> Result<()> {
    let mut mounted = Mounted::open(json!({}))?;
    let (lab, weft) = (mounted.shop.client.lab().clone(), tools::rust_binaries()?.weft);
    let recording = lab.file("test", "reload.weftrec")?;
    let mut record = Command::new(&weft);
    record.arg("record").arg(&recording).args(["--seconds", "3600", "--state-dir"]).arg(lab.state_dir());
    let mut recorder = Process::start(&lab, None, "record", &mut record)?;
    recorder
        .wait_until(PATIENCE, "to record", || fs::metadata(&recording).is_ok_and(|file| file.len() > 0))?;
    let before = mounted.asks()?;
    mounted.swap(json!({"routes": {"templates": ["/checkout/{order}"]}}))?;
    mounted.wait_for("applied", 1.0)?;
    let after = mounted.asks()?;
    mounted.counts_exactly(before + after)?;
    recorder.signal(Signal::SIGINT)?;
    recorder.wait(PATIENCE)?;
    let replayed = Command::new(&weft).arg("replay").arg(&recording).arg("--json").output()?;
    let lines = replayed.stdout.split(|byte| *byte == b'\n').filter(|line| !line.is_empty());
    let exchanges = lines.map(serde_json::from_slice).collect::<Result<Vec<Value>, _>>()?;
    let routed = |route: &str| {
        let gateway = exchanges
            .iter()
            .filter(|exchange| exchange["pod"] == "shop/gateway" && exchange["side"] == "server");
        gateway.filter(|exchange| exchange["route"] == route).count() as u64
    };
    assert_eq!((routed("/checkout/{id}"), routed("/checkout/{order}")), (before, after));
    Ok(())
}

#[test]
fn what_is_wrong_is_refused_whole_and_said() -> Result<()> {
    let mut mounted = Mounted::open(json!({"routes": {"templates": ["/checkout/{order}"]}}))?;
    mounted.map.swap("routes:\n  learn: true\n  templates: [checkout]\n")?;
    mounted.wait_for("refused", 1.0)?;
    let says = mounted.readyz()?;
    for named in ["ready\n", "agent.yaml", "line 3", "templates", "does not begin with /"] {
        assert!(says.contains(named), "{named:?} is not in {says}");
    }
    assert_eq!(mounted.metric("weft_config_valid")?, 0.0);
    mounted.asks()?;
    mounted.wait("exchange with the old route", || Ok(mounted.route()? == "/checkout/{order}"))?;
    // Empty, and gone: neither means the defaults.
    mounted.map.swap("")?;
    mounted.wait_for("refused", 2.0)?;
    assert!(mounted.readyz()?.contains("is empty"));
    fs::remove_file(mounted.shop.agent.config())?;
    mounted.wait_for("refused", 3.0)?;
    assert!(mounted.readyz()?.contains("cannot read"));
    mounted.asks()?;
    assert_eq!(mounted.route()?, "/checkout/{order}");
    mounted.shop.agent.write_config(json!({"routes": {"templates": ["/checkout/{order}"]}}))?;
    mounted.wait_for("unchanged", 1.0)?;
    assert_eq!((mounted.readyz()?.as_str(), mounted.metric("weft_config_valid")?), ("ready\n", 1.0));
    Ok(())
}

#[test]
fn what_needs_a_restart_says_so_and_the_rest_is_in_force() -> Result<()> {
    let mut mounted = Mounted::open(json!({}))?;
    mounted
        .swap(json!({"capture": {"ring_bytes": 131072}, "routes": {"templates": ["/checkout/{order}"]}}))?;
    mounted.wait_for("applied", 1.0)?;
    assert!(mounted.readyz()?.contains("needs a restart to take effect: capture.ring_bytes"));
    assert_eq!(mounted.metric("weft_config_restart_needed")?, 1.0);
    mounted.asks()?;
    mounted.wait("exchange with the new route", || Ok(mounted.route()? == "/checkout/{order}"))?;
    mounted.shop.agent.restart()?;
    assert_eq!((mounted.readyz()?.as_str(), mounted.metric("weft_config_restart_needed")?), ("ready\n", 0.0));
    Ok(())
}

#[test]
fn of_many_changes_the_last_one_counts_and_the_same_again_is_none() -> Result<()> {
    let mut mounted = Mounted::open(json!({}))?;
    let template = |number: u32| json!({"routes": {"templates": [format!("/checkout/{{v{number}}}")]}});
    for number in 0..100 {
        mounted.swap(template(number))?;
    }
    mounted.wait_for("applied", 1.0)?;
    mounted.wait("the last route", || {
        mounted.asks()?;
        Ok(mounted.route()? == "/checkout/{v99}")
    })?;
    let applied = mounted.reloads("applied")?;
    mounted.swap(template(99))?;
    mounted.shop.agent.process()?.signal(Signal::SIGHUP)?;
    mounted.wait_for("unchanged", 1.0)?;
    assert_eq!((mounted.reloads("applied")?, mounted.reloads("refused")?), (applied, 0.0));
    Ok(())
}

#[test]
fn ports_are_left_out_and_taken_in_again() -> Result<()> {
    let mut mounted = Mounted::open(json!({}))?;
    let before = mounted.asks()?;
    let port = mounted.shop.gateway.endpoint().port();
    mounted.swap(json!({"capture": {"exclude_ports": [port]}}))?;
    mounted.wait_for("applied", 1.0)?;
    mounted.asks()?;
    mounted.swap(json!({}))?;
    mounted.wait_for("applied", 2.0)?;
    let after = mounted.asks()?;
    // What was left out is in no count, of bytes either.
    mounted.counts_exactly(before + after)
}

#[test]
fn an_agent_that_was_killed_starts_with_what_the_file_says_by_then() -> Result<()> {
    let mut mounted = Mounted::open(json!({}))?;
    mounted.swap(json!({"routes": {"templates": ["/checkout/{first}"]}}))?;
    mounted.shop.agent.kill()?;
    mounted.swap(json!({"routes": {"templates": ["/checkout/{second}"]}}))?;
    mounted.shop.agent.restart()?;
    mounted.asks()?;
    mounted.wait("the file's route", || Ok(mounted.route()? == "/checkout/{second}"))?;
    mounted.swap(json!({"routes": {"templates": ["/checkout/{third}"]}}))?;
    mounted.wait_for("applied", 1.0)?;
    mounted.asks()?;
    mounted.wait("the swapped route", || Ok(mounted.route()? == "/checkout/{third}"))
}

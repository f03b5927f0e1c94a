//! Everything together, once: pods of a real CNI chain, services in them, and weft, which tells what goroutine read each request.

use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use serde_json::{Value, json};
use weft_lab::shop::NAMESPACE;
use weft_lab::{Observed, Shop, tools};

/// An emulated machine is slow.
const PATIENCE: Duration = Duration::from_secs(120);

#[test]
fn requests_are_joined_with_their_goroutines() -> Result<()> {
    let shop = Shop::open(&tools::rust_binaries()?, json!({}))?;
    let pids: Vec<u32> = shop.services.iter().map(|service| service.process.pid()).collect();
    shop.agent.wait_processes(&pids)?;
    let report = shop.run(&shop.load().rate(5).seconds(2).connections(1))?;
    ensure!(report.ok > 0 && report.ok == report.sent, "the load itself failed: {report:?}");
    // As the shop has its services.
    let pods = ["inventory", "orders", "gateway"].map(|pod| format!("{NAMESPACE}/{pod}"));
    let seen = Observed::wait(&shop.agent, PATIENCE, |seen| {
        seen.adds_up() && pods.iter().all(|pod| seen.pod(pod).server == report.ok)
    })?;
    for (pod, pid) in pods.iter().zip(pids) {
        assert_eq!(seen.pod(pod).server, report.ok, "{pod}: {seen:?}\n{}", shop.agent.stderr());
        let exchanges = exchanges(&shop, pod)?;
        eprintln!("{}", exchanges.first().context("no exchange")?);
        let joined = |exchange: &&Value| {
            exchange["app"]["pid"] == pid && exchange["app"]["goid"].as_u64().is_some_and(|goid| goid > 0)
        };
        assert_eq!(exchanges.iter().filter(joined).count() as u64, report.ok, "{exchanges:?}");
    }
    Ok(())
}

/// Those that the pod served.
fn exchanges(shop: &Shop, pod: &str) -> Result<Vec<Value>> {
    let mut lines = shop.agent.json_lines(&format!("/api/v1/exchanges?limit=10000&pod={pod}"))?;
    lines.retain(|exchange| exchange["side"] == "server");
    Ok(lines)
}

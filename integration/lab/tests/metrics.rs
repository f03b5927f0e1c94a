//! What Prometheus makes of the metrics, against what the load generator and the services counted. Needs root, Go and Debian's
//! package of Prometheus.

use anyhow::{Context as _, Result};
use serde_json::json;
use weft_lab::load::Load;
use weft_lab::prometheus::{self, Prometheus};
use weft_lab::{Shop, tools};

const SERVER: &str = "http_server_request_duration_seconds";

#[test]
fn prometheus_counts_what_the_clients_count() -> Result<()> {
    let shop = Shop::open(&tools::rust_binaries()?, json!({"routes": {"templates": ["/status/{code}"]}}))?;
    let prometheus = Prometheus::start(shop.client.lab(), &shop.agent)?;
    let checkout = shop.run(&shop.load().rate(200).seconds(3).connections(8))?;
    let failing = Load::get(shop.inventory.url("/status/503")).rate(50).seconds(1).connections(2);
    let failed = shop.run(&failing)?;
    let (sent, errors) = (checkout.ok as f64, failed.sent as f64);
    assert!(sent > 0.0 && errors > 0.0, "{checkout:?} {failed:?}");
    for (pod, route) in
        [("gateway", "/checkout/{id}"), ("orders", "/orders/{id}"), ("inventory", "/stock/{id}")]
    {
        let own = format!("k8s_pod_name=\"{pod}\",http_route=\"{route}\",http_response_status_code=\"200\"");
        // A native histogram replaces the classic one where both are there.
        prometheus.wait_for(&format!("histogram_count({SERVER}{{{own}}})"), sent)?;
    }
    let own = "k8s_pod_name=\"inventory\",http_route=\"/status/{code}\",error_type=\"503\"";
    prometheus.wait_for(&format!("histogram_count({SERVER}{{{own}}})"), errors)?;
    let median = prometheus.number(&format!(
        "histogram_quantile(0.5, {SERVER}{{k8s_pod_name=\"gateway\",source_pod=\"shop/client\"}})"
    ))?;
    let own = &shop.agent.json("/api/v1/pods")?["pods"];
    let gateway = own.as_array().and_then(|pods| pods.iter().find(|pod| pod["name"] == "gateway"));
    let expected =
        gateway.and_then(|pod| pod["server"]["latency"]["p50_ns"].as_f64()).context("no median")? / 1e9;
    let median = median.context("Prometheus has no median")?;
    // A bucket of scale 4 is 4.4 % wide.
    assert!((median / expected - 1.0).abs() < 0.045, "{median} {expected}");
    prometheus.wait_for("count(target_info)", 1.0)?;
    Ok(())
}

#[test]
fn promtool_finds_nothing_wrong_and_exemplars_lead_to_traces() -> Result<()> {
    let shop = Shop::open(&tools::rust_binaries()?, json!({}))?;
    let prometheus = Prometheus::start(shop.client.lab(), &shop.agent)?;
    let sent = shop.run(&shop.load().rate(50).seconds(2).connections(4))?.ok as f64;
    prometheus.wait_for(&format!("histogram_count({SERVER}{{k8s_pod_name=\"gateway\"}})"), sent)?;
    // The name is the semantic conventions', where promtool would have another.
    let said = prometheus::check(&shop.agent.get("/metrics")?.body)?;
    let wrong = said.lines().filter(|line| !line.starts_with("go_goroutine_count non-histogram"));
    assert_eq!(wrong.collect::<Vec<_>>(), Vec::<&str>::new());
    let exemplars = prometheus.exemplars(&format!("{SERVER}{{k8s_pod_name=\"gateway\"}}"))?;
    let known = shop.agent.json_lines("/api/v1/exchanges?limit=10000&pod=shop/gateway")?;
    let led = exemplars.iter().filter(|exemplar| {
        known.iter().any(|exchange| {
            exchange["trace_id"] == exemplar["labels"]["trace_id"]
                && exchange["span_id"] == exemplar["labels"]["span_id"]
        })
    });
    assert!(!exemplars.is_empty() && led.count() == exemplars.len(), "{exemplars:?}");
    Ok(())
}

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

/// What is asked is what Istio's dashboards ask (manifests/addons/dashboards of istio/istio: istio-service, istio-workload and
/// queries.libsonnet) and Beyla's (ops/beyla-mixin/dashboards/application.json), their rates as what they are rates of: the
/// numbers can be compared then. No cluster tells of workloads here, and hosts are addresses.
#[test]
fn dashboards_of_istio_and_beyla_count_what_the_clients_count() -> Result<()> {
    let profiles = json!({"metrics": {"profiles": ["otel", "istio", "beyla"]}});
    let shop = Shop::open(&tools::rust_binaries()?, profiles)?;
    let prometheus = Prometheus::start(shop.client.lab(), &shop.agent)?;
    let checkout = shop.run(&shop.load().rate(200).seconds(3).connections(8))?;
    let failing = Load::get(shop.inventory.url("/status/503")).rate(50).seconds(1).connections(2);
    let failed = shop.run(&failing)?;
    let (sent, errors) = (checkout.ok as f64, failed.sent as f64);
    assert!(sent > 0.0 && errors > 0.0, "{checkout:?} {failed:?}");
    for pod in [&shop.gateway, &shop.orders, &shop.inventory] {
        let service = format!("destination_service=~\"{}\"", pod.ipv4());
        for reporter in ["source", "destination"] {
            let of = format!("reporter=~\"{reporter}\",{service}");
            let ok = format!("istio_requests_total{{{of},response_code!~\"5.*\"}}");
            prometheus.wait_for(&format!("sum({ok})"), sent)?;
            let all = if pod.name() == "inventory" { sent + errors } else { sent };
            let share = format!("sum({ok}) / (sum(istio_requests_total{{{of}}}) or on () vector(1))");
            prometheus.wait_for(&share, sent / all)?;
            let slowest = format!("istio_request_duration_milliseconds_bucket{{{of},le=\"+Inf\"}}");
            prometheus.wait_for(&format!("sum({slowest})"), all)?;
            prometheus.wait_for(&format!("sum(istio_response_bytes_count{{{of}}})"), all)?;
        }
    }
    istio_has_the_median(&shop, &prometheus)?;
    beyla_has_services(&prometheus, sent, errors)
}

/// Within the bucket that the pod's own median is in.
fn istio_has_the_median(shop: &Shop, prometheus: &Prometheus) -> Result<()> {
    let of = "reporter=\"destination\",destination_workload_namespace=\"shop\",k8s_pod_name=\"gateway\"";
    let buckets = format!("istio_request_duration_milliseconds_bucket{{{of}}}");
    let median = prometheus.number(&format!("histogram_quantile(0.50, sum({buckets}) by (le))"))?;
    let median = median.context("Istio's dashboard has no median")?;
    let own = &shop.agent.json("/api/v1/pods")?["pods"];
    let gateway = own.as_array().and_then(|pods| pods.iter().find(|pod| pod["name"] == "gateway"));
    let expected =
        gateway.and_then(|pod| pod["server"]["latency"]["p50_ns"].as_f64()).context("no median")? / 1e6;
    let bounds = [0.0, 0.5, 1.0, 5.0, 10.0, 25.0, 50.0, 100.0, 250.0, 500.0, 1000.0, 2500.0];
    let within = bounds.windows(2).find(|bucket| bucket[0] < expected && expected <= bucket[1]);
    let within = within.context("a slow gateway")?;
    assert!(within[0] <= median && median <= within[1], "{median} {expected}");
    Ok(())
}

/// `job` and `instance` are the scraped series' own, which this Prometheus does not honour.
fn beyla_has_services(prometheus: &Prometheus, sent: f64, errors: f64) -> Result<()> {
    let of = |service: &str| {
        format!(
            "service_name=\"{service}\",exported_instance=~\"shop.{service}\",exported_job=~\"shop/{service}\""
        )
    };
    for (service, count) in [("gateway", sent), ("orders", sent), ("inventory", sent + errors)] {
        for family in ["request_duration_seconds", "request_body_size_bytes", "response_body_size_bytes"] {
            let series = format!("{{__name__=~\"http_server_{family}(_count)?\",{}}}", of(service));
            // Durations are native histograms here, sizes are classic ones.
            let counted = format!("sum(histogram_count({series})) or sum({series})");
            prometheus.wait_for(&counted, count)?;
        }
    }
    let server = format!("{SERVER}{{{},http_response_status_code=~\"5.*\"}}", of("inventory"));
    prometheus.wait_for(&format!("sum(histogram_count({server}))"), errors)?;
    let client = format!("http_client_request_duration_seconds{{{}}}", of("gateway"));
    prometheus.wait_for(&format!("sum(histogram_count({client}))"), sent)?;
    // The agent, and four pods.
    prometheus.wait_for("count(target_info)", 5.0)?;
    prometheus.wait_for("count(traces_target_info{service_namespace=\"shop\"})", 4.0)
}

/// All names at once: nothing is there twice, and nothing is wrong but that Istio's unit is the millisecond.
#[test]
fn promtool_reads_the_names_of_all() -> Result<()> {
    let profiles = json!({"metrics": {"profiles": ["otel", "istio", "beyla"]}});
    let shop = Shop::open(&tools::rust_binaries()?, profiles)?;
    let sent = shop.run(&shop.load().rate(50).seconds(1).connections(4))?.ok;
    let prometheus = Prometheus::start(shop.client.lab(), &shop.agent)?;
    prometheus.wait_for(
        "sum(istio_requests_total{k8s_pod_name=\"gateway\",reporter=\"destination\"})",
        sent as f64,
    )?;
    let said = prometheus::check(&shop.agent.get("/metrics")?.body)?;
    let known = ["go_goroutine_count non-histogram", "istio_request_duration_milliseconds use base unit"];
    let wrong = said.lines().filter(|line| !known.iter().any(|known| line.starts_with(known)));
    assert_eq!(wrong.collect::<Vec<_>>(), Vec::<&str>::new());
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

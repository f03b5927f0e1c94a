use weft_core::{SpanId, TraceId};

use super::*;

/// Two durations, 2 ms and 30 ms, and what one of them was.
fn page(format: Format) -> Vec<u8> {
    let mut written = Vec::new();
    let mut out = |piece: &[u8]| written.extend_from_slice(piece);
    let mut scrape = Scrape::new(format, &mut out);
    let mut page = Page::new(&mut scrape);
    let metric = |name, unit, help, kind| Metric { name, unit, help, kind };
    page.family(&metric("weft.events.lost", Unit::Count, "Records lost", Kind::Counter))
        .value(&Point::own(&[("reason", "a\"b\\c\nd")]), 3);
    page.family(&metric("weft.go.processes", Unit::Count, "Go processes", Kind::Gauge))
        .value(&Point::default(), 2);
    let exemplar = Exemplar {
        trace_id: TraceId(0x0102),
        span_id: SpanId(0x03),
        duration_ns: 30_000_000,
        time_ns: 1_500_000_000,
    };
    page.family(&metric("took", Unit::Seconds, "How long", Kind::Histogram)).distribution(
        &Point::own(&[("pod.name", "a")]),
        &Distribution {
            count: 2,
            sum: 0.032,
            buckets: &[(0.005, 1), (1.0, 2)],
            exponential: Some(Exponential { scale: 4, zero_count: 0, offset: -144, counts: &[1, 0, 1] }),
            exemplar: Some(&exemplar),
        },
    );
    page.family(&metric("target", Unit::Count, "What this is", Kind::Info))
        .value(&Point::own(&[("service.name", "weft")]), 1);
    scrape.finish();
    written
}

#[test]
fn text() {
    let expected = "\
# HELP weft_events_lost_total Records lost
# TYPE weft_events_lost_total counter
weft_events_lost_total{reason=\"a\\\"b\\\\c\\nd\"} 3
# HELP weft_go_processes Go processes
# TYPE weft_go_processes gauge
weft_go_processes 2
# HELP took_seconds How long
# TYPE took_seconds histogram
took_seconds_bucket{pod_name=\"a\",le=\"0.005\"} 1
took_seconds_bucket{pod_name=\"a\",le=\"1.0\"} 2
took_seconds_bucket{pod_name=\"a\",le=\"+Inf\"} 2
took_seconds_sum{pod_name=\"a\"} 0.032
took_seconds_count{pod_name=\"a\"} 2
# HELP target_info What this is
# TYPE target_info gauge
target_info{service_name=\"weft\"} 1
";
    assert_eq!(String::from_utf8(page(Format::Text)).unwrap(), expected);
}

#[test]
fn openmetrics() {
    let page = String::from_utf8(page(Format::OpenMetrics)).unwrap();
    for line in [
        "# TYPE weft_events_lost counter",
        "weft_events_lost_total{reason=\"a\\\"b\\\\c\\nd\"} 3",
        "took_seconds_bucket{pod_name=\"a\",le=\"1.0\"} 2 # {trace_id=\"00000000000000000000000000000102\",span_id=\"0000000000000003\"} 0.03 1.500",
        "# TYPE target info",
        "target_info{service_name=\"weft\"} 1",
    ] {
        assert!(page.lines().any(|found| found == line), "{line}\n{page}");
    }
    assert!(page.ends_with("# EOF\n"));
}

#[test]
fn a_gauge_can_be_below_0() {
    let page = |format| {
        let mut written = Vec::new();
        let mut out = |piece: &[u8]| written.extend_from_slice(piece);
        let mut scrape = Scrape::new(format, &mut out);
        let metric = Metric { name: "depth", unit: Unit::Count, help: "Depth", kind: Kind::Gauge };
        Page::new(&mut scrape).family(&metric).signed(&Point::default(), -5);
        scrape.finish();
        written
    };
    assert!(page(Format::Text).ends_with(b"\ndepth -5\n"));
    // `Metric.gauge`, `Gauge.value`.
    let gauge = [&[0x12, 9, 0x09][..], &(-5.0_f64).to_le_bytes()].concat();
    assert!(page(Format::Protobuf).ends_with(&gauge));
}

#[test]
fn what_is_asked_for_is_given() {
    let prometheus = "application/vnd.google.protobuf;proto=io.prometheus.client.MetricFamily;encoding=delimited;q=0.6,\
                      application/openmetrics-text;version=1.0.0;q=0.5,text/plain;version=0.0.4;q=0.2,*/*;q=0.1";
    for (accept, expected) in [
        ("", Format::Text),
        ("*/*", Format::Text),
        ("text/html", Format::Text),
        ("application/openmetrics-text", Format::OpenMetrics),
        ("application/openmetrics-text;q=0.1,text/plain", Format::Text),
        ("application/openmetrics-text; version=1.0.0; q=0", Format::Text),
        ("application/vnd.google.protobuf", Format::Text),
        (prometheus, Format::Protobuf),
        ("application/openmetrics-text;q=x", Format::Text),
    ] {
        assert_eq!(Format::negotiate(accept), expected, "{accept}");
    }
}

#[test]
fn protobuf_has_each_family_behind_its_length() {
    let mut page = &page(Format::Protobuf)[..];
    let mut lengths = Vec::new();
    while !page.is_empty() {
        let length = prost::encoding::decode_varint(&mut page).unwrap() as usize;
        lengths.push(length);
        page = &page[length..];
    }
    assert_eq!(lengths.len(), 4);
}

/// As a registry adds them: a rest behind each pod.
#[test]
fn a_long_page_is_handed_on_piece_by_piece() {
    let mut pieces = Vec::new();
    let mut out = |piece: &[u8]| pieces.push(String::from_utf8(piece.to_vec()).unwrap());
    let mut scrape = Scrape::new(Format::OpenMetrics, &mut out);
    let metric = Metric { name: "took", unit: Unit::Count, help: "Much", kind: Kind::Gauge };
    let mut page = Page::new(&mut scrape);
    let mut family = page.family(&metric);
    for number in 0..10_000 {
        family.value(&Point::own(&[("number", &format!("{number:05}"))]), number);
        family.rest();
    }
    drop(family);
    scrape.finish();
    let longest = pieces.iter().map(String::len).max().unwrap();
    assert!(pieces.len() > 3 && longest < 70_000, "{} pieces, the longest of {longest}", pieces.len());
    let lines: Vec<_> = pieces.concat().lines().skip(2).map(str::to_owned).collect();
    assert_eq!(lines.len(), 10_001);
    assert_eq!(lines[9_999], "took{number=\"09999\"} 9999");
    assert_eq!(lines[10_000], "# EOF");
}

//! Heads of HTTP/1 that are longer than may be buffered: exchanges like any other.
use std::sync::Arc;

use proptest::prelude::*;

use super::{Bench, Notes, Talk, Wire, redaction, response, run};
use crate::{Anomaly, Config, Exchange, Side};

/// A request and a response with a head of this many bytes more than what matters of it.
fn exchange(talk: &mut Talk, segment: usize, more: usize) {
    let filler = "c=value; ".repeat(more.div_ceil(9));
    let fields = format!("X-First: y\r\nCookie: {filler}\r\nContent-Length: 4\r\n");
    talk.client_in(segment, format!("POST /a HTTP/1.1\r\nHost: shop\r\n{fields}\r\nabcd"));
    let fields = format!("Set-Cookie: {filler}\r\nTransfer-Encoding: chunked\r\nX-Last: z\r\n");
    talk.server_in(segment, format!("HTTP/1.1 200 OK\r\n{fields}\r\n2\r\nhi\r\n0\r\n\r\n"));
}

#[test]
fn a_long_head_is_a_head() {
    for side in [Side::Client, Side::Server] {
        for (segment, more) in
            [(1_000_000, 9000), (1448, 12_000), (16_384, 40_000), (8192, 200_000), (7, 9000)]
        {
            let mut talk = Talk::new(side);
            exchange(&mut talk, segment, more);
            talk.client("GET /b HTTP/1.1\r\n\r\n").server(response(200, "more")).client_fin().server_fin();
            let bench = run(&talk.records);
            assert_eq!(bench.lines(), ["POST /a 200 4/2 [header_too_large]", "GET /b 200 0/4"]);
            assert_eq!(bench.notes.exchanges[0].exchange.authority.as_deref(), Some("shop"));
            assert_eq!(bench.counted(Anomaly::HeaderTooLarge), 2);
            assert_eq!((bench.total().opaque, bench.counted(Anomaly::Gap)), (0, 0));
        }
    }
}

#[test]
fn a_long_target_is_a_target() {
    let query = "q".repeat(20_000);
    let mut talk = Talk::new(Side::Server);
    talk.client_in(1448, format!("GET /a?{query} HTTP/1.1\r\n\r\n")).server(response(200, "hi"));
    assert_eq!(run(&talk.records).lines(), ["GET /a 200 0/2 [header_too_large]"]);
}

/// Each line once among others that make the head long: it says what it says in a short one.
#[test]
fn what_matters_is_found_anywhere_in_it() {
    let filler = "X-Filler: 0123456789\r\n".repeat(500);
    for (lines, line) in [
        ("Content-Length: 3\r\n", "POST /a 200 3/0 [header_too_large]"),
        ("cOntent-lengtH:3\r\n", "POST /a 200 3/0 [header_too_large]"),
        ("Content-Length:\r\n 3\r\n", "POST /a 200 3/0 [header_too_large]"),
        ("X: y\r\n Content-Length: 9\r\nContent-Length: 3\r\n", "POST /a 200 3/0 [header_too_large]"),
        ("Transfer-Encoding: gzip,\r\n\tchunked\r\n", "POST /a 200 0/0 [header_too_large]"),
        ("no field\r\nContent-Length: 3\r\n", "POST /a 200 3/0 [header_too_large,malformed_field]"),
        ("X: \0\r\n \0\r\nContent-Length: 3\r\n", "POST /a 200 3/0 [header_too_large,malformed_field]"),
        ("Content-Length: 3\r\nX: y\r\n \0 4\r\n", "POST /a 200 3/0 [header_too_large,malformed_field]"),
    ] {
        let body = if lines.contains("chunked") { "0\r\n\r\n" } else { "abc" };
        for head in [[lines, &filler], [&filler, lines]] {
            let mut talk = Talk::new(Side::Server);
            talk.client_in(1448, format!("POST /a HTTP/1.1\r\n{}\r\n{body}", head.concat()));
            talk.server(response(200, ""));
            talk.client_fin().server_fin();
            let mut bench = Bench::new(Config::default());
            bench.records(&talk.records);
            bench.finish();
            assert_eq!(bench.lines(), [line], "{lines:?}");
        }
    }
}

/// For somebody such a line may hide another one: where the message ends nobody can tell.
#[test]
fn a_long_line_that_may_hide_another_is_no_line() {
    let long = "y".repeat(9000);
    for line in [format!("X: {long}\rContent-Length: 3"), format!("X: \0{long}"), format!("{long}: z")] {
        let mut talk = Talk::new(Side::Server);
        talk.client_in(1448, format!("POST /a HTTP/1.1\r\n{line}\r\n\r\nabc")).server(response(400, ""));
        talk.client("GET /b HTTP/1.1\r\n\r\n").server(response(200, ""));
        let bench = run(&talk.records);
        assert_eq!(bench.lines(), ["GET /b 200 0/0 [gap]"]);
    }
}

#[test]
fn bytes_that_are_missing_in_a_long_head_are_a_gap() {
    let mut talk = Talk::new(Side::Server);
    let head = format!("GET /a HTTP/1.1\r\nCookie: {}\r\n\r\n", "c".repeat(20_000));
    for (index, part) in head.as_bytes().chunks(1448).enumerate() {
        talk.client(part);
        if index == 9 {
            talk.lost();
        }
    }
    talk.server(response(200, "")).client("GET /b HTTP/1.1\r\n\r\n").server(response(200, ""));
    let bench = run(&talk.records);
    assert_eq!(bench.lines(), ["GET /b 200 0/0 [gap]"]);
    assert_eq!(bench.counted(Anomaly::Gap), 1);
}

#[test]
fn a_head_without_end_is_bounded() {
    let mut most = 0;
    for line in ["X: y\r\n", "Content-Length: 1\r\n", "Host: a", "no field\r\n", " fold\r\n", "x", "\0"] {
        let mut talk = Talk::new(Side::Server);
        talk.client("GET /a HTTP/1.1\r\n").client_in(1448, line.repeat((4 << 20) / line.len()));
        let mut wire = Wire::new(Arc::new(Config::default()));
        let mut notes = Notes::default();
        for record in &talk.records {
            wire.record(record, &mut notes);
            let held = wire.tables().iter().find(|table| table.name == "partial_head_bytes").unwrap().entries;
            most = most.max(held);
        }
        assert_eq!(wire.anomalies()[Anomaly::HeaderTooLarge as usize], 1, "{line:?}");
    }
    assert!((60_000..=(64 << 10) + 1448).contains(&most), "{most}");
}

#[test]
fn many_long_heads_leave_room_for_others() {
    let mut bench = Bench::new(Config::default());
    for port in 2..602 {
        let mut talk = Talk::from_port(Side::Server, port);
        talk.client("GET /a HTTP/1.1\r\n").client_in(16_000, "Host: a\r\n".repeat(7000));
        talk.records.iter().for_each(|record| bench.wire.record(record, &mut bench.notes));
    }
    let heads = bench.wire.tables().into_iter().find(|table| table.name == "partial_head_bytes").unwrap();
    let half = heads.limit / 2;
    assert!((half - (128 << 10)..half + (64 << 10)).contains(&heads.entries), "{heads:?}");
    let mut good = Talk::from_port(Side::Server, 1);
    exchange(&mut good, 1448, 40_000);
    bench.records(&good.records);
    bench.finish();
    assert!(bench.lines().contains(&"POST /a 200 4/2 [header_too_large]".to_owned()));
}

#[test]
fn nothing_of_a_long_head_is_shown_but_what_may_be() {
    let secret = "hunter2-s3cr3t-".repeat(1000);
    let mut talk = Talk::new(Side::Server);
    let fields = format!("X: {secret}\r\nCookie: {secret}\r\n {secret}\r\nY: kept\r\nContent-Length: 2\r\n");
    talk.client_in(1000, format!("PUT /a?{secret} HTTP/1.1\r\nHost: shop\r\n{fields}\r\nhi"));
    talk.server(response(200, "")).client_fin().server_fin();
    let redacted = redaction::assert_same(&talk.records);
    let all: Vec<u8> =
        redacted.iter().flat_map(|record| record.get(96..).unwrap_or_default()).copied().collect();
    let shows = |text: &[u8]| all.windows(text.len()).any(|window| window == text);
    assert!(!shows(b"hunter2") && !shows(b"s3cr3t"));
    assert!(
        shows(b"PUT /a?***")
            && shows(b"Host: shop\r\nX:")
            && shows(b"\r\nY: kept\r\nContent-Length: 2\r\n\r\n")
    );
}

/// Some line of a head.
fn line() -> impl Strategy<Value = String> {
    prop_oneof![
        (0..400_usize).prop_map(|len| format!("X-Any: {}", "v".repeat(len))),
        (0..400_usize).prop_map(|len| format!(" {}", "f".repeat(len))),
        prop::sample::select(vec![
            "Host: shop",
            "Host:",
            "content-length: 3",
            "Upgrade: h2c",
            "X-Y:z",
            "no field",
            "X: \0",
            "X : y"
        ])
        .prop_map(str::to_owned),
        prop::sample::select(vec![
            "Transfer-Encoding: chunked",
            "Content-Length:\r\n 3",
            "X: y\r\n z\r\n\t w",
            "\tx: \0",
            "Content Length: 4"
        ])
        .prop_map(str::to_owned),
    ]
}

fn of_limit(talk: &Talk, limit: usize) -> Vec<Exchange> {
    let mut bench = Bench::new(Config { max_header_bytes: limit, ..Config::default() });
    bench.records(&talk.records);
    bench.finish();
    let exchanges = bench.notes.exchanges.into_iter().map(|joined| joined.exchange);
    exchanges.filter(|exchange| !exchange.protocol.is_connection()).collect()
}

proptest! {
    /// However little may be buffered, the exchanges are the same, but for what they say of that.
    #[test]
    fn a_long_head_says_what_a_short_one_says(
        lines in prop::collection::vec(line(), 1..12),
        answer in prop::collection::vec(line(), 1..12),
        segment in 1..700_usize,
        bare_lf in any::<bool>(),
    ) {
        let end = if bare_lf { "\n" } else { "\r\n" };
        let head = |start: &str, lines: &[String]| [&[start.to_owned()], lines, &[String::new(), "0\r\n\r\n".into()]].concat().join(end);
        let mut talk = Talk::new(Side::Server);
        talk.client_in(segment, head("POST /a HTTP/1.1", &lines));
        talk.server_in(segment, head("HTTP/1.1 200 OK", &answer)).client_fin().server_fin();
        let whole = of_limit(&talk, 64 << 10);
        let mut parts = of_limit(&talk, 256);
        for (part, whole) in parts.iter_mut().zip(&whole) {
            let long = part.anomalies.contains(Anomaly::HeaderTooLarge);
            part.anomalies = whole.anomalies;
            prop_assert!(long || whole.request.bytes < 1000);
        }
        prop_assert_eq!(format!("{parts:?}"), format!("{whole:?}"));
    }
}

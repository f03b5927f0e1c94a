//! Whatever the network sends, it is counted, bounded, and harms nobody else.
use super::{Bench, Talk, response, run};
use crate::{Anomaly, Config, Side};

/// A good connection beside what `attack` does: it must come through whole.
fn beside(attack: impl FnOnce(&mut Bench)) -> Bench {
    let mut bench = Bench::new(Config::default());
    let mut good = Talk::from_port(Side::Server, 1);
    good.client("POST /good HTTP/1.1\r\nContent-Length: 4\r\n\r\nab");
    bench.records(&good.records);
    attack(&mut bench);
    good.records.clear();
    good.client("cd").server(response(200, "hi"));
    bench.records(&good.records);
    bench.finish();
    assert!(
        bench.lines().contains(&"POST /good 200 4/2".to_owned()),
        "/good is not among {}",
        bench.lines().len()
    );
    bench
}

/// One connection that sends these, a segment each.
fn client_sends(parts: &[&[u8]]) -> Bench {
    let mut talk = Talk::new(Side::Server);
    parts.iter().for_each(|part| {
        talk.client(part);
    });
    talk.client_fin().server_fin();
    beside(|bench| bench.records(&talk.records))
}

#[test]
fn garbage() {
    let noise: Vec<u8> = (0..5000_u32).map(|index| (index.wrapping_mul(2_654_435_761) >> 13) as u8).collect();
    let bench = client_sends(&[&noise, &noise]);
    assert_eq!(bench.lines(), ["tcp 10000/0", "POST /good 200 4/2"]);
    assert_eq!(bench.total().opaque, 10_000);
    assert_eq!(bench.wire.stats().flows_tcp, 1);
}

#[test]
fn garbage_that_an_http_server_answers() {
    let mut talk = Talk::new(Side::Server);
    talk.client(b"\x00\x01\x02garbage").server(response(400, "")).client_fin().server_fin();
    let bench = beside(|bench| bench.records(&talk.records));
    assert_eq!((bench.notes.exchanges.len(), bench.counted(Anomaly::Garbage)), (2, 1));
}

#[test]
fn garbage_behind_a_good_request() {
    let bench = client_sends(&[b"GET /a HTTP/1.1\r\n\r\n", b"\x00\x01\x02", b"more"]);
    assert_eq!(bench.counted(Anomaly::Garbage), 1);
    assert_eq!(bench.total().opaque, 7);
}

#[test]
fn a_head_that_is_almost_one() {
    for head in ["GET /a HTTP/1.2.1\r\n\r\n", "GET /a HTTP/1.\r\n\r\n"] {
        let bench = client_sends(&[head.as_bytes()]);
        assert_eq!((bench.counted(Anomaly::Garbage), bench.notes.exchanges.len()), (1, 1), "{head:?}");
    }
}

/// Servers answer these, with 200 or 400: requests all the same.
#[test]
fn fields_that_are_none_are_skipped() {
    for (head, line) in [
        ("GET /a HTTP/1.1\r\nno colon\r\n\r\n", "GET /a 400 0/0 [malformed_field]"),
        ("GET /a HTTP/1.1\r\n: no name\r\n\r\n", "GET /a 400 0/0 [malformed_field]"),
        ("GET /a HTTP/1.1\r\nA: \0\r\n\r\n", "GET /a 400 0/0 [malformed_field]"),
        ("GET \t/a HTTP/1.1 \r\n\r\n", "GET /a 400 0/0"),
        ("\r\n\r\n\nGET /a HTTP/1.1\r\n\r\n", "GET /a 400 0/0"),
    ] {
        let mut talk = Talk::new(Side::Server);
        talk.client(head).server(response(400, "")).client_fin().server_fin();
        let bench = beside(|bench| bench.records(&talk.records));
        assert!(bench.lines().contains(&line.to_owned()), "{head:?} {:?}", bench.lines());
        assert_eq!(bench.counted(Anomaly::Garbage), 0, "{head:?}");
    }
}

#[test]
fn half_a_request() {
    let bench = client_sends(&[b"GET /a HTTP/1.1\r\nHost"]);
    assert_eq!((bench.notes.exchanges.len(), bench.total().opaque), (1, 21));
    assert_eq!(bench.counted(Anomaly::Truncated), 1);
}

#[test]
fn a_header_line_of_one_mebibyte() {
    let line = vec![b'a'; 1 << 20];
    let mut parts: Vec<&[u8]> = vec![b"GET /a HTTP/1.1\r\nX: "];
    parts.extend(line.chunks(1448));
    let bench = client_sends(&parts);
    assert_eq!(bench.counted(Anomaly::HeaderTooLarge), 1);
    assert_eq!(bench.notes.exchanges.len(), 1);
}

#[test]
fn chunk_sizes_that_are_none() {
    for size in ["", "x", "-1", "fffffffffffffffff", "1 0 ;\x00\r", "\n"] {
        let request = format!("POST /a HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n{size}\r\n");
        let bench = client_sends(&[request.as_bytes(), b"GET /fake HTTP/1.1\r\n\r\n"]);
        assert!(bench.lines().iter().all(|line| !line.contains("/fake")), "{size:?} {:?}", bench.lines());
    }
}

#[test]
fn endless_trailers() {
    let mut talk = Talk::new(Side::Server);
    talk.client("POST /a HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n");
    talk.client_in(1000, "T: x\r\n".repeat(20_000));
    let bench = beside(|bench| bench.records(&talk.records));
    assert_eq!(bench.counted(Anomaly::Garbage), 1);
}

#[test]
fn more_requests_than_may_wait() {
    let mut talk = Talk::new(Side::Server);
    for index in 0..3000 {
        talk.client(format!("GET /{index} HTTP/1.1\r\n\r\n"));
    }
    talk.server(response(200, ""));
    let bench = beside(|bench| bench.records(&talk.records));
    assert_eq!(bench.counted(Anomaly::TooManyPending), 1);
    assert_eq!(bench.notes.exchanges.iter().filter(|joined| joined.exchange.complete).count(), 2);
}

#[test]
fn large_requests_without_answers_are_bounded_together() {
    let path = "p".repeat(8000);
    beside(|bench| {
        for port in 2..40 {
            let mut talk = Talk::from_port(Side::Server, port);
            for _ in 0..900 {
                talk.client(format!("GET /{path} HTTP/1.1\r\n\r\n"));
            }
            talk.records.iter().for_each(|record| bench.wire.record(record, &mut bench.notes));
        }
        bench.check_accounts();
        let tables = bench.wire.tables();
        let open = tables.iter().find(|table| table.name == "open_request_bytes").unwrap();
        assert!(open.entries <= open.limit && open.evicted > 0, "{open:?}");
        bench.notes.exchanges.clear();
        for port in 2..40 {
            let mut talk = Talk::from_port(Side::Server, port);
            talk.server_reset();
            bench.wire.record(talk.records.last().unwrap(), &mut bench.notes);
        }
    });
}

#[test]
fn records_that_are_none() {
    let mut talk = Talk::new(Side::Server);
    talk.client("GET /a HTTP/1.1\r\n\r\n").pod_read(19).sock_event(1);
    let mut bench = Bench::new(Config::default());
    let mut malformed = 0;
    for record in &talk.records {
        for cut in 0..record.len() {
            bench.records([&record[..cut].to_vec()]);
            malformed += 1;
        }
    }
    // A record cut behind its structure is whole only if it carries no payload.
    assert_eq!(bench.wire.stats().malformed, malformed);
    let mut odd = talk.records[2].clone();
    for byte in 0..96 {
        for value in [0, 1, 0x7f, 0x80, 0xff] {
            let before = std::mem::replace(&mut odd[byte], value);
            bench.records([&odd]);
            odd[byte] = before;
        }
    }
    bench.finish();
}

#[test]
fn a_million_segments_of_one_byte() {
    let mut talk = Talk::new(Side::Server);
    talk.client("POST /a HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n");
    let mut bench = Bench::new(Config::default());
    bench.records(&talk.records);
    let body = format!("{}\r\n", "1;ext=value\r\nx\r\n".repeat(60_000));
    for byte in body.as_bytes() {
        talk.records.clear();
        talk.client([*byte]);
        bench.wire.record(&talk.records[0], &mut bench.notes);
    }
    bench.check_accounts();
    assert_eq!(bench.total().pending, 0);
    bench.finish();
    assert_eq!(bench.notes.exchanges.len(), 1);
}

#[test]
fn one_byte_segments_behind_a_gap_are_bounded() {
    let mut talk = Talk::new(Side::Server);
    talk.client("GET").lost();
    let mut config = Config::default();
    config.limits.out_of_order_bytes = 256 * 1024;
    let mut bench = Bench::new(config);
    bench.records(&talk.records);
    let mut most = 0;
    for _ in 0..200_000 {
        talk.records.clear();
        talk.client("x");
        bench.wire.record(&talk.records[0], &mut bench.notes);
        most = most.max(bench.total().pending);
    }
    assert!((2000..4096).contains(&most), "a byte costs its place, too: {most}");
    bench.finish();
}

#[test]
fn a_spoofed_reset_far_away_ends_nothing() {
    let mut talk = Talk::new(Side::Server);
    talk.client("GET /a HTTP/1.1\r\n\r\n");
    let next = talk.next;
    talk.next[1] = next[1].wrapping_add(1 << 30);
    talk.server_reset();
    talk.next = next;
    talk.server(response(200, "hi"));
    assert_eq!(run(&talk.records).lines(), ["GET /a 200 0/2"]);
}

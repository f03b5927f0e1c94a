//! What waits behind a gap: how much of it, for how long, and what becomes of the gap.
use super::{Bench, Talk, response, run};
use crate::{Anomaly, Config, Limits, Side};

const REQUEST: &str = "POST /a HTTP/1.1\r\nHost: h\r\nContent-Length: 10\r\n\r\n0123456789";

#[test]
fn what_waits_behind_a_gap_is_bounded() {
    let mut talk = Talk::new(Side::Server);
    talk.client(&REQUEST[..20]).lost();
    for _ in 0..1000 {
        talk.client([b'x'; 1000]);
    }
    let mut config = Config::default();
    config.limits.out_of_order_bytes = 256 * 1024;
    let mut bench = Bench::new(config);
    for record in &talk.records {
        bench.records([record]);
        assert!(bench.total().pending <= 256 * 1024);
    }
    assert_eq!((bench.total().gap, bench.counted(Anomaly::Gap)), (0, 1));
    bench.finish();
}

/// Connections that are over leave the queue when their time comes; too many of them make others' gaps end early.
#[test]
fn gaps_wait_in_a_bounded_queue() {
    let mut config = Config::default();
    config.limits.flows = 8;
    let mut bench = Bench::new(config);
    let mut good = Talk::from_port(Side::Server, 1);
    good.client(&REQUEST[..20]).client(&REQUEST[20..]).swapped();
    let late = good.records.pop().unwrap();
    bench.records(&good.records);
    let queue =
        |bench: &Bench| bench.wire.tables().into_iter().find(|table| table.name == "gap_queue").unwrap();
    for port in 2..102 {
        let mut talk = Talk::from_port(Side::Server, port);
        talk.client("GET /").lost().client("a HTTP/1.1\r\n\r\n").server_reset();
        bench.records(&talk.records);
        assert!(queue(&bench).entries <= 8);
    }
    assert_eq!((queue(&bench).entries, queue(&bench).evicted), (8, 93));
    bench.records([&late]);
    assert_eq!((bench.total().duplicate, bench.counted(Anomaly::Gap)), (20, 101), "its gap was given up");
    bench.tick(good.now + 2 * Limits::default().gap_timeout);
    assert_eq!(queue(&bench).entries, 0);
    bench.finish();
}

#[test]
fn bytes_that_come_after_they_were_given_up_are_duplicate_and_not_lost() {
    let mut talk = Talk::new(Side::Server);
    talk.client(&REQUEST[..20]).client(&REQUEST[20..]).swapped();
    let late = talk.records.pop().unwrap();
    let mut bench = Bench::new(Config::default());
    bench.records(&talk.records);
    bench.tick(talk.now + Limits::default().gap_timeout);
    bench.records([&late]);
    assert_eq!((bench.total().gap, bench.total().duplicate), (0, 20));
    bench.finish();
    assert!(bench.lines().is_empty());
}

/// The client's end arrives, what it sent before was lost on its way to the vantage, and nobody asks for it any more.
#[test]
fn bytes_that_never_passed_are_not_lost() {
    let mut talk = Talk::new(Side::Server);
    talk.client("GET /a HTTP/1.1\r\n\r\n").server(response(200, ""));
    talk.client("GET /b HTTP/1.1\r\n\r\n").lost().client_fin();
    let bench = run(&talk.records);
    assert_eq!((bench.total().gap, bench.counted(Anomaly::Gap)), (0, 1));
    assert_eq!(bench.lines(), ["GET /a 200 0/0"]);
}

/// The answer is `size` bytes in segments of 1,000 with this head, of which the one at `late` passes last.
fn late_within_a_body(head: &str, body: &[u8], late: usize) -> Bench {
    let mut talk = Talk::new(Side::Server);
    talk.client("GET /a HTTP/1.1\r\n\r\n").server(head).server_in(1000, body);
    let segment = talk.records.remove(talk.records.len() - 1 - late);
    talk.records.push(segment);
    let mut bench = Bench::new(Config::default());
    bench.records(&talk.records);
    bench
}

#[test]
fn a_windowful_may_wait_behind_a_gap() {
    let chunked =
        [format!("{:x}\r\n", 6 << 20).into_bytes(), vec![b'x'; 6 << 20], b"\r\n0\r\n\r\n".to_vec()].concat();
    let mut bench =
        late_within_a_body("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n", &chunked, 6291);
    bench.finish();
    assert_eq!(bench.lines(), ["GET /a 200 0/6291456"]);
    assert_eq!((bench.total().gap, bench.total().opaque), (0, 0));
}

#[test]
fn bytes_of_a_body_whose_end_is_known_wait_as_a_number() {
    let head = "HTTP/1.1 200 OK\r\nContent-Length: 20000000\r\n\r\n";
    let mut bench = late_within_a_body(head, &[b'x'; 20_000_000], 19_999);
    bench.finish();
    assert_eq!(bench.lines(), ["GET /a 200 0/20000000"]);
    assert_eq!((bench.total().gap, bench.total().opaque), (0, 0));
}

/// With half of all room in use, who holds much gives way to those that hold little.
#[test]
fn a_connection_that_holds_much_gives_way_first() {
    let mut config = Config::default();
    (config.limits.out_of_order_bytes, config.limits.out_of_order_bytes_total) = (320_000, 500_000);
    let mut bench = Bench::new(config);
    let mut small = Talk::from_port(Side::Server, 1);
    small.client(&REQUEST[..20]).client(&REQUEST[20..]).swapped();
    let missing = small.records.pop().unwrap();
    bench.records(&small.records);
    for port in [2, 3, 4] {
        let mut greedy = Talk::from_port(Side::Server, port);
        greedy.client("GET").lost().client_in(1000, [b'x'; 300_000]);
        bench.records(&greedy.records);
    }
    let held = bench.wire.tables().into_iter().find(|table| table.name == "out_of_order_bytes").unwrap();
    assert_eq!(held.evicted, 3, "each greedy one gave up its gap");
    small.records = vec![missing];
    small.server(response(200, ""));
    bench.records(&small.records);
    bench.finish();
    assert_eq!(bench.lines(), ["POST /a 200 10/0 [out_of_order]"]);
}

//! Connections that are not HTTP, and what follows a tunnel's handshake: one row each, when they end.
use weft_abi::sock_event;

use super::{Bench, Talk, response, run};
use crate::{Anomaly, Config, Exchange, Protocol, Side, Tcp, Tls, TlsVersion};

const CLIENT_13: &[u8] = include_bytes!("hellos/client_13.bin");
const SERVER_13: &[u8] = include_bytes!("hellos/server_13.bin");
const CLIENT_12: &[u8] = include_bytes!("hellos/client_12.bin");
const SERVER_12: &[u8] = include_bytes!("hellos/server_12.bin");
const CLIENT_BARE: &[u8] = include_bytes!("hellos/client_bare.bin");

/// The rows that are connections.
fn rows(bench: &Bench) -> Vec<&Exchange> {
    let all = bench.notes.exchanges.iter().map(|joined| &joined.exchange);
    all.filter(|exchange| exchange.protocol.is_connection()).collect()
}

/// The one row of a connection.
fn row(bench: &Bench) -> &Exchange {
    let rows = rows(bench);
    let [row] = rows[..] else { panic!("{} rows of {:?}", rows.len(), bench.lines()) };
    row
}

fn tls(row: &Exchange) -> &Tls {
    row.connection.as_deref().and_then(|connection| connection.tls.as_ref()).unwrap()
}

fn names(names: &[&str]) -> Vec<String> {
    names.iter().map(|name| (*name).to_owned()).collect()
}

/// Both hellos in segments of this size, then data each way.
fn handshake(side: Side, size: usize, client: &[u8], server: &[u8]) -> Bench {
    let mut talk = Talk::new(side);
    talk.client_in(size, client).server_in(size, server);
    talk.client(b"\x17\x03\x03\x00\x02ab").server(b"\x17\x03\x03\x00\x03abc");
    talk.client_fin().server_fin();
    run(&talk.records)
}

#[test]
fn tls_is_recognised_in_any_segmentation() {
    for size in [1, 2, 3, 4, 5, 6, 100, 1448] {
        for side in [Side::Client, Side::Server] {
            let bench = handshake(side, size, CLIENT_13, SERVER_13);
            let row = row(&bench);
            assert_eq!((row.protocol, row.side, row.complete), (Protocol::Tls, side, true), "{size}");
            assert_eq!(row.authority.as_deref(), Some("orders.shop.svc"));
            let expected = Tls {
                version: Some(TlsVersion(0x0304)),
                sni: Some("orders.shop.svc".into()),
                alpn: None,
                alpn_offered: names(&["h2", "http/1.1"]),
            };
            assert_eq!(*tls(row), expected);
            assert_eq!((row.request_seq, row.request_ack), (1_000_001, 5_000_001));
            assert_eq!(row.request.bytes as usize, CLIENT_13.len() + 7);
            assert_eq!(row.response.unwrap().bytes as usize, SERVER_13.len() + 8);
            assert_eq!(bench.total().decoded, 0);
        }
    }
}

#[test]
fn tls_1_2_says_the_protocol_that_was_chosen() {
    let bench = handshake(Side::Client, 1448, CLIENT_12, SERVER_12);
    let tls = tls(row(&bench));
    assert_eq!((tls.version, tls.alpn.as_deref()), (Some(TlsVersion(0x0303)), Some("h2")));
}

#[test]
fn a_hello_without_a_name() {
    let bench = handshake(Side::Client, 1448, CLIENT_BARE, SERVER_13);
    assert_eq!((tls(row(&bench)).sni.as_deref(), row(&bench).authority.as_deref()), (None, None));
}

/// RFC 8446, 5.1: a handshake message may lie in several records.
#[test]
fn a_hello_in_many_records() {
    let in_records = |hello: &[u8], size| -> Vec<u8> {
        let fragments = hello[5..].chunks(size);
        fragments.flat_map(|part| [&[22, 3, 1, 0, part.len() as u8], part].concat()).collect()
    };
    for size in [1, 3, 50] {
        let bench = handshake(Side::Client, 20, &in_records(CLIENT_13, size), &in_records(SERVER_13, size));
        assert_eq!(tls(row(&bench)).sni.as_deref(), Some("orders.shop.svc"));
        assert_eq!(tls(row(&bench)).version, Some(TlsVersion(0x0304)));
    }
}

#[test]
fn a_hello_larger_than_any_is_not_waited_for() {
    let mut talk = Talk::new(Side::Server);
    talk.client([22, 3, 1, 0x40, 0, 1, 0, 0x80, 0]).client_in(1000, [0; 40_000]);
    let mut bench = Bench::new(Config::default());
    bench.records(&talk.records);
    let heads = bench.wire.tables().into_iter().find(|table| table.name == "partial_head_bytes").unwrap();
    assert_eq!(heads.entries, 0);
    bench.finish();
    assert_eq!(tls(row(&bench)), &Tls::default());
}

#[test]
fn a_hello_with_a_gap() {
    let mut talk = Talk::new(Side::Server);
    talk.client(&CLIENT_13[..200]).client(&CLIENT_13[200..300]).lost().client(&CLIENT_13[300..]);
    talk.server(SERVER_13).client_fin().server_fin();
    let bench = run(&talk.records);
    let row = row(&bench);
    assert_eq!((row.authority.as_deref(), tls(row).version), (None, Some(TlsVersion(0x0304))));
    assert!(row.anomalies.contains(Anomaly::Gap));
    assert_eq!(row.request.bytes as usize, CLIENT_13.len());
}

/// Who sent the SYN is the client of what nobody follows, whoever speaks first.
#[test]
fn other_protocols_are_one_row_a_connection() {
    for (first, second) in [
        (&b"220 mail.example ESMTP\r\n"[..], &b"EHLO me\r\n"[..]),
        (b"SSH-2.0-OpenSSH_9.2\r\n", b"SSH-2.0-Go\r\n"),
        (b"\x4a\x00\x00\x00\x0a8.0.36\x00", b"\x20\x00\x00\x01"),
    ] {
        for side in [Side::Client, Side::Server] {
            let mut talk = Talk::new(side);
            talk.server(first).client(second).server("bye").client_fin().server_fin();
            let bench = run(&talk.records);
            let row = row(&bench);
            assert_eq!((row.protocol, row.side, row.complete), (Protocol::Tcp, side, true));
            assert_eq!(row.request.bytes as usize, second.len());
            let response = row.response.unwrap();
            assert_eq!(response.bytes as usize, first.len() + 3);
            assert!(response.first_byte < row.request.first_byte);
            assert_eq!(response.last_byte.0 - response.first_byte.0, 2000);
            assert!(bench.wire.anomalies().iter().all(|count| *count == 0));
        }
    }
}

#[test]
fn bytes_too_few_to_tell_are_a_row_too() {
    let mut talk = Talk::new(Side::Server);
    talk.client("G").client_fin().server_fin();
    let bench = run(&talk.records);
    assert_eq!((row(&bench).request.bytes, row(&bench).response), (1, None));
    assert_eq!(bench.wire.stats().flows_tcp, 1);
}

#[test]
fn an_end_that_is_silent_has_the_others_time() {
    let mut talk = Talk::new(Side::Server);
    let time = talk.now;
    talk.server("12:00:00 tcp daytime").server_fin().client_fin();
    let bench = run(&talk.records);
    let row = row(&bench);
    assert_eq!((row.request.bytes, row.request.first_byte.0, row.request.last_byte.0), (0, time, time));
}

#[test]
fn a_connection_without_bytes_is_no_row() {
    let mut talk = Talk::new(Side::Server);
    talk.client_fin().server_fin();
    assert!(rows(&run(&talk.records)).is_empty());
}

#[test]
fn a_side_is_never_guessed() {
    let mut talk = Talk::midway(Side::Server);
    talk.client(b"\x17\x03\x03\x00\x02ab").server(b"\x17\x03\x03\x00\x02ab").client_fin().server_fin();
    let bench = run(&talk.records);
    assert_eq!((rows(&bench).len(), bench.wire.stats().flows_tls), (0, 1));
    // But a ClientHello names its sender.
    let mut talk = Talk::midway(Side::Server);
    talk.client(CLIENT_13).server(SERVER_13).client_fin().server_fin();
    let bench = run(&talk.records);
    let row = row(&bench);
    assert_eq!((row.side, row.authority.as_deref()), (Side::Server, Some("orders.shop.svc")));
    assert!(row.anomalies.contains(Anomaly::JoinedMidway));
}

#[test]
fn the_row_says_what_the_socket_said() {
    let mut talk = Talk::midway(Side::Client);
    talk.sock_event(sock_event::CONNECT);
    talk.handshake();
    talk.sock_event(sock_event::ESTABLISHED_ACTIVE).client(CLIENT_13).server(SERVER_13);
    talk.client_fin().server_fin();
    let mut bench = Bench::new(Config::default());
    bench.records(&talk.records);
    assert!(rows(&bench).is_empty(), "the socket's last word is waited for");
    talk.records.clear();
    talk.sock_event(sock_event::CLOSED);
    bench.records(&talk.records);
    let tcp = row(&bench).connection.as_ref().unwrap().tcp;
    let expected = Tcp { connect_ns: Some(3000), rtt_us: Some(120), retransmitted_segments: Some(3) };
    assert_eq!(tcp, expected);
    bench.finish();
    row(&bench);
}

#[test]
fn the_row_of_a_broken_connection() {
    let mut talk = Talk::new(Side::Server);
    talk.client(CLIENT_13).server_reset();
    let bench = run(&talk.records);
    assert_eq!((row(&bench).complete, tls(row(&bench)).version), (false, None));
}

#[test]
fn the_row_of_an_evicted_connection() {
    let mut config = Config::default();
    config.limits.flows = 1;
    let mut bench = Bench::new(config);
    let mut talk = Talk::from_port(Side::Server, 1);
    talk.client(CLIENT_13);
    bench.records(&talk.records);
    bench.records(&Talk::from_port(Side::Server, 2).records);
    assert!(row(&bench).anomalies.contains(Anomaly::Evicted));
}

#[test]
fn a_websocket_is_an_exchange_and_then_a_row() {
    let mut talk = Talk::new(Side::Server);
    let (ask, answer) = ("GET /ws HTTP/1.1\r\nUpgrade: websocket\r\n\r\n", "HTTP/1.1 101 X\r\n\r\n");
    talk.client("GET /a HTTP/1.1\r\n\r\n").server(response(200, "hi")).client(ask);
    talk.server([answer, "\x01first"].concat()).client("\u{1}HTTP/1.1 200 OK").server("more");
    let mut bench = Bench::new(Config::default());
    bench.records(&talk.records);
    bench.tick(talk.now + 20_000_000);
    assert_eq!(bench.lines(), ["GET /a 200 0/2", "GET /ws 101 0/0"]);
    talk.records.clear();
    talk.client_fin().server_fin();
    bench.records(&talk.records);
    bench.finish();
    let row = row(&bench);
    assert_eq!((row.protocol, row.side), (Protocol::Tcp, Side::Server));
    assert_eq!((row.request.bytes, row.response.unwrap().bytes), (16, 10));
    let client_start = 1_000_001 + 19 + ask.len() as u32;
    let server_start = 5_000_001 + (response(200, "hi").len() + answer.len()) as u32;
    assert_eq!((row.request_seq, row.request_ack), (client_start, server_start));
    assert!(bench.wire.anomalies().iter().all(|count| *count == 0));
}

#[test]
fn a_tunnel_whose_client_does_not_wait() {
    // Refused, "earlyGET" is a method, and nobody follows what the proxy makes of it.
    for (status, rows_expected) in [(200, 1), (403, 0)] {
        let mut talk = Talk::new(Side::Client);
        talk.client("CONNECT a:443 HTTP/1.1\r\n\r\n").client("early");
        talk.server(format!("HTTP/1.1 {status} X\r\nContent-Length: 0\r\n\r\n"));
        talk.client("GET /b HTTP/1.1\r\n\r\n").server(response(200, "")).client_fin().server_fin();
        let bench = run(&talk.records);
        let rows = rows(&bench);
        assert_eq!(rows.len(), rows_expected, "{status}");
        if let [row] = rows[..] {
            assert_eq!((row.request.bytes, row.response.unwrap().bytes), (24, 37));
            assert_eq!(row.request_seq, 1_000_001 + 26);
        }
        assert_eq!(bench.notes.exchanges.len(), 1 + rows_expected);
        assert_eq!(bench.counted(Anomaly::Garbage), 0);
    }
}

/// Behind a long response 101 the programs gather what the server sends: its first byte is not that of the run's end.
#[test]
fn a_tunnel_that_begins_with_a_run_begins_with_its_first_segment() {
    let mut talk = Talk::new(Side::Server);
    talk.client("GET /ws HTTP/1.1\r\nUpgrade: websocket\r\n\r\n");
    talk.server(format!("HTTP/1.1 101 X\r\nX: {}\r\n\r\n", "x".repeat(600)));
    let first = talk.now;
    talk.server([1; 1000]).server([2; 1000]).server([3; 1000]).gathered(3);
    let last = talk.now - super::talk::STEP;
    talk.client_fin().server_fin();
    let bench = run(&talk.records);
    let response = row(&bench).response.unwrap();
    assert_eq!((response.bytes, response.first_byte.0, response.last_byte.0), (3000, first, last));
}

use super::{Bench, Talk, response, run};
use crate::{Config, Side};

/// What client and server send in turns, a segment each, from the handshake to both FINs.
fn turns(turns: &[&str]) -> Bench {
    let mut talk = Talk::new(Side::Server);
    for (index, text) in turns.iter().enumerate() {
        if text.is_empty() {
            continue;
        }
        if index % 2 == 0 {
            talk.client(text)
        } else {
            talk.server(text)
        };
    }
    talk.server_fin().client_fin();
    run(&talk.records)
}

#[test]
fn messages_end_where_rfc_9112_says() {
    let ok = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nhi";
    for (name, script, expected) in [
        ("no body", vec!["GET /a HTTP/1.1\r\nHost: h\r\n\r\n", ok], vec!["GET /a 200 0/2"]),
        ("query cut", vec!["GET /a?b=c HTTP/1.1\r\nHost: h\r\n\r\n", ok], vec!["GET /a 200 0/2"]),
        ("absolute", vec!["GET http://h:1/a?x HTTP/1.1\r\n\r\n", ok], vec!["GET /a 200 0/2"]),
        ("asterisk", vec!["OPTIONS * HTTP/1.1\r\n\r\n", ok], vec!["OPTIONS * 200 0/2"]),
        ("odd method", vec!["FROB-IT! /a HTTP/1.1\r\n\r\n", ok], vec!["FROB-IT! /a 200 0/2"]),
        ("bare LF", vec!["GET /a HTTP/1.1\nHost: h\n\n", ok], vec!["GET /a 200 0/2"]),
        ("blank line first", vec!["\r\nGET /a HTTP/1.1\r\n\r\n", ok], vec!["GET /a 200 0/2"]),
        ("length", vec!["POST /a HTTP/1.1\r\nContent-Length: 3\r\n\r\nabc", ok], vec!["POST /a 200 3/2"]),
        (
            "chunked with extension and trailer",
            vec![
                "POST /a HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n3;x=y\r\nabc\r\n0\r\nT: 1\r\n\r\n",
                ok,
            ],
            vec!["POST /a 200 3/2"],
        ),
        (
            "chunked response, then another",
            vec![
                "GET /a HTTP/1.1\r\n\r\n",
                "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n1\r\na\r\nA\r\n0123456789\r\n0\r\n\r\n",
                "GET /b HTTP/1.1\r\n\r\n",
                ok,
            ],
            vec!["GET /a 200 0/11", "GET /b 200 0/2"],
        ),
        (
            "HEAD",
            vec![
                "HEAD /a HTTP/1.1\r\n\r\n",
                "HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\n",
                "GET /b HTTP/1.1\r\n\r\n",
                ok,
            ],
            vec!["HEAD /a 200 0/0", "GET /b 200 0/2"],
        ),
        (
            "204 and 304",
            vec![
                "GET /a HTTP/1.1\r\n\r\n",
                "HTTP/1.1 204 No\r\n\r\n",
                "GET /b HTTP/1.1\r\n\r\n",
                "HTTP/1.1 304 No\r\nContent-Length: 7\r\n\r\n",
            ],
            vec!["GET /a 204 0/0", "GET /b 304 0/0"],
        ),
        (
            "100-continue and 103",
            vec![
                "PUT /a HTTP/1.1\r\nExpect: 100-continue\r\nContent-Length: 3\r\n\r\n",
                "HTTP/1.1 100 Continue\r\n\r\n",
                "abc",
                "HTTP/1.1 103 Early Hints\r\nLink: x\r\n\r\nHTTP/1.1 201 Created\r\nContent-Length: 0\r\n\r\n",
            ],
            vec!["PUT /a 201 3/0"],
        ),
        (
            "read until close",
            vec!["GET /a HTTP/1.0\r\n\r\n", "HTTP/1.0 200 OK\r\n\r\nall of this", "", " and that"],
            vec!["GET /a 200 0/20"],
        ),
        (
            "pipelined",
            vec![
                "GET /a HTTP/1.1\r\n\r\nGET /b HTTP/1.1\r\n\r\n",
                "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nhiHTTP/1.1 404 No\r\nContent-Length: 0\r\n\r\n",
            ],
            vec!["GET /a 200 0/2", "GET /b 404 0/0"],
        ),
        (
            "upgrade",
            vec![
                "GET /ws HTTP/1.1\r\nUpgrade: websocket\r\n\r\n",
                "HTTP/1.1 101 Switching\r\nUpgrade: websocket\r\n\r\n\x01\x02",
                "GET /no HTTP/1.1\r\n\r\n",
            ],
            vec!["tcp 20/2", "GET /ws 101 0/0"],
        ),
        (
            "tunnel",
            vec!["CONNECT a:443 HTTP/1.1\r\n\r\n", "HTTP/1.1 200 OK\r\n\r\n", "\x16\x03\x01", "\x16\x03\x03"],
            vec!["tcp 3/3", "CONNECT a:443 200 0/0"],
        ),
        (
            "refused tunnel",
            vec![
                "CONNECT a:443 HTTP/1.1\r\n\r\n",
                "HTTP/1.1 403 No\r\nContent-Length: 1\r\n\r\nx",
                "GET /b HTTP/1.1\r\n\r\n",
                ok,
            ],
            vec!["CONNECT a:443 403 0/1", "GET /b 200 0/2"],
        ),
        (
            "length and coding",
            vec!["POST /a HTTP/1.1\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", ok],
            vec!["POST /a 200 0/2 [conflicting_length]"],
        ),
        (
            "two lengths",
            vec![
                "POST /a HTTP/1.1\r\nContent-Length: 5\r\nContent-Length: 6\r\n\r\nabcde",
                "HTTP/1.1 400 No\r\nContent-Length: 0\r\n\r\n",
            ],
            vec!["POST /a 400 0/0 incomplete [conflicting_length]"],
        ),
        (
            "no response",
            vec!["GET /a HTTP/1.1\r\n\r\n"],
            vec!["GET /a - 0/- incomplete [request_without_response]"],
        ),
        (
            "half a response",
            vec!["GET /a HTTP/1.1\r\n\r\n", "HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nhalf"],
            vec!["GET /a 200 0/4 incomplete [truncated]"],
        ),
        ("half a request", vec!["GET /a HTTP/1.1\r\nHos"], vec![]),
        (
            "half a body",
            vec![
                "POST /a HTTP/1.1\r\nContent-Length: 10\r\n\r\nhalf",
                "HTTP/1.1 400 No\r\nContent-Length: 0\r\n\r\n",
            ],
            vec!["POST /a 400 4/0 incomplete [truncated,early_response]"],
        ),
        (
            "response before the request's end",
            vec![
                "POST /a HTTP/1.1\r\nContent-Length: 6\r\n\r\nabc",
                ok,
                "def",
                "",
                "GET /b HTTP/1.1\r\n\r\n",
                ok,
            ],
            vec!["POST /a 200 6/2 [early_response]", "GET /b 200 0/2"],
        ),
        (
            "body longer than announced",
            vec!["GET /a HTTP/1.1\r\n\r\n", "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nhi there"],
            vec!["GET /a 200 0/2 [body_longer_than_announced]"],
        ),
    ] {
        let bench = turns(&script);
        assert_eq!(bench.lines(), expected, "{name}");
        assert_eq!(bench.total().gap, 0, "{name}");
    }
}

#[test]
fn a_complete_exchange_says_all_that_the_wire_knows() {
    let mut talk = Talk::new(Side::Client);
    talk.cookie = 5;
    talk.client("POST /a?q HTTP/1.1\r\nHost: orders:8080\r\nContent-Length: 4\r\n\r\nab").client("cd");
    talk.server("HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\n").server("xyz");
    let bench = run(&talk.records);
    let [joined] = &bench.notes.exchanges[..] else { panic!("{:?}", bench.lines()) };
    let exchange = &joined.exchange;
    assert_eq!((exchange.side, exchange.vantage, exchange.socket_cookie), (Side::Client, 1, 5));
    assert_eq!(exchange.authority.as_deref(), Some("orders:8080"));
    assert_eq!((exchange.request_seq, exchange.request_ack), (1_000_001, 5_000_001));
    assert_eq!(exchange.flow.local.socket_addr().to_string(), "10.244.0.2:40000");
    assert_eq!(exchange.flow.peer.socket_addr().to_string(), "10.244.0.1:8080");
    let start = 1_000_000_000 + 2 * super::talk::STEP;
    assert_eq!((exchange.request.first_byte.0, exchange.request.last_byte.0), (start, start + 1000));
    assert_eq!((exchange.request.bytes, exchange.request.body_bytes), (64, 4));
    let response = exchange.response.unwrap();
    assert_eq!((response.first_byte.0, response.last_byte.0), (start + 2000, start + 3000));
    assert_eq!((response.bytes, response.body_bytes), (41, 3));
    assert!(exchange.complete && exchange.anomalies.is_empty());
    assert_eq!(bench.total().decoded, 105);
}

#[test]
fn the_query_stays_where_it_is_not_redacted() {
    let mut talk = Talk::new(Side::Server);
    talk.client("GET /a?b=c HTTP/1.1\r\n\r\n").server(response(200, ""));
    let mut bench = Bench::new(Config { redact_query: false, ..Config::default() });
    bench.records(&talk.records);
    bench.finish();
    assert_eq!(bench.lines(), ["GET /a?b=c 200 0/0"]);
}

#[test]
fn keep_alive_exchanges_leave_as_they_are_complete() {
    let mut talk = Talk { cookie: 0, ..Talk::midway(Side::Server) };
    talk.handshake();
    let mut bench = Bench::new(Config::default());
    for index in 0..100 {
        talk.client(format!("GET /{index} HTTP/1.1\r\nHost: h\r\n\r\n")).server(response(200, "body"));
        bench.records(talk.records.drain(..).collect::<Vec<_>>().iter());
        assert_eq!(bench.notes.exchanges.len(), index + 1);
    }
    assert_eq!(bench.total().opaque, 0);
    assert!(bench.wire.anomalies().iter().all(|count| *count == 0));
}

#[test]
fn a_head_byte_by_byte_is_the_same_head() {
    let mut talk = Talk::new(Side::Server);
    talk.client_in(
        1,
        "POST /a HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n",
    );
    talk.server_in(1, response(200, "hi"))
        .client("GET /b HTTP/1.1\r\n\r\n")
        .server_in(1, response(200, "hi"));
    let bench = run(&talk.records);
    assert_eq!(bench.lines(), ["POST /a 200 3/2", "GET /b 200 0/2"]);
    assert_eq!(bench.total().opaque, 0);
}

#[test]
fn other_protocols_are_told_apart_and_opaque() {
    for (first, count) in [
        (&b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03"[..], [0, 0, 1, 0]),
        (b"*1\r\n$4\r\nPING\r\n", [0, 0, 0, 1]),
        (b"get key\r\n", [1, 0, 0, 1]),
        (b"SSH-2.0-OpenSSH_9.2\r\n", [0, 0, 0, 1]),
    ] {
        let mut talk = Talk::new(Side::Server);
        talk.client(first).server("+OK\r\n").client(first).client_fin().server_fin();
        let bench = run(&talk.records);
        let stats = bench.wire.stats();
        let counted = [stats.flows_http1, stats.flows_http2, stats.flows_tls, stats.flows_tcp];
        assert_eq!(counted, count, "{:?}", String::from_utf8_lossy(first));
        let rows = u64::from(count[1] == 0);
        assert_eq!((bench.notes.exchanges.len() as u64, bench.total().decoded), (rows, 0));
        assert!(bench.wire.anomalies().iter().all(|count| *count == 0));
    }
}

#[test]
fn a_long_body_is_skipped_and_the_skip_ends() {
    let mut talk = Talk::new(Side::Server);
    talk.capture = 200;
    let head = "PUT /big HTTP/1.1\r\nContent-Length: 100000\r\n\r\n";
    talk.client(head).client_in(10_000, vec![b'x'; 100_000]).server(response(200, ""));
    let bench = run(&talk.records);
    assert_eq!(bench.lines(), ["PUT /big 200 100000/0"]);
    let end = 1_000_001 + head.len() as u32 + 100_000;
    let wants: Vec<_> = bench.notes.wants.iter().map(|(_, want)| want.map(|want| want.argument)).collect();
    assert_eq!(wants, [Some(end), None]);
    assert_eq!(bench.total().opaque, 0);
}

#[test]
fn the_skip_of_an_enormous_body_is_told_in_steps() {
    let mut talk = Talk::new(Side::Server);
    talk.capture = 100;
    let (segment, count) = (vec![0; 8 << 20], 640_u64);
    let length = segment.len() as u64 * count;
    talk.client(format!("PUT /big HTTP/1.1\r\nContent-Length: {length}\r\n\r\n"));
    (0..count).for_each(|_| {
        talk.client(&segment);
    });
    talk.server(response(200, ""));
    let bench = run(&talk.records);
    assert_eq!(bench.lines(), [format!("PUT /big 200 {length}/0")]);
    assert_eq!((bench.notes.wants.len(), bench.notes.wants[10].1), (11, None));
    assert_eq!(bench.total().opaque, 0);
}

#[test]
fn connections_that_are_not_followed_are_not_captured() {
    let mut talk = Talk::new(Side::Server);
    talk.client("\x16\x03\x01\x02\x00\x01")
        .server([0x16; 3000])
        .server([0x17; 3000])
        .client_fin()
        .server_fin();
    let bench = run(&talk.records);
    let wants: Vec<_> = bench.notes.wants.iter().map(|(_, want)| want.map(|want| want.kind)).collect();
    assert_eq!(wants, [Some(weft_abi::WANT_NONE), None]);
    assert_eq!(bench.notes.wants[0].0.tuple.source_port, 8080);
}

/// As long as a number of 64 bits says: nothing of that may overflow.
#[test]
fn the_longest_bodies_that_can_be_said() {
    for (head, begin) in [
        ("Content-Length: 18446744073709551615\r\n\r\n", ""),
        ("Transfer-Encoding: chunked\r\n\r\n", "ffffffffffffffff\r\n"),
    ] {
        let mut talk = Talk::new(Side::Server);
        talk.client(format!("POST /a HTTP/1.1\r\n{head}{begin}")).client([b'x'; 5000]).client([b'x'; 5000]);
        talk.client([b'x'; 5000]).gathered(1).client("x").lost().client([b'x'; 5000]).client_fin();
        let bench = run(&talk.records);
        assert_eq!(bench.lines(), ["POST /a - 20001/- incomplete [gap,truncated]"]);
        let begin = 1_000_001 + 18 + head.len() as u32 + begin.len() as u32;
        let wants: Vec<_> = bench.notes.wants.iter().flat_map(|(_, want)| want).collect();
        assert!(wants.iter().all(|want| want.argument.wrapping_sub(begin) > 1 << 28), "{wants:?}");
        assert!(!wants.is_empty());
    }
}

/// A proxy that refuses a CONNECT reads on: what its client sent meanwhile was not followed, so what comes behind that may
/// be within a body.
#[test]
fn behind_a_refused_connect_nothing_is_invented() {
    let mut talk = Talk::new(Side::Server);
    talk.client("CONNECT a:443 HTTP/1.1\r\n\r\n").client("POST /b HTTP/1.1\r\nContent-Length: 22\r\n\r\n");
    talk.server(response(407, "")).client("GET /fake HTTP/1.1\r\n\r\n").server(response(200, ""));
    talk.client("GET /c HTTP/1.1\r\n\r\n").server(response(201, ""));
    let bench = run(&talk.records);
    assert!(bench.lines().iter().all(|line| !line.contains("/fake")), "{:?}", bench.lines());
    assert_eq!(bench.lines()[0], "CONNECT a:443 407 0/0");
}

/// RFC 9112, 6.3 has such a response end with the connection; clients that go by its length send their next request.
#[test]
fn a_body_until_the_end_that_its_client_does_not_wait_for() {
    let answer = "HTTP/1.1 200 OK\r\nTransfer-Encoding: identity\r\nContent-Length: 2\r\n\r\nhi";
    let mut talk = Talk::new(Side::Server);
    talk.client("GET /a HTTP/1.1\r\n\r\n").server(answer);
    talk.client("GET /b HTTP/1.1\r\n\r\n").server(response(201, "hi"));
    talk.client("GET /c HTTP/1.1\r\n\r\n").server(response(202, "hi")).client_fin().server_fin();
    let bench = run(&talk.records);
    assert_eq!(
        bench.lines(),
        ["GET /a 200 0/2 incomplete [conflicting_length]", "GET /b 201 0/2", "GET /c 202 0/2"]
    );
    let wants: Vec<_> = bench.notes.wants.iter().map(|(_, want)| want.map(|want| want.kind)).collect();
    assert_eq!(wants, [Some(weft_abi::WANT_NONE), None]);
}

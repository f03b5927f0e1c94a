//! What is seen from the preface on.
use super::peers::*;
use crate::{
    Anomaly, ErrorCode, Ktime, Protocol, Side,
    wire::tests::{Talk, talk::STEP},
};

#[test]
fn a_request_and_its_response() {
    for side in [Side::Client, Side::Server] {
        let mut peers = Peers::new(side);
        let request = peers.request(1, "GET", "/a?token=secret", END_STREAM);
        let (request_len, at) = (request.len() as u64, peers.talk.now);
        peers.talk.client(request);
        let response = [peers.response(1, "200", 0), data(1, END_STREAM, "hello")].concat();
        peers.talk.server(&response).client_fin().server_fin();
        let bench = peers.run();
        assert_eq!(bench.lines(), ["GET /a 200 0/5"]);
        let exchange = of_stream(&bench, 1);
        assert_eq!((exchange.side, exchange.protocol, exchange.stream_id), (side, Protocol::Http2, 1));
        assert_eq!(exchange.authority.as_deref(), Some("shop:80"));
        assert_eq!((exchange.request.first_byte, exchange.request.bytes), (Ktime(at), request_len));
        let answer = exchange.response.unwrap();
        assert_eq!((answer.last_byte, answer.bytes), (Ktime(at + STEP), response.len() as u64));
        assert_eq!((bench.total().opaque, bench.wire.stats().flows_http2), (0, 1));
    }
}

#[test]
fn both_vantages_agree_on_ids() {
    let ids = [Side::Client, Side::Server].map(|side| {
        let mut peers = Peers::new(side);
        let (first, second) = (peers.request(1, "GET", "/a", 1), peers.request(3, "GET", "/b", 1));
        peers.talk.client([first, second].concat());
        let answers = [peers.response(3, "200", 1), peers.response(1, "200", 1)].concat();
        peers.talk.server(answers);
        let bench = peers.run();
        [1, 3].map(|stream| of_stream(&bench, stream).id())
    });
    assert_eq!(ids[0], ids[1]);
    assert_ne!(ids[0][0], ids[0][1]);
}

#[test]
fn streams_are_mixed() {
    let mut peers = Peers::new(Side::Server);
    let heads: Vec<_> = [1, 3, 5].map(|id| peers.request(id, "POST", &format!("/{id}"), 0)).concat();
    peers.talk.client(heads);
    peers.talk.client([data(3, 0, "333"), data(1, 0, "1"), data(5, END_STREAM, "55555")].concat());
    let five = peers.response(5, "201", END_STREAM);
    peers.talk.server(five);
    peers.talk.client([data(1, END_STREAM, ""), data(3, END_STREAM, "333")].concat());
    let rest = [peers.response(1, "200", 0), peers.response(3, "404", 0), data(1, END_STREAM, "1")].concat();
    peers.talk.server(rest).server(data(3, END_STREAM, "33"));
    let bench = peers.run();
    assert_eq!(bench.lines(), ["POST /5 201 5/0", "POST /1 200 1/1", "POST /3 404 6/2"]);
    assert_eq!(bench.total().opaque, 0);
}

#[test]
fn padding_priority_and_continuation() {
    let mut peers = Peers::new(Side::Server);
    let fields = [(":method", "PUT"), (":scheme", "http"), (":path", "/padded"), (":authority", "a")];
    let block = peers.client_block(&fields);
    let (first, rest) = block.split_at(5);
    let (second, third) = rest.split_at(1);
    let padded = [&[3][..], &[0, 0, 0, 0, 16], first, &[0; 3]].concat();
    let frames = [
        frame(HEADERS, PADDED | WITH_PRIORITY, 1, padded),
        frame(CONTINUATION, 0, 1, second),
        frame(CONTINUATION, 0, 1, b""),
        frame(CONTINUATION, END_HEADERS, 1, third),
        frame(DATA, PADDED, 1, b"\x04body\0\0\0\0"),
        frame(PRIORITY, 0, 1, [0, 0, 0, 0, 9]),
        frame(DATA, PADDED | END_STREAM, 1, b"\x00end"),
    ]
    .concat();
    let response = peers.response(1, "204", END_STREAM);
    for size in 1..frames.len() {
        let mut talk = peers.talk.clone();
        talk.client_in(size, &frames).server_in(size, &response);
        let bench = super::super::run(&talk.records);
        assert_eq!(bench.lines(), ["PUT /padded 204 7/0"], "segments of {size}");
        assert_eq!(bench.total().opaque, 0);
        let priority = 14;
        assert_eq!(of_stream(&bench, 1).request.bytes, frames.len() as u64 - priority);
    }
}

#[test]
fn interim_responses_and_trailers() {
    let mut peers = Peers::new(Side::Client);
    let request = peers.request(1, "POST", "/a", 0);
    peers.talk.client(request);
    let interim = [peers.response(1, "103", 0), peers.response(1, "100", 0)].concat();
    peers.talk.server(interim);
    let trailers = peers.client_block(&[("digest", "x")]);
    peers.talk.client([data(1, 0, "abc"), frame(HEADERS, END_HEADERS | END_STREAM, 1, trailers)].concat());
    let at = peers.talk.now;
    let response = [peers.response(1, "200", 0), data(1, 0, "hello")].concat();
    let trailers = peers.server_block(&[("digest", "y")]);
    let trailers = frame(HEADERS, END_HEADERS | END_STREAM, 1, trailers);
    peers.talk.server(&response).server(&trailers);
    let bench = peers.run();
    assert_eq!(bench.lines(), ["POST /a 200 3/5"]);
    let span = of_stream(&bench, 1).response.unwrap();
    assert_eq!((span.first_byte, span.last_byte), (Ktime(at), Ktime(at + STEP)));
    assert_eq!(span.bytes as usize, response.len() + trailers.len());
}

#[test]
fn a_stream_that_is_reset() {
    let mut peers = Peers::new(Side::Server);
    let requests = [1, 3, 5, 7].map(|id| peers.request(id, "POST", &format!("/{id}"), 0));
    peers.talk.client(requests.concat());
    peers.talk.client(number(RST_STREAM, 1, 8)).server(number(RST_STREAM, 3, 7));
    let early = [peers.response(5, "200", 0), data(5, END_STREAM, "ok"), number(RST_STREAM, 5, 0)].concat();
    peers.talk.server(early);
    let half = [peers.response(7, "200", 0), data(7, 0, "o"), number(RST_STREAM, 7, 0x77)].concat();
    peers.talk.server(half).client(data(7, 0, "late")).client(data(5, END_STREAM, "late"));
    let bench = peers.run();
    let expected = [
        "POST /1 - 0/- incomplete",
        "POST /3 - 0/- incomplete",
        "POST /7 200 0/1 incomplete",
        "POST /5 200 0/2",
    ];
    assert_eq!(bench.lines(), expected);
    let resets = [1, 3, 5, 7].map(|id| of_stream(&bench, id).reset.unwrap());
    assert_eq!(resets, [ErrorCode::CANCEL, ErrorCode(7), ErrorCode::NO_ERROR, ErrorCode(0x77)]);
}

#[test]
fn streams_that_the_server_will_not_look_at() {
    let mut peers = Peers::new(Side::Server);
    let requests = [1, 3, 5].map(|id| peers.request(id, "GET", &format!("/{id}"), END_STREAM));
    peers.talk.client(requests.concat());
    let graceful = frame(GOAWAY, 0, 0, [0x7f, 0xff, 0xff, 0xff, 0, 0, 0, 0]);
    let real = frame(GOAWAY, 0, 0, [&[0, 0, 0, 3, 0, 0, 0, 0][..], b"GET / because I say so"].concat());
    peers.talk.server(graceful).server_in(3, real);
    let answers = [peers.response(3, "200", END_STREAM), peers.response(1, "200", END_STREAM)].concat();
    peers.talk.server(answers);
    let expected = ["GET /5 - 0/- incomplete [goaway]", "GET /3 200 0/0", "GET /1 200 0/0"];
    assert_eq!(peers.run().lines(), expected);
}

#[test]
fn a_pushed_response() {
    for side in [Side::Client, Side::Server] {
        let mut peers = Peers::new(side);
        let request = peers.request(1, "GET", "/page", END_STREAM);
        peers.talk.client(request);
        let fields = [(":method", "GET"), (":scheme", "http"), (":path", "/style"), (":authority", "a")];
        let promised = [&[0, 0, 0, 2][..], &peers.server_block(&fields)].concat();
        let promise = frame(PUSH_PROMISE, END_HEADERS, 1, promised);
        let answers = [
            promise,
            peers.response(1, "200", END_STREAM),
            peers.response(2, "200", 0),
            data(2, END_STREAM, "css"),
        ];
        peers.talk.server(answers.concat());
        let bench = peers.run();
        assert_eq!(bench.lines(), ["GET /page 200 0/0", "GET /style 200 0/3 [pushed]"]);
        assert_eq!((of_stream(&bench, 2).side, of_stream(&bench, 2).stream_id), (side, 2));
    }
}

#[test]
fn a_server_that_speaks_first() {
    let mut peers = Peers::silent(Talk::new(Side::Server));
    peers.talk.server_in(4, settings(&[(3, 100)]));
    peers.talk.client_in(7, [PREFACE, &settings(&[]), &ack()].concat());
    peers.talk.server(ack());
    let request = peers.request(1, "GET", "/a", END_STREAM);
    let response = peers.response(1, "200", END_STREAM);
    peers.talk.client(request).server(response);
    let bench = peers.run();
    assert_eq!(bench.lines(), ["GET /a 200 0/0"]);
    assert_eq!(bench.total().opaque, 0);
}

#[test]
fn a_connection_that_ends_with_open_streams() {
    let mut peers = Peers::new(Side::Server);
    let requests = [
        peers.request(1, "GET", "/1", END_STREAM),
        peers.request(3, "POST", "/3", 0),
        peers.request(5, "GET", "/5", END_STREAM),
    ];
    peers.talk.client(requests.concat());
    let half = peers.response(5, "200", 0);
    peers.talk.server(half).server_reset();
    let bench = peers.run();
    let expected = [
        "POST /3 - 0/- incomplete [truncated]",
        "GET /1 - 0/- incomplete [request_without_response]",
        "GET /5 200 0/0 incomplete [truncated]",
    ];
    assert_eq!(bench.lines(), expected);
    assert_eq!(bench.counted(Anomaly::Truncated), 2);
}

#[test]
fn tunnels_are_exchanges_as_far_as_their_handshake() {
    let mut peers = Peers::new(Side::Server);
    let plain = peers.client_block(&[(":method", "CONNECT"), (":authority", "db:5432")]);
    let fields = [
        (":method", "CONNECT"),
        (":protocol", "websocket"),
        (":scheme", "http"),
        (":path", "/ws"),
        (":authority", "a"),
    ];
    let websocket = peers.client_block(&fields);
    peers.talk.client(frame(HEADERS, END_HEADERS, 1, plain)).client(frame(
        HEADERS,
        END_HEADERS,
        3,
        websocket,
    ));
    let answers = [peers.response(1, "200", 0), peers.response(3, "200", 0)].concat();
    peers.talk.server(answers).client(data(1, 0, "SELECT")).server(data(3, END_STREAM, "x"));
    let bench = peers.run();
    assert_eq!(bench.lines(), ["CONNECT  200 0/0", "CONNECT /ws 200 0/0"]);
    assert_eq!(bench.total().opaque, 0);
}

#[test]
fn frames_that_are_nobodys_business() {
    let mut peers = Peers::new(Side::Server);
    let request = [
        frame(0xee, 0xff, 0x8000_0001, "an extension"),
        frame(PING, 0, 0, [7; 8]),
        number(WINDOW_UPDATE, 0, 1000),
        peers.request(1, "GET", "/a", END_STREAM),
        frame(0x10, 0, 0, "priority update"),
    ];
    peers.talk.client_in(5, request.concat());
    let response = [frame(PING, ACK, 0, [7; 8]), peers.response(1, "200", END_STREAM)].concat();
    peers.talk.server(response);
    let bench = peers.run();
    assert_eq!(bench.lines(), ["GET /a 200 0/0"]);
    assert_eq!((bench.total().opaque, bench.counted(Anomaly::ProtocolError)), (0, 0));
}

#[test]
fn a_preface_in_any_pieces() {
    for cut in 1..PREFACE.len() {
        let mut peers = Peers::silent(Talk::new(Side::Server));
        peers.talk.client(&PREFACE[..cut]).client(&PREFACE[cut..cut + 1]).client(&PREFACE[cut + 1..]);
        let request = peers.request(1, "GET", "/a", END_STREAM);
        peers.talk.client([settings(&[]), request].concat());
        let bench = peers.run();
        assert_eq!((bench.notes.exchanges.len(), bench.total().opaque), (1, 0), "{cut}");
    }
}

/// RFC 9113, 4.3 and 8.1: a block may be empty, as the trailers of a program that has none to say, and its first frame, too.
#[test]
fn empty_frames_of_header_blocks() {
    let mut peers = Peers::new(Side::Server);
    let trailers = frame(HEADERS, END_HEADERS | END_STREAM, 1, b"");
    let request = [peers.request(1, "POST", "/a", 0), data(1, 0, "abc"), trailers.clone()].concat();
    let block = peers.client_block(&[(":method", "GET"), (":scheme", "http"), (":path", "/b")]);
    let split = [frame(HEADERS, END_STREAM, 3, b""), frame(CONTINUATION, END_HEADERS, 3, block)].concat();
    let answers = [peers.response(1, "200", 0), trailers, peers.response(3, "200", END_STREAM)].concat();
    for size in [1, 9, 10, 1000] {
        let mut talk = peers.talk.clone();
        talk.client_in(size, [&request[..], &split].concat()).server_in(size, &answers);
        let bench = super::super::run(&talk.records);
        assert_eq!(bench.lines(), ["POST /a 200 3/0", "GET /b 200 0/0"], "segments of {size}");
        assert_eq!((bench.total().opaque, bench.counted(Anomaly::ProtocolError)), (0, 0));
        assert_eq!(of_stream(&bench, 3).request.bytes as usize, split.len());
    }
}

#[test]
fn a_head_larger_than_is_configured_is_read_and_keeps_the_table_in_step() {
    let mut peers = Peers::new(Side::Server);
    let large = "x".repeat(20_000);
    let fields = [
        (":method", "GET"),
        (":scheme", "http"),
        (":path", "/large"),
        (":authority", "shop:80"),
        ("x-l", &large),
    ];
    let block = peers.client_block(&fields);
    let (first, rest) = block.split_at(16_000);
    peers.talk.client(frame(HEADERS, END_STREAM, 1, first));
    peers.talk.client(frame(CONTINUATION, END_HEADERS, 1, rest));
    let answer = peers.response(1, "200", END_STREAM);
    let next = peers.request(3, "GET", "/large", END_STREAM);
    peers.talk.server(answer).client(next);
    let answer = peers.response(3, "200", END_STREAM);
    peers.talk.server(answer);
    let bench = peers.run();
    assert_eq!(bench.lines(), ["GET /large 200 0/0", "GET /large 200 0/0"]);
}

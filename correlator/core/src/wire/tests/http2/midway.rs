//! Connections of which not everything was seen: what is told is right.
use super::{
    super::{Bench, Talk, run},
    peers::*,
};
use crate::{Anomaly, Side};

/// Exchanges /1, /22, /333 ... in a stream each; a response's body says what request it answers.
fn talk(count: u32) -> Peers {
    let mut peers = Peers::new(Side::Server);
    for index in 1..=count {
        exchange(&mut peers, index);
    }
    peers
}

fn exchange(peers: &mut Peers, index: u32) {
    let (stream, path) = (index * 2 - 1, path(index));
    let request = [peers.request(stream, "POST", &path, 0), data(stream, END_STREAM, &path)].concat();
    peers.talk.client(request);
    let answer = [peers.response(stream, "200", 0), data(stream, END_STREAM, &path)].concat();
    peers.talk.server(answer);
}

fn path(index: u32) -> String {
    format!("/{}", index.to_string().repeat(index as usize))
}

/// What is known of an exchange is as it was.
fn assert_right(bench: &Bench) {
    for joined in &bench.notes.exchanges {
        let exchange = &joined.exchange;
        let expected = path(exchange.stream_id.div_ceil(2));
        assert!(exchange.path.is_empty() || exchange.path == expected, "{:?}", bench.lines());
        assert!(exchange.status.is_none_or(|status| status == 200), "{:?}", bench.lines());
        let Some(response) = exchange.response.filter(|_| exchange.complete) else { continue };
        assert_eq!(exchange.request.body_bytes as usize, expected.len(), "{:?}", bench.lines());
        assert_eq!(response.body_bytes as usize, expected.len(), "{:?}", bench.lines());
    }
}

#[test]
fn joined_at_any_record() {
    let peers = talk(6);
    let all = &peers.talk.records;
    for first in 1..all.len() {
        let bench = run(&all[first..]);
        assert_right(&bench);
        // Handshakes of TCP and HTTP/2 take five records, an exchange two.
        let missed = first.saturating_sub(5).div_ceil(2);
        assert_eq!(bench.notes.exchanges.len(), 6 - missed, "from {first} on: {:?}", bench.lines());
        let complete = bench.notes.exchanges.iter().filter(|joined| joined.exchange.complete).count();
        assert_eq!(complete, 6 - missed, "from {first} on: {:?}", bench.lines());
    }
}

#[test]
fn what_was_inserted_before_joining_is_unknown_and_what_came_since_is_exact() {
    let mut peers = talk(1);
    peers.talk.records.clear();
    // The path and the authority of the first request are in the table by now; the second one's path is new.
    let again = peers.request(3, "POST", "/1", END_STREAM);
    let new = peers.request(5, "POST", "/new", END_STREAM);
    peers.talk.client([again, new].concat());
    let answers = [peers.response(3, "200", END_STREAM), peers.response(5, "200", END_STREAM)].concat();
    peers.talk.server(answers);
    let again = peers.request(7, "POST", "/new", END_STREAM);
    peers.talk.client(again);
    let answer = peers.response(7, "200", END_STREAM);
    peers.talk.server(answer);
    let bench = peers.run();
    let expected =
        ["POST  200 0/0 [joined_midway,unknown_headers]", "POST /new 200 0/0", "POST /new 200 0/0"];
    assert_eq!(bench.lines(), expected);
    assert_eq!(of_stream(&bench, 5).authority, None);
}

#[test]
fn joined_within_a_body() {
    for cut in 1..40 {
        let mut peers = Peers::new(Side::Server);
        let request = peers.request(1, "POST", "/1", 0);
        let body: Vec<_> = (0..4).flat_map(|_| data(1, 0, [0; 300])).collect();
        peers.talk.client_in(100, [request, body].concat());
        peers.talk.records.drain(..cut.min(peers.talk.records.len()));
        peers.talk.client(data(1, END_STREAM, ""));
        let answer = [peers.response(1, "200", 0), data(1, END_STREAM, "/1")].concat();
        peers.talk.server(answer);
        (2..5).for_each(|index| exchange(&mut peers, index));
        let bench = peers.run();
        let later = bench
            .lines()
            .iter()
            .filter(|line| {
                line.ends_with("200 3/3") || line.ends_with("200 4/4") || line.ends_with("200 5/5")
            })
            .count();
        assert_eq!(later, 3, "{cut}: {:?}", bench.lines());
    }
}

#[test]
fn one_lost_record_costs_its_exchange_alone() {
    let peers = talk(6);
    for lost in 5..peers.talk.records.len() {
        let mut records = peers.talk.records.clone();
        records.remove(lost);
        let bench = run(&records);
        assert_right(&bench);
        let complete = bench.notes.exchanges.iter().filter(|joined| joined.exchange.complete).count();
        assert_eq!(complete, 5, "without {lost}: {:?}", bench.lines());
        assert_eq!(bench.counted(Anomaly::ProtocolError), 0);
    }
}

#[test]
fn a_gap_within_a_body_of_known_length_costs_nothing_but_its_bytes() {
    let mut peers = Peers::new(Side::Server);
    let head = peers.call(1, "/s.S/Put");
    peers.talk.client(&head);
    let body = data(1, END_STREAM, message(3000));
    for (index, part) in body.chunks(1000).enumerate() {
        peers.talk.client(part);
        if index == 1 {
            peers.talk.lost();
        }
    }
    let answer = [peers.answer(1), data(1, 0, message(1)), peers.status(1, "0")].concat();
    peers.talk.server(answer);
    let bench = peers.run();
    assert_eq!(bench.lines(), ["POST /s.S/Put 200 3005/6 [gap]"]);
    let call = of_stream(&bench, 1).grpc.as_deref().copied().unwrap();
    assert_eq!(call.request.map(|messages| (messages.count, messages.bytes)), Some((1, 3000)));
    assert_eq!(bench.total().opaque, 0);
}

#[test]
fn a_lost_end_is_no_end() {
    let mut peers = Peers::new(Side::Server);
    let requests = [peers.request(1, "GET", "/1", END_STREAM), peers.request(3, "GET", "/22", END_STREAM)];
    peers.talk.client(requests.concat());
    let heads = [peers.response(1, "200", 0), peers.response(3, "200", 0)].concat();
    peers.talk.server(heads).server([data(1, END_STREAM, "/1"), data(3, 0, "/")].concat()).lost();
    peers.talk.server(data(3, END_STREAM, "22"));
    peers.talk.client(frame(PING, 0, 0, [0; 8]));
    let bench = peers.run();
    assert_eq!(bench.lines(), ["GET /22 200 0/2 incomplete [gap]", "GET /1 200 0/0 incomplete [gap]"]);
    assert!(of_stream(&bench, 1).flow_control.is_none());
}

#[test]
fn what_is_never_heard_of_again_is_given_up_after_a_while() {
    let mut peers = Peers::new(Side::Server);
    let requests = peers.request(1, "GET", "/1", END_STREAM);
    peers.talk.client(requests);
    let answer = peers.response(1, "200", END_STREAM);
    peers.talk.server(answer).lost();
    exchange(&mut peers, 2);
    peers.talk.now += 11_000_000_000;
    exchange(&mut peers, 3);
    let mut bench = Bench::new(crate::Config::default());
    bench.records(&peers.talk.records);
    bench.tick(peers.talk.now + 1_000_000_000);
    let lines = bench.lines();
    assert!(lines.contains(&"GET /1 - 0/- incomplete [gap]".to_owned()), "{lines:?}");
    bench.finish();
}

#[test]
fn a_response_whose_head_comes_behind_a_gap_is_whole() {
    let mut peers = Peers::new(Side::Server);
    let requests = [peers.call(1, "/s.S/1"), peers.call(3, "/s.S/3")].concat();
    peers.talk.client([requests, data(1, END_STREAM, message(1)), data(3, END_STREAM, message(3))].concat());
    let first = [peers.answer(1), data(1, 0, message(1)), peers.status(1, "0")].concat();
    peers.talk.server(first).lost();
    // What the second answer's head refers to was inserted by the first one's.
    let block = peers.server_block(&[(":status", "200")]);
    let second = [frame(HEADERS, END_HEADERS, 3, block), data(3, 0, message(3))].concat();
    let status = peers.status(3, "5");
    peers.talk.server([second, status].concat()).client(frame(PING, 0, 0, [0; 8]));
    let bench = peers.run();
    assert_eq!(bench.lines(), ["POST /s.S/3 200 8/8 [gap]", "POST /s.S/1 - 6/- incomplete [gap]"]);
    let call = of_stream(&bench, 3).grpc.as_deref().copied().unwrap();
    assert_eq!(call.response.map(|messages| (messages.count, messages.bytes)), Some((1, 3)));
}

#[test]
fn a_response_that_goes_on_is_not_given_up() {
    let mut peers = Peers::new(Side::Server);
    let request = peers.request(1, "POST", "/1", 0);
    peers.talk.client(request);
    let answer = peers.response(1, "200", 0);
    peers.talk.server(answer).client([data(1, 0, "a"), data(1, END_STREAM, "b")].concat()).lost();
    peers.talk.client(frame(PING, 0, 0, [0; 8]));
    for _ in 0..5 {
        peers.talk.now += 4_000_000_000;
        peers.talk.server(data(1, 0, "x")).client(frame(PING, ACK, 0, [0; 8]));
    }
    peers.talk.server(data(1, END_STREAM, "x"));
    assert_eq!(peers.run().lines(), ["POST /1 200 0/6 incomplete [gap]"]);
}

#[test]
fn a_client_that_says_no_more_may_be_answered() {
    let mut peers = Peers::new(Side::Server);
    let requests = [peers.request(1, "GET", "/1", END_STREAM), peers.request(3, "POST", "/3", 0)].concat();
    peers.talk.client(requests).client_fin();
    peers.talk.now += 20_000_000_000;
    let answers = [peers.response(1, "200", END_STREAM), peers.response(3, "200", END_STREAM)].concat();
    peers.talk.server(answers);
    assert_eq!(peers.run().lines(), ["GET /1 200 0/0", "POST /3 200 0/0 incomplete [truncated]"]);
}

#[test]
fn other_protocols_that_are_joined_are_not_taken_for_it() {
    for first in [
        &b"\0\0\0\x2c\0\x12\0\x04\0\0\0\x01kafka-ish payload, long enough"[..],
        b"\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0",
        b"\x16\x03\x01\0\x05hello",
        b"\0\0\x10\x06\0\0\0\0\0not a ping of this length",
    ] {
        let mut talk = Talk::midway(Side::Server);
        talk.client(first).server(first).client(first).client_fin().server_fin();
        let bench = run(&talk.records);
        assert_eq!(bench.wire.stats().flows_http2, 0, "{first:?}");
        assert_eq!(bench.total().decoded, 0);
    }
}

#[test]
fn what_looked_like_it_and_is_not_is_forgotten() {
    let mut talk = Talk::midway(Side::Server);
    talk.client(frame(PING, 0, 0, [1; 8])).client("and then something else entirely");
    talk.client("GET /a HTTP/1.1\r\n\r\n").server(super::super::response(200, "hi"));
    let bench = run(&talk.records);
    assert_eq!(bench.lines(), ["GET /a 200 0/2 [joined_midway]"]);
    assert_eq!((bench.wire.stats().flows_http2, bench.wire.stats().flows_http1), (0, 1));
}

/// Found by fuzzing: half a header block behind a reset was taken for the middle of HTTP/2, and waited for ever.
#[test]
fn what_comes_behind_a_reset_is_no_beginning() {
    let mut talk = Talk::midway(Side::Client);
    talk.client("x").server_reset().client(frame(HEADERS, END_STREAM, 1, [0x88]));
    let bench = run(&talk.records);
    assert_eq!((bench.total().pending, bench.total().opaque), (0, 11));
}

/// Found by fuzzing: a first byte that could be anything waited for ever when the other end was found to speak HTTP/2.
#[test]
fn a_first_byte_does_not_outlive_the_guess() {
    let mut talk = Talk::new(Side::Client);
    talk.client([0]);
    talk.server("?").lost();
    talk.server(frame(WINDOW_UPDATE, 0, 0, [0, 0, 1, 0])).client_fin().server_fin();
    let bench = run(&talk.records);
    assert_eq!(bench.total().pending, 0);
}

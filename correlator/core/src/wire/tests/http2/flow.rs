//! SETTINGS and flow control.
use super::{super::Talk, peers::*};
use crate::{Anomaly, FlowControl, Side, wire::tests::talk::STEP};

const HEADER_TABLE_SIZE: u16 = 1;
const INITIAL_WINDOW_SIZE: u16 = 4;
const MAX_FRAME_SIZE: u16 = 5;

fn blocked(bench: &super::super::Bench, stream: u32) -> (u64, u64) {
    let FlowControl { request_blocked_ns, response_blocked_ns } =
        of_stream(bench, stream).flow_control.unwrap();
    (request_blocked_ns, response_blocked_ns)
}

#[test]
fn a_response_waits_for_its_window() {
    for side in [Side::Client, Side::Server] {
        let mut peers = Peers::silent(Talk::new(side));
        peers.talk.client([PREFACE, &settings(&[(INITIAL_WINDOW_SIZE, 100)])].concat());
        peers.talk.server([settings(&[]), ack()].concat()).client(ack());
        let request = peers.request(1, "GET", "/a", END_STREAM);
        peers.talk.client(request);
        let answer = peers.response(1, "200", 0);
        peers.talk.server([answer, data(1, 0, [0; 100])].concat());
        peers.talk.client(frame(PING, 0, 0, [0; 8])).client(number(WINDOW_UPDATE, 1, 50));
        peers.talk.now += 77 * STEP;
        peers.talk.server(data(1, END_STREAM, [0; 50]));
        let bench = peers.run();
        assert_eq!(bench.lines(), ["GET /a 200 0/150"]);
        assert_eq!(blocked(&bench, 1), (0, 2 * STEP));
    }
}

#[test]
fn an_upload_waits_for_the_connections_window() {
    let mut peers = Peers::new(Side::Client);
    let request = peers.request(1, "POST", "/a", 0);
    peers.talk.client(request);
    for _ in 0..3 {
        peers.talk.client(data(1, 0, [0; 16_384]));
    }
    peers.talk.client(data(1, 0, vec![0; 65_535 - 3 * 16_384]));
    peers.talk.server(number(WINDOW_UPDATE, 1, 1000)).server(number(WINDOW_UPDATE, 0, 1000));
    peers.talk.client(data(1, END_STREAM, [0; 1000]));
    let answer = peers.response(1, "200", END_STREAM);
    peers.talk.server(answer);
    assert_eq!(blocked(&peers.run(), 1), (2 * STEP, 0));
}

#[test]
fn a_changed_window_of_all_streams() {
    let mut peers = Peers::new(Side::Client);
    peers.talk.server(settings(&[(INITIAL_WINDOW_SIZE, 10)])).client(ack());
    let request = peers.request(1, "POST", "/a", 0);
    peers.talk.client([request, data(1, 0, [0; 10])].concat());
    peers
        .talk
        .server(settings(&[(INITIAL_WINDOW_SIZE, 20)]))
        .client([ack(), data(1, END_STREAM, [0; 9])].concat());
    let answer = peers.response(1, "200", END_STREAM);
    peers.talk.server(answer);
    assert_eq!(blocked(&peers.run(), 1), (STEP, 0));
}

#[test]
fn nothing_may_be_sent_before_the_first_update() {
    for side in [Side::Client, Side::Server] {
        let mut peers = Peers::silent(Talk::new(side));
        peers.talk.client([PREFACE, &settings(&[(INITIAL_WINDOW_SIZE, 0)])].concat());
        peers.talk.server([settings(&[(INITIAL_WINDOW_SIZE, 0)]), ack()].concat()).client(ack());
        let request = peers.request(1, "POST", "/a", 0);
        peers.talk.client(request);
        peers.talk.server(number(WINDOW_UPDATE, 1, 10)).client(data(1, END_STREAM, [0; 10]));
        let answer = peers.response(1, "200", 0);
        peers.talk.server(answer);
        peers.talk.now += 9 * STEP;
        peers.talk.client(number(WINDOW_UPDATE, 1, 5)).server(data(1, END_STREAM, [0; 5]));
        assert_eq!(blocked(&peers.run(), 1), (STEP, 10 * STEP));
    }
}

/// As many clients do, together with their request.
#[test]
fn a_window_that_is_opened_before_the_answer_is_open() {
    let mut peers = Peers::silent(Talk::new(Side::Client));
    peers.talk.client([PREFACE, &settings(&[(INITIAL_WINDOW_SIZE, 0)])].concat());
    peers.talk.server([settings(&[]), ack()].concat()).client(ack());
    let request = peers.request(1, "GET", "/a", END_STREAM);
    peers.talk.client([request, number(WINDOW_UPDATE, 1, 100)].concat());
    let answer = peers.response(1, "200", 0);
    peers.talk.server(answer).client(number(WINDOW_UPDATE, 1, 100));
    peers.talk.server(data(1, END_STREAM, [0; 100]));
    assert_eq!(blocked(&peers.run(), 1), (0, 0));
}

#[test]
fn a_window_that_shrinks_blocks_a_stream() {
    let mut peers = Peers::new(Side::Client);
    let request = peers.request(1, "POST", "/a", 0);
    peers.talk.client([request, data(1, 0, [0; 100])].concat());
    peers.talk.server(settings(&[(INITIAL_WINDOW_SIZE, 50)])).client(ack());
    peers.talk.server(settings(&[(INITIAL_WINDOW_SIZE, 200)])).client([ack(), data(1, 0, [0; 10])].concat());
    peers.talk.server(settings(&[(INITIAL_WINDOW_SIZE, 0)])).client(ack());
    peers.talk.server(number(WINDOW_UPDATE, 1, 1000)).client(data(1, END_STREAM, [0; 10]));
    let answer = peers.response(1, "200", END_STREAM);
    peers.talk.server(answer);
    assert_eq!(blocked(&peers.run(), 1), (4 * STEP, 0));
}

/// A response that used up its window, and what ends it.
fn stalled(end: impl FnOnce(&mut Peers)) -> (u64, u64) {
    let mut peers = Peers::silent(Talk::new(Side::Client));
    peers.talk.client([PREFACE, &settings(&[(INITIAL_WINDOW_SIZE, 100)])].concat());
    peers.talk.server([settings(&[]), ack()].concat()).client(ack());
    let request = peers.request(1, "GET", "/a", END_STREAM);
    peers.talk.client(request);
    let answer = [peers.response(1, "200", 0), data(1, 0, [0; 100])].concat();
    peers.talk.server(answer);
    peers.talk.now += 6 * STEP;
    end(&mut peers);
    blocked(&peers.run(), 1)
}

#[test]
fn a_stream_that_ends_while_it_is_blocked_was_blocked_until_then() {
    let blocked_by = |end: &dyn Fn(&mut Talk)| stalled(|peers| end(&mut peers.talk));
    for end in [
        &(|talk: &mut Talk| _ = talk.client(number(RST_STREAM, 1, 8))) as &dyn Fn(&mut Talk),
        &|talk| _ = talk.server(number(RST_STREAM, 1, 2)),
        &|talk| _ = talk.server(frame(GOAWAY, 0, 0, [0; 8])),
        &|talk| _ = talk.server_fin(),
        &|talk| _ = talk.server_reset(),
    ] {
        assert_eq!(blocked_by(end), (0, 7 * STEP));
    }
    // Nothing happened since: it is not known to have waited for longer.
    assert_eq!(stalled(|_| {}), (0, 0));
}

#[test]
fn a_stream_that_could_have_gone_on_was_not_blocked() {
    let opened = |peers: &mut Peers| {
        peers.talk.client(number(WINDOW_UPDATE, 1, 10)).server_fin();
    };
    assert_eq!(stalled(opened), (0, 0));
    // What was sent to its end needs no window.
    let trailers = |peers: &mut Peers| {
        let status = peers.status(1, "0");
        peers.talk.server(status).server_fin();
    };
    assert_eq!(stalled(trailers), (0, 0));
    let ended = |peers: &mut Peers| {
        peers.talk.server(data(1, END_STREAM, "")).server_fin();
    };
    assert_eq!(stalled(ended), (0, 0));
}

#[test]
fn an_upload_that_was_blocked_when_its_client_left() {
    let mut peers = Peers::new(Side::Client);
    peers.talk.server(settings(&[(INITIAL_WINDOW_SIZE, 10)])).client(ack());
    let request = peers.request(1, "POST", "/a", 0);
    peers.talk.client([request, data(1, 0, [0; 10])].concat());
    peers.talk.now += 4 * STEP;
    peers.talk.client_fin();
    peers.talk.now += 100 * STEP;
    let answer = peers.response(1, "400", END_STREAM);
    peers.talk.server(answer);
    assert_eq!(blocked(&peers.run(), 1), (5 * STEP, 0));
}

/// A header table that shrinks and grows again, and blocks on either side of each acknowledgement.
#[test]
fn the_header_tables_size_changes_when_it_is_acknowledged() {
    let mut peers = Peers::new(Side::Server);
    let ask = |peers: &mut Peers, stream: u32, size: Option<u32>| {
        let mut block = Vec::new();
        if let Some(size) = size {
            peers.client.update_max_dynamic_size(size, &mut block).unwrap();
        }
        let rest = peers.request(stream, "GET", &format!("/{stream}"), END_STREAM);
        block.extend_from_slice(&rest[9..]);
        peers.talk.client(frame(HEADERS, END_HEADERS | END_STREAM, stream, block));
        let answer = peers.response(stream, "200", END_STREAM);
        peers.talk.server(answer);
    };
    ask(&mut peers, 1, None);
    peers.talk.server(settings(&[(HEADER_TABLE_SIZE, 100_000)]));
    ask(&mut peers, 3, None);
    peers.talk.client(ack());
    ask(&mut peers, 5, Some(60_000));
    peers.talk.server(settings(&[(HEADER_TABLE_SIZE, 0)])).client(ack());
    ask(&mut peers, 7, Some(0));
    peers.talk.server(settings(&[(HEADER_TABLE_SIZE, 4096)])).client(ack());
    ask(&mut peers, 9, Some(4096));
    ask(&mut peers, 11, None);
    let bench = peers.run();
    let expected: Vec<_> = [1, 3, 5, 7, 9, 11].map(|stream| format!("GET /{stream} 200 0/0")).into();
    assert_eq!(bench.lines(), expected);
    assert_eq!(bench.counted(Anomaly::ProtocolError), 0);
}

#[test]
fn a_table_above_the_limit_is_an_error() {
    let mut peers = Peers::new(Side::Server);
    let mut block = Vec::new();
    peers.client.update_max_dynamic_size(5000, &mut block).unwrap();
    block.extend_from_slice(&peers.request(1, "GET", "/1", END_STREAM)[9..]);
    peers.talk.client(frame(HEADERS, END_HEADERS | END_STREAM, 1, block));
    assert_eq!(peers.run().counted(Anomaly::ProtocolError), 2);
}

#[test]
fn longer_frames_where_they_are_announced() {
    let mut peers = Peers::new(Side::Client);
    peers.talk.server(settings(&[(MAX_FRAME_SIZE, 1 << 20), (INITIAL_WINDOW_SIZE, 1 << 30)]));
    peers.talk.server(number(WINDOW_UPDATE, 0, 1 << 30)).client(ack());
    let request = peers.request(1, "POST", "/a", 0);
    peers.talk.client(request).client_in(10_000, data(1, END_STREAM, vec![0; 1 << 20]));
    let answer = peers.response(1, "200", END_STREAM);
    peers.talk.server(answer);
    assert_eq!(peers.run().lines(), ["POST /a 200 1048576/0"]);
}

//! Whatever the ends send, it is counted and bounded, and harms nobody else.
use super::{
    super::{Bench, Talk, response},
    peers::*,
};
use crate::{Anomaly, Config, Side};

/// Connections of an attacker beside a good one, which must come through whole.
fn beside(attack: impl FnOnce(&mut Bench)) -> Bench {
    let mut bench = Bench::new(Config::default());
    let mut good = Talk::from_port(Side::Server, 1);
    good.client("POST /good HTTP/1.1\r\nContent-Length: 4\r\n\r\nab");
    bench.records(&good.records);
    attack(&mut bench);
    bounded(&bench);
    good.records.clear();
    good.client("cd").server(response(200, "hi"));
    bench.records(&good.records);
    bench.finish();
    assert!(bench.lines().contains(&"POST /good 200 4/2".to_owned()));
    bench
}

/// No table holds more than it may.
fn bounded(bench: &Bench) {
    for table in bench.wire.tables() {
        assert!(table.entries <= table.limit, "{table:?}");
    }
}

/// A client that sends this behind its preface, in segments of this size.
fn client_sends(size: usize, bytes: impl AsRef<[u8]>) -> Bench {
    let mut peers = Peers::new(Side::Server);
    peers.talk.client_in(size, bytes);
    beside(|bench| {
        peers.talk.records.iter().for_each(|record| bench.wire.record(record, &mut bench.notes));
        bench.check_accounts();
    })
}

/// Bytes that are no frames.
fn noise(len: u32) -> Vec<u8> {
    (0..len).map(|index| (index.wrapping_mul(2_654_435_761) >> 13) as u8 | 1).collect()
}

#[test]
fn garbage_behind_the_preface() {
    let bench = client_sends(1000, noise(100_000));
    assert_eq!((bench.notes.exchanges.len(), bench.counted(Anomaly::ProtocolError)), (1, 1));
    assert_eq!(bench.total().opaque, 100_000 - 9);
    let mut talk = Talk::new(Side::Server);
    talk.client([PREFACE, &noise(5000)].concat()).server(noise(5000));
    let bench = super::super::run(&talk.records);
    assert_eq!((bench.notes.exchanges.len(), bench.counted(Anomaly::ProtocolError)), (0, 2));
}

#[test]
fn a_frame_of_sixteen_mebibytes_is_announced() {
    let header = [0xff, 0xff, 0xff, 0, 0, 0, 0, 0, 1];
    let bench = client_sends(1448, [&header[..], &noise(100_000)].concat());
    assert_eq!(bench.counted(Anomaly::ProtocolError), 1);
}

#[test]
fn floods_of_small_frames() {
    for (kind, flags, stream, payload) in [
        (SETTINGS, 0, 0, &[0, 4, 0, 0, 0, 1, 0, 1, 0, 0, 0, 2][..]),
        (SETTINGS, ACK, 0, b""),
        (PING, 0, 0, &[0; 8]),
        (WINDOW_UPDATE, 0, 0, &[0x7f, 0xff, 0xff, 0xff]),
        (WINDOW_UPDATE, 0, 77, &[0x7f, 0xff, 0xff, 0xff]),
        (PRIORITY, 0, 7, &[0; 5]),
        (GOAWAY, 0, 0, &[0; 8]),
        (DATA, 0, 1, b""),
        (DATA, 0, 0, b"x"),
        (RST_STREAM, 0, 99, &[0, 0, 0, 8]),
        (CONTINUATION, 0, 1, b"x"),
        (0x77, 0xff, 3, b"x"),
    ] {
        let flood = frame(kind, flags, stream, payload).repeat(20_000);
        let bench = client_sends(1448, flood);
        assert_eq!((bench.notes.exchanges.len(), bench.total().opaque), (1, 0), "{kind}");
    }
}

fn go_away(last: u32) -> Vec<u8> {
    frame(GOAWAY, 0, 0, [last.to_be_bytes(), [0; 4]].concat())
}

/// How many streams 5,000 of these make it look at, with 1,024 open ones.
fn looks(open: &Talk, each: impl Fn(&mut Talk, u32)) -> (u64, Bench) {
    let mut bench = Bench::new(Config::default());
    bench.records(&open.records);
    let visits = |bench: &Bench| bench.wire.table.peek(0).unwrap().visits();
    let before = visits(&bench);
    let mut talk = Talk { records: Vec::new(), ..open.clone() };
    (0..5000).for_each(|round| each(&mut talk, round));
    bench.records(&talk.records);
    (visits(&bench) - before, bench)
}

#[test]
fn no_frame_segment_or_call_makes_it_look_at_all_streams() {
    let mut peers = Peers::new(Side::Server);
    let requests: Vec<_> =
        (1..2048).step_by(2).flat_map(|stream| peers.request(stream, "POST", "/", 0)).collect();
    peers.talk.client_in(1448, requests);
    let open = &peers.talk;
    // Of the streams that the server says it looks at the last falls from one to the next, and all are below it.
    let (visits, bench) = looks(open, |talk, round| _ = talk.server(go_away(10_000 - round)));
    assert_eq!((visits, bench.notes.exchanges.len()), (0, 0));
    let (visits, bench) = looks(open, |talk, round| _ = talk.server(go_away(2047 - round.min(2000))));
    assert!(visits <= 2 * 1000 && bench.notes.exchanges.len() == 1000, "{visits}: each of them once");
    let (visits, _) = looks(open, |talk, _| _ = talk.client_at(1_000_201, [0; 100]));
    assert!(visits <= 2 * 1024, "{visits}: the same segment is no news");
    let (visits, _) =
        looks(open, |talk, round| _ = talk.client(data(2 * (round % 1024) + 1, 0, "x")).pod_read(10));
    assert!(visits <= 4 * 5000, "{visits}");
}

#[test]
fn a_header_block_without_end() {
    let mut flood = frame(HEADERS, 0, 1, [0x82; 1000]);
    for _ in 0..5000 {
        flood.extend(frame(CONTINUATION, 0, 1, [0x82; 1000]));
    }
    let mut peers = Peers::new(Side::Server);
    let request = peers.request(3, "GET", "/3", END_STREAM);
    flood.extend(frame(CONTINUATION, END_HEADERS, 1, b""));
    flood.extend(request);
    let bench = client_sends(1448, flood);
    assert_eq!(bench.counted(Anomaly::HeaderTooLarge), 1);
    let lines = bench.lines();
    assert!(lines.contains(&"GET /3 - 0/- incomplete [request_without_response]".to_owned()), "{lines:?}");
}

#[test]
fn many_connections_with_half_a_header_block() {
    beside(|bench| {
        for port in 2..12_000_u16 {
            let mut peers = Peers::silent(Talk::from_port(Side::Server, port));
            peers.talk.client([PREFACE, &settings(&[])].concat());
            peers.talk.client(frame(HEADERS, 0, 1, [0; 8000]));
            peers.talk.records.iter().for_each(|record| bench.wire.record(record, &mut bench.notes));
        }
        let tables = bench.wire.tables();
        let heads = tables.iter().find(|table| table.name == "partial_head_bytes").unwrap();
        assert!(heads.evicted > 0 && heads.entries > 0, "{heads:?}");
    });
}

#[test]
fn a_bomb() {
    let mut block = vec![0x40, 1, b'a', 0x7f, 0x81, 0x1e];
    block.extend([b'v'; 4000]);
    block.extend([0xbe; 4000]);
    let bench = client_sends(1448, frame(HEADERS, END_HEADERS | END_STREAM, 1, block).repeat(100));
    bounded(&bench);
}

#[test]
fn rapid_reset() {
    let mut peers = Peers::new(Side::Server);
    let mut flood = Vec::new();
    for stream in (1..20_000).step_by(2) {
        flood.extend(peers.request(stream, "GET", "/", END_STREAM));
        flood.extend(number(RST_STREAM, stream, 8));
    }
    let bench = client_sends(1448, flood);
    let reset = bench.notes.exchanges.iter().filter(|joined| joined.exchange.reset.is_some()).count();
    assert_eq!(reset, 10_000);
}

#[test]
fn more_streams_than_may_be_open() {
    let mut peers = Peers::new(Side::Server);
    let mut flood = Vec::new();
    for stream in (1..6001).step_by(2) {
        flood.extend(peers.request(stream, "GET", "/", END_STREAM));
    }
    let bench = client_sends(1448, flood);
    assert_eq!(bench.counted(Anomaly::TooManyPending), 3000 - 1024);
    assert_eq!(bench.notes.exchanges.len(), 3001);
}

#[test]
fn streams_that_nobody_may_open() {
    let mut peers = Peers::new(Side::Server);
    let mut bytes = Vec::new();
    for stream in [0, 2, 5, 3, 5, 0x7fff_ffff, 7] {
        bytes.extend(peers.request(stream, "GET", "/", END_STREAM));
    }
    let bench = client_sends(1448, bytes);
    let mut streams: Vec<_> = bench.notes.exchanges.iter().map(|joined| joined.exchange.stream_id).collect();
    streams.sort();
    assert_eq!(streams, [0, 5, 0x7fff_ffff], "0 is the good one's");
}

#[test]
fn responses_that_nobody_asked_for() {
    let mut peers = Peers::new(Side::Server);
    let response = [peers.response(1, "200", 0), data(1, END_STREAM, "x")].concat();
    peers.talk.server(response);
    let bench = peers.run();
    assert_eq!((bench.notes.exchanges.len(), bench.counted(Anomaly::ResponseWithoutRequest)), (0, 1));
}

#[test]
fn a_message_goes_on_behind_its_end() {
    let mut peers = Peers::new(Side::Server);
    let request = peers.request(1, "POST", "/a", 0);
    peers.talk.client([request, data(1, END_STREAM, "abc"), data(1, END_STREAM, "more")].concat());
    let answer =
        [peers.response(1, "200", END_STREAM), data(1, 0, "x"), peers.response(1, "500", 0)].concat();
    peers.talk.server(answer);
    assert_eq!(peers.run().lines(), ["POST /a 200 3/0"]);
}

#[test]
fn segments_of_one_byte() {
    let mut peers = Peers::new(Side::Server);
    let request = [peers.call(1, "/s.S/M"), data(1, END_STREAM, message(20_000 - 5)).repeat(1)].concat();
    let body = data(1, 0, message(100)).repeat(1000);
    let request = [&request[..request.len() - 20_009], &body, &data(1, END_STREAM, "")].concat();
    peers.talk.client_in(1, request);
    let bench = peers.run();
    let call = of_stream(&bench, 1).grpc.as_deref().copied().unwrap();
    assert_eq!(call.request.map(|messages| messages.count), Some(1000));
}

#[test]
fn a_block_that_is_none() {
    let mut peers = Peers::new(Side::Server);
    let bad = frame(HEADERS, END_HEADERS | END_STREAM, 1, [0xff; 20]);
    let short = frame(HEADERS, END_HEADERS | PADDED, 3, [200, 1]);
    let good = peers.request(5, "GET", "/5", END_STREAM);
    peers.talk.client([bad, short, good].concat());
    let answer = peers.response(5, "200", END_STREAM);
    peers.talk.server(answer);
    let bench = peers.run();
    assert!(bench.lines().contains(&"GET /5 200 0/0".to_owned()), "{:?}", bench.lines());
    assert!(bench.counted(Anomaly::ProtocolError) > 0);
}

#[test]
fn header_tables_of_all_connections_together_are_bounded() {
    // Literals of 4,000 bytes that go into the table: as many as 64 KiB hold.
    let literal = [&[0x40, 1, b'a', 0x7f, 0xa1, 0x1e][..], &[b'v'; 4000]].concat();
    let bench = beside(|bench| {
        for port in 2..1200_u16 {
            let mut peers = Peers::silent(Talk::from_port(Side::Server, port));
            peers.talk.client([PREFACE, &settings(&[])].concat());
            peers.talk.server(settings(&[(1, 65_536)])).client(ack());
            let grow = [0x3f, 0xe1, 0xff, 3];
            peers.talk.client(frame(HEADERS, END_HEADERS | END_STREAM, 1, [&grow[..], &literal].concat()));
            for stream in (3..33).step_by(2) {
                peers.talk.client(frame(HEADERS, END_HEADERS | END_STREAM, stream, &literal));
            }
            peers.talk.records.iter().for_each(|record| bench.wire.record(record, &mut bench.notes));
        }
        let tables = bench.wire.tables();
        let tables = tables.iter().find(|table| table.name == "header_table_bytes").unwrap();
        assert!(tables.evicted > 0 && tables.entries > tables.limit / 2, "{tables:?}");
    });
    let tables = bench.wire.tables();
    let left = tables.iter().find(|table| table.name == "header_table_bytes").unwrap();
    assert_eq!(left.entries, 0, "connections that are over hold nothing");
}

/// RFC 9113, 6.10: without HEADERS before it a CONTINUATION begins nothing; receivers end the connection.
#[test]
fn a_continuation_of_nothing_is_no_request() {
    let mut peers = Peers::new(Side::Server);
    let block = peers.client_block(&[(":method", "GET"), (":scheme", "http"), (":path", "/index.html")]);
    let bench = client_sends(1448, frame(CONTINUATION, END_HEADERS, 1, block));
    assert_eq!(bench.notes.exchanges.len(), 1, "{:?}", bench.lines());
    assert_eq!(bench.counted(Anomaly::ProtocolError), 1);
}

/// What of a block is too much to look at is unknown, not absent.
#[test]
fn fields_behind_a_bomb_are_unknown() {
    let mut peers = Peers::new(Side::Server);
    // 80 fields of 1,001 bytes, and a path of 1,000 behind them.
    let big = [&[0x40, 1, b'a', 0x7f, 0xe9, 6][..], &[b'v'; 1000]].concat();
    let path = [&[0x04, 0x7f, 0xe9, 6][..], &[b'p'; 1000]].concat();
    let block = [&[0x82, 0x86][..], &big, &[0xbe; 79], &path].concat();
    peers.talk.client(frame(HEADERS, END_HEADERS | END_STREAM, 1, block));
    let answer = peers.response(1, "200", END_STREAM);
    peers.talk.server(answer);
    assert_eq!(peers.run().lines(), ["GET  200 0/0 [header_too_large,unknown_headers]"]);
}

#[test]
fn few_that_hold_much_leave_room_for_others() {
    let path = format!("/{}", "p".repeat(8000));
    let mut bench = Bench::new(Config::default());
    for port in 2..42 {
        // The last ones fill the room that is left.
        let path = if port < 40 { path.as_str() } else { "" };
        let mut peers = Peers::silent(Talk::from_port(Side::Server, port));
        peers.talk.client([PREFACE, &settings(&[])].concat());
        for stream in (1..2000).step_by(2) {
            let literal = match path {
                "" => vec![0x82, 0x84, 0x86],
                path => [&[0x82, 0x86, 0x04, 0x7f, 0xc2, 0x3d][..], path.as_bytes()].concat(),
            };
            peers.talk.client(frame(HEADERS, END_HEADERS | END_STREAM, stream, literal));
        }
        peers.talk.records.iter().for_each(|record| bench.wire.record(record, &mut bench.notes));
    }
    bounded(&bench);
    bench.notes.exchanges.clear();
    let mut good = Talk::from_port(Side::Server, 1);
    good.cookie = 0;
    good.records.clear();
    good.next = [1_000_000, 5_000_000];
    good.handshake();
    good.client("GET /good HTTP/1.1\r\n\r\n").server(response(200, "hi"));
    bench.records(&good.records);
    assert_eq!(bench.lines(), ["GET /good 200 0/2"]);
    let mut good = Peers::silent(Talk { cookie: 0, ..Talk::midway(Side::Server) });
    good.talk.handshake();
    let request = good.request(1, "GET", "/two", END_STREAM);
    good.talk.client([PREFACE, &settings(&[]), &request].concat());
    let answer = [settings(&[]), good.response(1, "200", END_STREAM)].concat();
    good.talk.server(answer);
    bench.records(&good.talk.records);
    assert_eq!(bench.lines(), ["GET /good 200 0/2", "GET /two 200 0/0"]);
    bench.finish();
}

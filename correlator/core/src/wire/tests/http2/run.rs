//! Large bodies whose frames the programs read by themselves: everything is as if all of it had been captured.
use proptest::prelude::*;
use weft_abi::{KIND_FRAME_RUN, KIND_UPDATE_RUN, WANT_FRAMES, WANT_UPDATES};

use super::{
    super::{Bench, program::Watched, run},
    peers::*,
};
use crate::{Anomaly, JoinedExchange, Side};

const INITIAL_WINDOW_SIZE: u16 = 4;

/// Everything that is said of exchanges, windows and all.
fn told(bench: &Bench) -> Vec<String> {
    bench.notes.exchanges.iter().map(|JoinedExchange { exchange, .. }| format!("{exchange:?}")).collect()
}

/// The same as without a program, late by any number of records; gives the most that was saved.
fn assert_same(segments: &[Vec<u8>]) -> Watched {
    let plain = run(segments);
    let mut best: Option<Watched> = None;
    for (lag, take) in [(0, 1000), (3, 17), (11, 5)] {
        let watched = Watched::pass(segments, lag, take);
        assert_eq!(told(&watched.bench), told(&plain), "{lag} records late");
        assert_eq!(watched.bench.total(), plain.total());
        run(&watched.records);
        if best.as_ref().is_none_or(|best| watched.records.len() < best.records.len()) {
            best = Some(watched);
        }
    }
    best.unwrap()
}

fn kinds(watched: &Watched, kind: u8) -> usize {
    watched.records.iter().filter(|record| record[0] == kind).count()
}

/// A connection on which the server may send so much of a stream.
fn windows(connection: u32, stream: u32) -> Peers {
    let mut peers = Peers::silent(super::super::Talk::new(Side::Client));
    peers.talk.capture = usize::MAX;
    let more = number(WINDOW_UPDATE, 0, connection - 65_535);
    peers.talk.client([PREFACE, &settings(&[(INITIAL_WINDOW_SIZE, stream)]), &more].concat());
    peers.talk.server([settings(&[]), ack()].concat()).client(ack());
    peers
}

/// A download of frames of this size, until so much of it came, in segments of that size.
fn download(peers: &mut Peers, frame: usize, bytes: usize, segment: usize) {
    let request = peers.request(1, "GET", "/big", END_STREAM);
    peers.talk.client(request);
    let head = peers.response(1, "200", 0);
    peers.talk.server(head);
    let frames: Vec<_> = (0..bytes / frame).flat_map(|_| data(1, 0, vec![b'x'; frame])).collect();
    peers.talk.server_in(segment, frames);
}

#[test]
fn a_download_is_few_records() {
    let mut peers = windows(1 << 30, 1 << 30);
    download(&mut peers, 16_384, 4 << 20, 40_000);
    peers.talk.server(data(1, END_STREAM, "end"));
    let watched = assert_same(&peers.talk.records);
    assert_eq!(watched.bench.lines(), ["GET /big 200 0/4194307"]);
    assert!(watched.records.len() < 20 && kinds(&watched, KIND_FRAME_RUN) > 0, "{}", watched.records.len());
}

/// The receiver opens the windows all the time; once it waits until they are used up.
#[test]
fn used_up_windows_are_seen_as_ever() {
    let mut peers = windows(200_000, 150_000);
    download(&mut peers, 10_000, 100_000, 9000);
    for round in 0..60_u32 {
        peers.talk.client([number(WINDOW_UPDATE, 0, 30_000), number(WINDOW_UPDATE, 1, 30_000)].concat());
        let frames: Vec<_> = (0..3).flat_map(|_| data(1, 0, [b'x'; 10_000])).collect();
        peers.talk.server_in(9000, frames);
        if round == 30 {
            peers.talk.server_in(9000, [data(1, 0, [1; 16_384]), data(1, 0, [1; 16_384])].concat());
            peers
                .talk
                .server([data(1, 0, [1; 10_000]), data(1, 0, [1; 50_000 - 2 * 16_384 - 10_000])].concat());
            peers.talk.now += 77_000;
            peers.talk.client(number(WINDOW_UPDATE, 0, 100_000));
            peers.talk.now += 5000;
            peers.talk.client(number(WINDOW_UPDATE, 1, 100_000));
        }
    }
    peers.talk.server(data(1, END_STREAM, "end"));
    let watched = assert_same(&peers.talk.records);
    let blocked = of_stream(&watched.bench, 1).flow_control.unwrap().response_blocked_ns;
    assert_eq!(blocked, 77_000 + 5000 + 3 * super::super::talk::STEP - super::super::talk::STEP);
    assert!(kinds(&watched, KIND_UPDATE_RUN) > 0 && watched.records.len() < 120, "{}", watched.records.len());
}

#[test]
fn what_is_no_plain_data_is_captured() {
    let mut peers = windows(1 << 30, 1 << 30);
    download(&mut peers, 16_384, 200_000, 20_000);
    let request = peers.request(3, "GET", "/small", END_STREAM);
    peers.talk.client(request);
    let answer = [peers.response(3, "200", 0), data(3, END_STREAM, "small")].concat();
    let padded = frame(DATA, PADDED, 1, [&[9][..], &[b'x'; 100], &[0; 9]].concat());
    let bytes = [data(1, 0, [b'x'; 3000]), answer, data(1, 0, [b'x'; 3000]), padded, data(1, 0, "")].concat();
    peers.talk.server_in(1400, bytes);
    download_more(&mut peers, 100_000);
    let trailers = peers.status(1, "0");
    peers.talk.server(trailers);
    let watched = assert_same(&peers.talk.records);
    assert_eq!(watched.bench.lines(), ["GET /small 200 0/5", "GET /big 200 0/302708"]);
}

fn download_more(peers: &mut Peers, bytes: usize) {
    let frames: Vec<_> = (0..bytes / 5000).flat_map(|_| data(1, 0, [b'x'; 5000])).collect();
    peers.talk.server_in(1400, frames);
}

/// The body is what HTTP/2 looks like, of the same stream: whatever the programs take it for, user space knows better.
#[test]
fn a_body_of_frames_deceives_nobody() {
    let mut peers = windows(1 << 30, 1 << 30);
    let request = peers.request(1, "GET", "/dump", END_STREAM);
    peers.talk.client(request);
    let head = peers.response(1, "200", 0);
    peers.talk.server(head);
    let inner: Vec<_> = (0..1000).flat_map(|_| data(1, 0, [b'x'; 700])).collect();
    let outer: Vec<_> = inner.chunks(16_384).flat_map(|part| data(1, 0, part)).collect();
    peers.talk.server_in(30_000, outer).server(data(1, END_STREAM, ""));
    let watched = assert_same(&peers.talk.records);
    assert_eq!(watched.bench.lines(), ["GET /dump 200 0/709000"]);
}

#[test]
fn a_lost_segment_costs_its_bytes_only() {
    let mut peers = windows(1 << 30, 1 << 30);
    download(&mut peers, 16_384, 1 << 20, 3000);
    peers.talk.server(data(1, END_STREAM, ""));
    let place = peers.talk.records.len() / 2;
    // Within a payload: in 16,393 bytes one segment of six has a header.
    for lost in 0..6 {
        let mut segments = peers.talk.records.clone();
        segments.remove(place + lost);
        let watched = Watched::pass(&segments, 3, 1000);
        let plain = run(&segments);
        assert_eq!(watched.bench.lines(), plain.lines());
        assert_eq!(watched.bench.counted(Anomaly::Gap), 1);
        assert_eq!(watched.bench.total(), plain.total());
    }
}

/// A header of which a part is in one run, and the next part in another.
#[test]
fn a_header_goes_over_the_ends_of_runs() {
    let mut peers = windows(1 << 30, 1 << 30);
    download(&mut peers, 16_384, 1 << 17, 20_000);
    for frames in 0..20_u8 {
        let frame = [data(1, 0, vec![b'x'; 600 + usize::from(frames)]), data(1, 0, "y")].concat();
        peers.talk.server_in(2, frame);
    }
    peers.talk.server(data(1, END_STREAM, ""));
    let plain = run(&peers.talk.records);
    for take in [1, 2, 3] {
        let watched = Watched::pass(&peers.talk.records, 0, take);
        assert_eq!(told(&watched.bench), told(&plain), "{take}");
        assert_eq!(watched.bench.total(), plain.total());
        assert!(kinds(&watched, KIND_FRAME_RUN) > 100);
    }
}

#[test]
fn a_run_that_cannot_be_there_is_a_gap() {
    let mut peers = windows(1 << 30, 1 << 30);
    download(&mut peers, 16_384, 1 << 20, 20_000);
    peers.talk.server(data(1, END_STREAM, ""));
    let watched = Watched::pass(&peers.talk.records, 0, 1000);
    let place = watched.records.iter().position(|record| record[0] == KIND_FRAME_RUN).unwrap();
    let fields = [
        std::mem::offset_of!(weft_abi::FramedRun, counts),
        std::mem::offset_of!(weft_abi::FramedRun, counts) + 4,
        std::mem::offset_of!(weft_abi::FramedRun, stream_id),
        std::mem::offset_of!(weft_abi::FramedRun, left),
    ];
    for field in fields {
        let mut records = watched.records.clone();
        records[place][field] ^= 2;
        let bench = run(&records);
        assert!(bench.total().opaque > 0 && bench.lines()[0].contains("[gap]"), "{:?}", bench.lines());
    }
    let mut records = watched.records.clone();
    records[place][std::mem::offset_of!(weft_abi::FramedRun, have)] = 9;
    assert_eq!(run(&records).wire.stats().malformed, 1);
}

#[test]
fn only_large_bodies_without_messages_are_left_out() {
    let wants = |stream: u32, bytes: usize| {
        let mut peers = windows(1 << 30, 1 << 30);
        let head = [peers.request(1, "POST", "/a", 0), peers.call(3, "/s.S/M")].concat();
        peers.talk.client(head);
        let frames: Vec<_> = (0..bytes / 1000).flat_map(|_| data(stream, 0, [0; 1000])).collect();
        peers.talk.client_in(5000, [frames, data(stream, 0, [0; 16_384])].concat());
        let bench = run(&peers.talk.records);
        bench.notes.wants.iter().map(|(_, want)| want.map(|want| want.kind)).collect::<Vec<_>>()
    };
    assert_eq!(wants(1, 40_000), []);
    assert_eq!(wants(3, 100_000), []);
    assert_eq!(wants(1, 100_000), [Some(WANT_FRAMES), Some(WANT_UPDATES), None, None]);
}

/// What one end does next.
#[derive(Clone, Debug)]
enum Step {
    Data(u32, usize),
    Update(u32, u32),
    Ping,
    Padded(usize),
    Wait(u64),
    Settings(u32),
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        20 => (1..17_000_usize).prop_map(|size| Step::Data(1, size)),
        2 => (0..3000_usize).prop_map(|size| Step::Data(3, size)),
        8 => (prop::bool::ANY, 1..20_000_u32).prop_map(|(stream, by)| Step::Update(u32::from(stream), by)),
        1 => Just(Step::Ping),
        1 => (1..200_usize).prop_map(Step::Padded),
        2 => (1..50_000_u64).prop_map(Step::Wait),
        1 => (60_000..200_000_u32).prop_map(Step::Settings),
    ]
}

fn take(peers: &mut Peers, step: &Step, segment: usize) {
    match *step {
        Step::Data(stream, size) => peers.talk.server_in(segment, data(stream, 0, vec![b'x'; size])),
        Step::Update(stream, by) => peers.talk.client(number(WINDOW_UPDATE, stream, by)),
        Step::Ping => peers.talk.client(frame(PING, 0, 0, [0; 8])).server(frame(PING, ACK, 0, [0; 8])),
        Step::Padded(size) => {
            let payload = [&[3][..], &vec![b'x'; size], &[0; 3]].concat();
            peers.talk.server_in(segment, frame(DATA, PADDED, 1, payload))
        }
        Step::Wait(time) => {
            peers.talk.now += time;
            &mut peers.talk
        }
        Step::Settings(window) => peers.talk.client(settings(&[(INITIAL_WINDOW_SIZE, window)])).server(ack()),
    };
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 96, ..ProptestConfig::default() })]

    /// However a transfer goes, is cut and is late: windows, streams beside it and all.
    #[test]
    fn any_transfer_is_as_if_all_was_captured(
        steps in prop::collection::vec(step(), 1..120),
        segment in prop_oneof![Just(1400_usize), Just(64_000), 1..4000_usize],
        frames in 1..17_000_usize,
        lag in 0..12_usize,
        take_each in 2..60_usize,
    ) {
        let mut peers = windows(300_000, 200_000);
        let beside = peers.request(3, "GET", "/beside", END_STREAM);
        peers.talk.client(beside);
        let head = peers.response(3, "200", 0);
        peers.talk.server(head);
        download(&mut peers, frames, 80_000, segment);
        steps.iter().for_each(|step| take(&mut peers, step, segment));
        peers.talk.server([data(3, END_STREAM, ""), data(1, END_STREAM, "end")].concat());
        let segments = &peers.talk.records;
        let watched = Watched::pass(segments, lag, take_each);
        let mut plain = Bench::new(crate::Config::default());
        plain.records(segments);
        plain.finish();
        prop_assert_eq!(told(&watched.bench), told(&plain));
        prop_assert_eq!(watched.bench.total(), plain.total());
    }
}

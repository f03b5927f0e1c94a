//! Frames are found again within segments: a sender that never pauses never begins one with a header.
use proptest::prelude::*;

use super::{
    super::{Bench, run},
    peers::*,
};
use crate::{Anomaly, Side};

/// A frame as large as may be, with its header.
const FULL: usize = 16_384 + 9;

/// A download in one go, in segments of this size, with a small exchange before it and one behind it. Gives the records of its
/// segments, too.
fn download(
    segment: usize,
    frames: usize,
    fill: impl Fn(usize) -> Vec<u8>,
) -> (Peers, std::ops::Range<usize>) {
    let mut peers = Peers::new(Side::Client);
    small(&mut peers, 1);
    let request = peers.request(3, "GET", "/3", END_STREAM);
    peers.talk.client(request);
    let mut answer = peers.response(3, "200", 0);
    for frame in 0..frames {
        answer.extend(data(3, if frame + 1 == frames { END_STREAM } else { 0 }, fill(frame)));
    }
    let first = peers.talk.records.len();
    peers.talk.server_in(segment, answer);
    let last = peers.talk.records.len();
    small(&mut peers, 5);
    (peers, first..last)
}

fn small(peers: &mut Peers, stream: u32) {
    let request = peers.request(stream, "GET", &format!("/{stream}"), END_STREAM);
    peers.talk.client(request);
    let answer = [peers.response(stream, "200", 0), data(stream, END_STREAM, "small")].concat();
    peers.talk.server(answer);
}

fn noise(seed: usize, len: usize) -> Vec<u8> {
    let mut state = seed as u64;
    let next = || {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (state >> 56) as u8
    };
    std::iter::repeat_with(next).take(len).collect()
}

#[test]
fn a_lost_record_of_a_download_without_pause_costs_little() {
    for (segment, frames) in [(1448, 9), (1400, 9), (16_384, 12), (4_344, 9)] {
        let whole = frames * 16_384;
        let (peers, segments) = download(segment, frames, |frame| noise(frame, 16_384));
        // Those near the end have too little behind them.
        let far = segments.start + (segments.len() * (frames - 4) / frames);
        for lost in segments.start + 1..far {
            let mut records = peers.talk.records.clone();
            records.remove(lost);
            let bench = run(&records);
            let lines = bench.lines();
            assert!(
                lines.contains(&"GET /1 200 0/5".to_owned()) && lines.contains(&"GET /5 200 0/5".to_owned())
            );
            let exchange = of_stream(&bench, 3);
            let body = exchange.response.unwrap().body_bytes as usize;
            assert!(
                exchange.anomalies.contains(Anomaly::Gap) && body + 3 * FULL + segment > whole,
                "{lost}: {lines:?}"
            );
            let position = lines.iter().position(|line| line.starts_with("GET /3 200")).unwrap();
            assert!(position < lines.len() - 1, "its end was seen: {lines:?}");
            assert!(bench.total().opaque < 3 * FULL as u64, "{lost}: {:?}", bench.total());
            assert_eq!(bench.counted(Anomaly::ProtocolError), 0);
        }
    }
}

#[test]
fn a_connection_joined_within_a_download_goes_on_within_it() {
    for segment in [1448, 16_384] {
        let mut peers = Peers::new(Side::Client);
        let body = |frame| data(1, 0, noise(frame, 16_384));
        let request = peers.request(1, "GET", "/1", END_STREAM);
        peers.talk.client(request);
        let answer = peers.response(1, "200", 0);
        peers.talk.server_in(segment, [answer, (0..6).flat_map(body).collect()].concat());
        let first = peers.talk.records.len() - 2;
        peers.talk.client(number(WINDOW_UPDATE, 0, 100_000));
        let rest: Vec<u8> = (6..12).flat_map(body).collect();
        peers.talk.server_in(segment, [&rest[1000..], &data(1, END_STREAM, "")].concat());
        // What was left out is as if the border had been elsewhere.
        peers.talk.records.drain(..first);
        small(&mut peers, 3);
        let bench = peers.run();
        assert_eq!(bench.lines(), ["GET /3 200 0/5"]);
        assert_eq!(bench.wire.stats().flows_http2, 1);
        assert!(bench.total().opaque < 4 * FULL as u64, "{:?}", bench.total());
    }
}

#[test]
fn trailers_behind_a_gap_end_their_call() {
    let mut peers = Peers::new(Side::Client);
    let call = peers.call(1, "/s.S/List");
    peers.talk.client([call, data(1, END_STREAM, message(3))].concat());
    let mut answer = peers.answer(1);
    for index in 0..40 {
        answer.extend(data(1, 0, message(300 + index)));
    }
    answer.extend(peers.status(1, "0"));
    let first = peers.talk.records.len();
    peers.talk.server_in(1000, answer);
    peers.talk.records.remove(first + 5);
    peers.talk.client(frame(PING, 0, 0, [0; 8]));
    small(&mut peers, 3);
    let bench = peers.run();
    assert_eq!(bench.lines()[1], "GET /3 200 0/5");
    assert!(bench.lines()[0].starts_with("POST /s.S/List 200 8/1"), "{:?}", bench.lines());
    assert_eq!(of_stream(&bench, 1).grpc.as_deref().unwrap().status, Some(0));
    assert!(bench.total().opaque < 1500, "{:?}", bench.total());
}

/// Each segment is searched once, however often what was found there turns out to be none.
#[test]
fn frames_that_break_off_again_and_again() {
    let mut peers = Peers::new(Side::Server);
    let request = peers.request(1, "POST", "/1", 0);
    peers.talk.client(request);
    let good = [data(1, 0, "abc"), data(1, 0, "abc"), frame(PING, 0, 0, [0; 8])].concat();
    let bad = [&good[..], &[0xff; 40]].concat();
    peers.talk.client_in(1448, bad.repeat(1000));
    let bench = peers.run();
    let segments = peers.talk.records.len() as u64;
    assert!(bench.counted(Anomaly::ProtocolError) <= 2 * segments, "{segments}");
    assert_eq!(bench.notes.exchanges.len(), 1);
}

/// What a body is made of.
#[derive(Clone, Copy, Debug)]
enum Fill {
    Noise,
    /// Numbers below this, in so many bytes each.
    Numbers(usize, u8),
    Zeros,
}

impl Fill {
    fn bytes(self, seed: usize, len: usize) -> Vec<u8> {
        let noise = noise(seed, len);
        match self {
            Self::Noise => noise,
            Self::Zeros => vec![0; len],
            Self::Numbers(width, most) => {
                let number = |byte: &u8| [&vec![0; width - 1][..], &[byte % most]].concat();
                noise.iter().flat_map(number).take(len).collect()
            }
        }
    }
}

fn fill() -> impl Strategy<Value = Fill> {
    prop_oneof![
        3 => Just(Fill::Noise),
        1 => Just(Fill::Zeros),
        2 => (prop::sample::select(vec![1, 2, 4, 8]), prop::sample::select(vec![2, 3, 10, 200]))
            .prop_map(|(width, most)| Fill::Numbers(width, most)),
    ]
}

/// Streams that are answered side by side: for each the frames' sizes, and what is in them.
fn answers() -> impl Strategy<Value = Vec<(Vec<usize>, Fill)>> {
    let sizes = prop::collection::vec(prop_oneof![1..300_usize, 1000..9000_usize, Just(16_384)], 1..12);
    prop::collection::vec((sizes, fill()), 1..5)
}

/// Requests, their answers in turns, and how long each answer is.
fn converse(answers: &[(Vec<usize>, Fill)], segment: usize) -> (Peers, Vec<usize>) {
    let mut peers = Peers::new(Side::Client);
    let mut bytes = Vec::new();
    for (index, _) in answers.iter().enumerate() {
        let stream = 2 * index as u32 + 1;
        let request = peers.request(stream, "GET", &format!("/{stream}"), END_STREAM);
        peers.talk.client(request);
        bytes.extend(peers.response(stream, "200", 0));
    }
    for turn in 0..12 {
        for (index, (sizes, fill)) in answers.iter().enumerate() {
            if let Some(size) = sizes.get(turn) {
                let flags = if turn + 1 == sizes.len() { END_STREAM } else { 0 };
                bytes.extend(data(2 * index as u32 + 1, flags, fill.bytes(turn * 7 + index, *size)));
            }
        }
    }
    peers.talk.server_in(segment, bytes);
    (peers, answers.iter().map(|(sizes, _)| sizes.iter().sum()).collect())
}

/// Nothing is told that was not so.
fn assert_true(bench: &Bench, lengths: &[usize]) -> Result<(), TestCaseError> {
    for joined in &bench.notes.exchanges {
        let exchange = &joined.exchange;
        let length = lengths.get(exchange.stream_id as usize / 2).copied().unwrap_or(5);
        let path = format!("/{}", exchange.stream_id);
        prop_assert!(exchange.stream_id % 2 == 1 && (exchange.path.is_empty() || exchange.path == path));
        prop_assert!(exchange.method.is_empty() || exchange.method == "GET");
        prop_assert!(exchange.status.is_none_or(|status| status == 200) && exchange.reset.is_none());
        let body = exchange.response.map_or(0, |response| response.body_bytes as usize);
        prop_assert!(if exchange.complete { body == length } else { body <= length }, "{:?}", bench.lines());
    }
    // Whoever takes a payload for frames finds what may not be in them.
    prop_assert_eq!(bench.counted(Anomaly::ProtocolError), 0);
    Ok(())
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(96))]

    #[test]
    fn whatever_is_in_a_body_no_exchange_is_invented(
        answers in answers(),
        segment in prop_oneof![Just(1448_usize), Just(16_384), 200..5000_usize],
        lost in prop::collection::vec(0..400_usize, 0..4),
        first in prop_oneof![2 => Just(0_usize), 1 => 0..60_usize],
    ) {
        let (mut peers, lengths) = converse(&answers, segment);
        small(&mut peers, 2 * answers.len() as u32 + 1);
        small(&mut peers, 2 * answers.len() as u32 + 3);
        let mut records = peers.talk.records.clone();
        let count = records.len();
        for lost in &lost {
            if lost + 4 < count && *lost < records.len() {
                records.remove(*lost);
            }
        }
        let bench = run(records.get(first.min(records.len() - 4)..).unwrap());
        assert_true(&bench, &lengths)?;
        let whole = bench.notes.exchanges.iter().filter(|joined| joined.exchange.complete).count();
        prop_assert!(whole >= 1, "{:?}", bench.lines());
    }
}

//! Bodies in chunks that the programs read by themselves: everything is as if all of it had been captured.
use proptest::prelude::*;
use weft_abi::{KIND_BORDER, KIND_CHUNK_RUN, WANT_CHUNKS};

use super::{Bench, Talk, program::Watched, response, run};
use crate::{Anomaly, MessageSpan, Side};

const HEAD: &str = "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n";

fn spans(bench: &Bench) -> Vec<(MessageSpan, Option<MessageSpan>)> {
    bench.notes.exchanges.iter().map(|joined| (joined.exchange.request, joined.exchange.response)).collect()
}

fn chunk(extension: &str, data: &[u8]) -> Vec<u8> {
    [format!("{:x}{extension}\r\n", data.len()).as_bytes(), data, b"\r\n"].concat()
}

/// A response in chunks, and an exchange behind it.
fn download(chunks: &[u8], segment: usize) -> Talk {
    let mut talk = Talk::new(Side::Client);
    talk.capture = usize::MAX;
    talk.client("GET / HTTP/1.1\r\n\r\n");
    talk.server_in(segment, [HEAD.as_bytes(), chunks, b"0\r\nX-Sum: 1\r\n\r\n"].concat());
    talk.client("GET /next HTTP/1.1\r\n\r\n").server(response(200, "next"));
    talk
}

/// The same as without a program; gives the most that was saved.
fn assert_same(talk: &Talk) -> Watched {
    let plain = run(&talk.records);
    let mut best: Option<Watched> = None;
    for (lag, take) in [(0, 1000), (3, 17), (11, 5)] {
        let watched = Watched::pass(&talk.records, lag, take);
        assert_eq!((watched.bench.lines(), spans(&watched.bench)), (plain.lines(), spans(&plain)));
        assert_eq!(watched.bench.total(), plain.total());
        run(&watched.records);
        if best.as_ref().is_none_or(|best| watched.records.len() < best.records.len()) {
            best = Some(watched);
        }
    }
    best.unwrap()
}

#[test]
fn chunks_of_any_size_are_few_records() {
    for size in [1024, 4096, 65_536, 300_000] {
        for extension in ["", ";a=b", "; name=\"a value\"  "] {
            let data = vec![b'x'; size];
            let chunks: Vec<_> = (0..(3 << 20) / size).flat_map(|_| chunk(extension, &data)).collect();
            let talk = download(&chunks, 60_000);
            let watched = assert_same(&talk);
            assert!(watched.records.len() < 25, "{size} {extension}: {}", watched.records.len());
        }
    }
}

#[test]
fn lines_are_cut_anywhere() {
    let chunks: Vec<_> = (0..300).flat_map(|_| chunk(";x", &[b'x'; 777])).collect();
    for segment in [1, 7, 100, 781, 1448] {
        let talk = download(&chunks, segment);
        let watched = Watched::pass(&talk.records, 2, 97);
        assert_eq!(watched.bench.lines(), ["GET / 200 0/233100", "GET /next 200 0/4"], "{segment}");
        assert!(watched.records.iter().any(|record| record[0] == KIND_CHUNK_RUN));
        assert!(watched.records.len() < talk.records.len());
    }
}

/// The body is what chunks look like: whatever the programs take it for, user space knows better.
#[test]
fn a_body_of_chunks_deceives_nobody() {
    let inner: Vec<_> = (0..2000).flat_map(|_| chunk("", &[b'x'; 500])).collect();
    let outer: Vec<_> = inner.chunks(30_000).flat_map(|part| chunk("", part)).collect();
    let talk = download(&outer, 20_000);
    let watched = assert_same(&talk);
    assert_eq!(watched.bench.lines(), ["GET / 200 0/1014000", "GET /next 200 0/4"]);
    let late = Watched::pass(&talk.records, 11, 1000);
    let count = |kind| late.records.iter().filter(|record| record[0] == kind).count();
    assert!(count(KIND_BORDER) > 0 && count(KIND_CHUNK_RUN) > 0);
}

#[test]
fn one_large_chunk_and_what_is_behind_it() {
    let chunks = [chunk("", &vec![b'x'; 3_000_000]), chunk("", b"small")].concat();
    let talk = download(&chunks, 10_000);
    let watched = assert_same(&talk);
    assert!(watched.records.len() < 15, "{}", watched.records.len());
    let wants: Vec<_> = watched.bench.notes.exchanges.iter().map(|joined| joined.exchange.complete).collect();
    assert_eq!(wants, [true, true]);
    let kinds =
        run(&talk.records).notes.wants.iter().map(|(_, want)| want.map(|want| want.kind)).collect::<Vec<_>>();
    assert_eq!((kinds.first(), kinds.last()), (Some(&Some(WANT_CHUNKS)), Some(&None)));
}

#[test]
fn small_chunks_are_captured() {
    let chunks: Vec<_> = (0..5000).flat_map(|_| chunk("", &[b'x'; 100])).collect();
    let talk = download(&chunks, 60_000);
    let watched = assert_same(&talk);
    assert!(watched.records.iter().all(|record| record[0] != KIND_CHUNK_RUN));
}

#[test]
fn a_run_that_contradicts_itself_is_none() {
    let chunks: Vec<_> = (0..100).flat_map(|_| chunk("", &[b'x'; 5000])).collect();
    let watched = Watched::pass(&download(&chunks, 8000).records, 0, 1000);
    let place = watched.records.iter().position(|record| record[0] == KIND_CHUNK_RUN).unwrap();
    let mut records = watched.records.clone();
    records[place][std::mem::offset_of!(weft_abi::FramedRun, have)] = 5;
    let bench = run(&records);
    assert_eq!((bench.wire.stats().malformed, bench.counted(Anomaly::Gap)), (1, 1));
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 96, ..ProptestConfig::default() })]

    /// However a body is cut into chunks and these into segments, and however late user space is.
    #[test]
    fn any_chunks_are_as_if_all_was_captured(
        sizes in prop::collection::vec(prop_oneof![8 => 600..9000_usize, 1 => 1..100_usize], 20..60),
        extension in prop::sample::select(vec!["", ";x", " ;a=\"0123456789012345678901234567890123456789\""]),
        body in prop::sample::select(vec!["xyz", "abc\r\n", "1f\r\n", "0\r\n\r\nHTTP/1.1 200 OK\r\n\r\n"]),
        cuts in prop::collection::vec(prop_oneof![1..4000_usize, Just(1400), Just(20_000)], 1..6),
        repeats in prop::collection::vec(0..100_usize, 0..3),
        drops in prop::collection::vec(0..100_usize, 0..2),
        lag in 0..12_usize,
        take in 2..60_usize,
    ) {
        let data: Vec<u8> = body.bytes().cycle().take(9000).collect();
        let chunks: Vec<_> = sizes.iter().flat_map(|size| chunk(extension, &data[..*size])).collect();
        let bytes = [HEAD.as_bytes(), &chunks, b"0\r\n\r\n"].concat();
        let mut talk = Talk::new(Side::Server);
        talk.capture = usize::MAX;
        talk.client("GET / HTTP/1.1\r\n\r\n");
        let (mut rest, first) = (&bytes[..], talk.records.len());
        for cut in cuts.iter().cycle() {
            let (part, behind) = rest.split_at((*cut).min(rest.len()));
            talk.server(part);
            rest = behind;
            if rest.is_empty() {
                break;
            }
        }
        let count = talk.records.len() - first;
        for repeat in repeats {
            let again = talk.records[first + repeat % count].clone();
            talk.records.push(again);
        }
        talk.client("GET /next HTTP/1.1\r\n\r\n").server(response(200, "next"));
        for drop in drops {
            talk.records.remove(first + drop % count);
        }
        let watched = Watched::pass(&talk.records, lag, take);
        let mut plain = Bench::new(crate::Config::default());
        plain.records(&talk.records);
        plain.finish();
        prop_assert_eq!(watched.bench.lines(), plain.lines());
        prop_assert_eq!(spans(&watched.bench), spans(&plain));
        prop_assert_eq!(watched.bench.total(), plain.total());
    }
}

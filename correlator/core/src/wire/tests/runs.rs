//! Segments of a body as one record: the exchange is what it would be with a record each.
use proptest::prelude::*;
use weft_abi::{KIND_RUN, MAX_RUN};

use super::{
    Bench, Talk, response, run,
    talk::{STEP, run_of, set_time, time},
};
use crate::{Anomaly, MessageSpan, Side};

const HEAD: &str = "PUT /big HTTP/1.1\r\nContent-Length: 100000\r\n\r\n";

fn spans(bench: &Bench) -> Vec<(MessageSpan, Option<MessageSpan>)> {
    bench.notes.exchanges.iter().map(|joined| (joined.exchange.request, joined.exchange.response)).collect()
}

/// An upload of ten segments, of which these are gathered.
fn upload(gathered: impl Fn(&mut Talk, usize)) -> Talk {
    let mut talk = Talk::new(Side::Server);
    talk.client(HEAD);
    for segment in 0..10 {
        talk.client([b'x'; 10_000]);
        gathered(&mut talk, segment);
    }
    talk.server(response(200, ""));
    talk
}

#[test]
fn a_run_is_its_segments() {
    let plain = run(&upload(|_, _| {}).records);
    let gathered = upload(|talk, segment| {
        if segment == 8 {
            talk.gathered(6);
        }
    });
    let bench = run(&gathered.records);
    assert_eq!(gathered.records.len(), upload(|_, _| {}).records.len() - 5);
    assert_eq!((bench.lines(), spans(&bench)), (plain.lines(), spans(&plain)));
    assert_eq!(bench.total(), plain.total());
    assert_eq!(bench.wire.stats().runs, 1);
}

#[test]
fn a_body_that_ends_with_a_run_ends_when_its_last_segment_passed() {
    let mut talk = Talk::new(Side::Client);
    talk.client("GET / HTTP/1.0\r\n\r\n").server("HTTP/1.0 200 OK\r\n\r\n");
    talk.server([b'x'; 5000]).server([b'x'; 5000]).gathered(2);
    let last = time(talk.records.last().unwrap());
    talk.server_fin();
    let bench = run(&talk.records);
    assert_eq!(bench.lines(), ["GET / 200 0/10000"]);
    assert_eq!(spans(&bench)[0].1.unwrap().last_byte.0, last);
}

#[test]
fn a_segment_of_a_run_that_comes_again_is_noted_and_counted_once() {
    let mut again = Vec::new();
    let mut talk = upload(|talk, segment| {
        if segment == 8 {
            talk.gathered(8);
        }
    });
    let whole = upload(|_, _| {});
    again.push(whole.records[5].clone());
    let place = talk.records.len() - 2;
    set_time(&mut again[0], time(&talk.records[place]));
    talk.records.splice(place..place, again);
    let bench = run(&talk.records);
    assert_eq!(bench.lines(), ["PUT /big 200 100000/0 [retransmit]"]);
    assert_eq!(bench.total().duplicate, 10_000);
    assert_eq!(spans(&bench), spans(&run(&whole.records)));
}

/// What fills a gap may wait in a run, behind the first segment that a slot sees, while its acknowledgement is recorded.
#[test]
fn an_acknowledgement_may_overtake_a_run() {
    let mut talk = upload(|talk, segment| {
        if segment == 6 {
            talk.server("");
        }
    });
    let acknowledged = talk.records.len() - 4;
    let late = run_of(&[talk.records.remove(acknowledged - 4)]);
    talk.records.insert(acknowledged, late);
    let bench = run(&talk.records);
    assert_eq!(bench.lines(), ["PUT /big 200 100000/0"]);
    assert_eq!((bench.total().gap, bench.total().duplicate, bench.counted(Anomaly::Gap)), (0, 0, 0));
}

/// What passed again behind the end delayed nothing, though its record comes before that of the run that has the end.
#[test]
fn a_copy_that_overtakes_the_run_with_the_end_delayed_nothing() {
    for (late, line) in [(0, "PUT /a 200 10000/0"), (5 * STEP, "PUT /a 200 10000/0 [retransmit]")] {
        let mut talk = Talk::new(Side::Server);
        talk.client("PUT /a HTTP/1.1\r\nContent-Length: 10000\r\n\r\n");
        talk.client([b'x'; 5000]).client([b'x'; 5000]).gathered(2);
        talk.server(response(200, "")).repeated();
        let place = talk.records.len() - 3;
        let mut run_record = talk.records.remove(place);
        let passed = time(&run_record);
        set_time(&mut run_record, passed + late);
        talk.records.push(run_record);
        assert_eq!(run(&talk.records).lines(), [line]);
    }
}

#[test]
fn a_run_that_was_taken_before_what_lies_in_the_ring_waits_for_it() {
    let mut talk = upload(|talk, segment| {
        if segment == 7 {
            talk.gathered(5);
        }
    });
    let plain = run(&talk.records);
    let taken = talk.records.iter().position(|record| record[0] == KIND_RUN).unwrap();
    talk.records.swap(taken, taken - 1);
    let bench = run(&talk.records);
    assert_eq!((bench.lines(), spans(&bench)), (plain.lines(), spans(&plain)));
    assert_eq!((bench.total(), bench.counted(Anomaly::Gap)), (plain.total(), 0));
}

#[test]
fn a_run_that_found_no_room_is_a_gap_in_its_body() {
    let mut talk = upload(|talk, segment| {
        if segment == 7 {
            talk.gathered(5);
        }
    });
    talk.records.retain(|record| record[0] != KIND_RUN);
    let bench = run(&talk.records);
    assert_eq!(bench.lines(), ["PUT /big 200 100000/0 [gap]"]);
    assert_eq!(bench.total().gap, 50_000);
}

#[test]
fn a_run_where_a_message_should_begin_is_no_message() {
    let mut talk = Talk::new(Side::Server);
    talk.client("GET /a HTTP/1.1\r\n\r\n").server(response(200, "a"));
    talk.client([b'x'; 3000]).gathered(1).client("GET /b HTTP/1.1\r\n\r\n").server(response(200, "b"));
    let bench = run(&talk.records);
    // What may have begun in the run nobody knows, so the answer that follows may be to that.
    assert_eq!(bench.lines(), ["GET /a 200 0/1"]);
}

#[test]
fn a_run_that_is_none_is_malformed() {
    let talk = upload(|_, _| {});
    let record = run_of(&talk.records[4..8]);
    let len = size_of::<weft_abi::Header>() + size_of::<weft_abi::Tuple>() + size_of::<u32>();
    for wrong in [0, MAX_RUN + 1, u32::MAX] {
        let mut record = record.clone();
        record[len..len + 4].copy_from_slice(&wrong.to_ne_bytes());
        assert_eq!(run(&[record]).wire.stats().malformed, 1);
    }
    assert_eq!(run(&[record[..100].to_vec()]).wire.stats().malformed, 1);
    assert_eq!(run(&[record]).wire.stats().malformed, 0);
}

#[test]
fn a_large_chunk_is_skipped_and_small_ones_are_not() {
    let mut talk = Talk::new(Side::Client);
    talk.client("GET / HTTP/1.1\r\n\r\n");
    talk.server("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n80000\r\n");
    let begin = talk.next[1];
    for _ in 0..8 {
        talk.server([b'x'; 0x10000]);
    }
    talk.gathered(6).server("\r\n1000\r\n").server([b'x'; 0x1000]).server("\r\n0\r\n\r\n");
    let bench = run(&talk.records);
    assert_eq!(bench.lines(), ["GET / 200 0/528384"]);
    let end = |want: weft_abi::FlowWant| want.framing?.place.map(|place| place.seq + place.left);
    let wants: Vec<_> = bench.notes.wants.iter().map(|(_, want)| want.map(end)).collect();
    let next = begin + 0x80000 + 2 + 6 + 0x1000;
    assert_eq!(wants, [Some(Some(begin + 0x80000)), Some(Some(next)), None]);
}

/// A flow without a slot, or whose slot was given to another, is captured whole, whatever was said.
#[test]
fn the_kernel_is_told_again_when_it_copies_what_nobody_wants() {
    const SEGMENTS: usize = 100;
    let length = SEGMENTS * 10_000;
    let wants = |capture: usize| {
        let mut talk = Talk::new(Side::Server);
        talk.client(format!("PUT /big HTTP/1.1\r\nContent-Length: {length}\r\n\r\n"));
        talk.capture = capture;
        talk.client_in(10_000, vec![b'x'; length]);
        talk.capture = weft_abi::MAX_CAPTURE;
        talk.server(response(200, ""));
        let bench = run(&talk.records);
        assert_eq!(bench.lines(), [format!("PUT /big 200 {length}/0")]);
        bench.notes.wants
    };
    let (told, again) = (wants(0), wants(10_000));
    assert!(matches!(told[..], [(_, Some(_)), (_, None)]), "{told:?}");
    // Once, and then after each 256 KiB.
    assert_eq!(again.len(), 2 + length / (256 << 10), "{again:?}");
    assert!(again.iter().rev().skip(1).all(|want| *want == told[0]), "{again:?}");
    assert_eq!(again.last(), told.last());
}

/// The same for a connection that is not followed.
#[test]
fn of_a_connection_that_is_not_followed_too() {
    let mut talk = Talk::new(Side::Server);
    talk.client("\x16\x03\x01\x02\x00\x01").server([0x16; 3000]);
    talk.server_in(10_000, vec![0x17; 1_000_000]);
    let bench = run(&talk.records);
    let kinds: Vec<_> = bench.notes.wants.iter().map(|(_, want)| want.map(|want| want.kind)).collect();
    let none = Some(weft_abi::WANT_NONE);
    assert_eq!(kinds, [none, none, none, none, None]);
}

proptest! {
    /// However segments of a body are gathered, and wherever sequence numbers begin.
    #[test]
    fn any_gathering_gives_the_same_exchange(
        sizes in prop::collection::vec(1..3000_usize, 2..40),
        cuts in prop::collection::vec(1..6_usize, 1..10),
        seq in any::<u32>(),
        download in any::<bool>(),
    ) {
        let body: usize = sizes.iter().sum();
        let converse = |gather: bool| {
            let mut talk = Talk::with_seqs(Side::Client, [seq, seq.wrapping_mul(7)]);
            let length = format!("Content-Length: {body}\r\n\r\n");
            if download {
                talk.client("GET / HTTP/1.1\r\n\r\n").server(format!("HTTP/1.1 200 OK\r\n{length}"));
            } else {
                talk.client(format!("POST / HTTP/1.1\r\n{length}"));
            }
            let mut cuts = cuts.iter().cycle();
            let (mut open, mut cut) = (0, *cuts.next().unwrap());
            for (index, size) in sizes.iter().enumerate() {
                let bytes = vec![b'x'; *size];
                if download { talk.server(bytes) } else { talk.client(bytes) };
                open += 1;
                // The segment with the border is a record of its own.
                if gather && open == cut && index + 1 < sizes.len() {
                    talk.gathered(open);
                    (open, cut) = (0, *cuts.next().unwrap());
                }
            }
            if !download {
                talk.server(response(200, ""));
            }
            run(&talk.records)
        };
        let (plain, gathered) = (converse(false), converse(true));
        prop_assert_eq!(plain.lines(), gathered.lines());
        prop_assert_eq!(spans(&plain), spans(&gathered));
        prop_assert_eq!(plain.total(), gathered.total());
    }
}

//! What a segment costs does not depend on how many came before it on its connection: a million segments of one byte take a
//! million times what one takes, whatever they are of. The thread's own CPU time is compared with itself, the end of the
//! storm with its beginning: were each segment to cost time in proportion to what is there already, the end would take
//! many times as long.
use std::{
    ops::{Deref, DerefMut},
    time::Duration,
};

use rustix::time::ClockId;
use weft_abi::{FlowKey, FlowWant, tcp_flag};
use weft_core::{AttributedExchange, Config, Side, Sink};

#[path = "../src/cpu.rs"]
mod cpu;
mod talk;

use talk::Talk;

const SEGMENTS: usize = 1_000_000;
/// The storm is measured in so many parts; the median of the first quarter is held against that of the last.
const PARTS: usize = 40;
/// How many times as long a part may take at the end. Work in proportion to what is there makes it seven times at least.
const GENEROUS: u32 = 2;

#[derive(Default)]
struct Exchanges(u64);

impl Sink for Exchanges {
    fn exchange(&mut self, _: &AttributedExchange) {
        self.0 += 1;
    }

    fn want(&mut self, _: FlowKey, _: Option<FlowWant>) {}
}

/// A connection of a pod that is the server.
struct Bench {
    talk: Talk<Exchanges>,
    /// Bytes of a message before the storm.
    before: u64,
}

impl Deref for Bench {
    type Target = Talk<Exchanges>;

    fn deref(&self) -> &Self::Target {
        &self.talk
    }
}

impl DerefMut for Bench {
    fn deref_mut(&mut self) -> &mut Self::Target {
        &mut self.talk
    }
}

impl Bench {
    fn new() -> Self {
        // A head may go on for the whole storm.
        let config = Config { max_header_bytes: 4 * SEGMENTS, ..Config::default() };
        Self { talk: Talk::new(Side::Server, config, Exchanges::default()), before: 0 }
    }

    /// The end: how many exchanges there were.
    fn exchanges(mut self) -> u64 {
        self.finish();
        self.sink.0
    }

    /// Bytes of the storm that were of a message, and those that were there before; none waits any more.
    fn account(mut self) -> (u64, u64) {
        self.finish();
        let total = self.correlator.snapshot().loss.total;
        assert_eq!((total.pending, total.opaque), (0, 0));
        (total.decoded - self.before, total.duplicate)
    }

    /// The client's, a segment for each.
    fn by_byte(&mut self, bytes: &[u8]) {
        bytes.iter().for_each(|byte| self.send(0, &[*byte]));
    }
}

fn cpu_time() -> Duration {
    cpu::time(ClockId::ThreadCPUTime)
}

/// Runs a storm in parts of so many segments; `part` is told which one it is.
fn assert_steady(bench: &mut Bench, mut part: impl FnMut(&mut Bench, usize, usize)) {
    bench.before = bench.correlator.snapshot().loss.total.decoded;
    let mut took: Vec<Duration> = Vec::new();
    for number in 0..PARTS {
        let begin = cpu_time();
        part(bench, number, SEGMENTS / PARTS);
        took.push(cpu_time() - begin);
    }
    let median = |parts: &[Duration]| {
        let mut parts = parts.to_vec();
        parts.sort_unstable();
        parts[parts.len() / 2]
    };
    let (first, last) = (median(&took[..PARTS / 4]), median(&took[PARTS - PARTS / 4..]));
    let each = |part: Duration| part.as_nanos() / (SEGMENTS / PARTS) as u128;
    eprintln!("{} ns a segment at first, {} ns at last", each(first), each(last));
    assert!(last < GENEROUS * first, "{first:?} at first, {last:?} at last: {took:?}");
}

#[test]
fn bytes_of_one_head() {
    let mut bench = Bench::new();
    bench.by_byte(b"GET / HTTP/1.1\r\nX: ");
    assert_steady(&mut bench, |bench, _, segments| bench.by_byte(&vec![b'x'; segments]));
    bench.by_byte(b"\r\n\r\n");
    bench.send(1, b"HTTP/1.1 204 No Content\r\n\r\n");
    assert_eq!(bench.exchanges(), 1);
}

#[test]
fn bytes_of_many_heads_and_their_lines() {
    let mut bench = Bench::new();
    let request = b"GET / HTTP/1.1\r\nHost: a\r\nAccept: */*\r\n\r\n";
    assert_steady(&mut bench, |bench, _, segments| {
        for _ in 0..segments / request.len() {
            bench.by_byte(request);
            bench.send(1, b"HTTP/1.1 204 No Content\r\n\r\n");
        }
    });
    assert!(bench.exchanges() > 20_000);
}

#[test]
fn bytes_of_a_body_of_known_length() {
    let mut bench = Bench::new();
    bench.by_byte(format!("POST / HTTP/1.1\r\nContent-Length: {SEGMENTS}\r\n\r\n").as_bytes());
    assert_steady(&mut bench, |bench, _, segments| bench.by_byte(&vec![b'x'; segments]));
    bench.send(1, b"HTTP/1.1 204 No Content\r\n\r\n");
    assert_eq!(bench.exchanges(), 1);
}

#[test]
fn bytes_of_a_body_in_chunks() {
    let mut bench = Bench::new();
    bench.by_byte(b"POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n");
    let chunk = b"1;a=b\r\nx\r\n";
    assert_steady(&mut bench, |bench, _, segments| {
        (0..segments / chunk.len()).for_each(|_| bench.by_byte(chunk));
    });
    bench.by_byte(b"0\r\n\r\n");
    bench.send(1, b"HTTP/1.1 204 No Content\r\n\r\n");
    assert_eq!(bench.exchanges(), 1);
}

/// A frame of HTTP/2 (RFC 9113, 4.1).
fn frame(kind: u8, flags: u8, stream: u32, payload: &[u8]) -> Vec<u8> {
    let [_, high, middle, low] = (payload.len() as u32).to_be_bytes();
    [&[high, middle, low, kind, flags], &stream.to_be_bytes()[..], payload].concat()
}

const DATA: u8 = 0;
const HEADERS: u8 = 1;
const SETTINGS: u8 = 4;
const PING: u8 = 6;
const CONTINUATION: u8 = 9;
const END_STREAM: u8 = 1;
const END_HEADERS: u8 = 4;
/// POST, http, / by their places in the static table (RFC 7541, A).
const POST: [u8; 3] = [0x83, 0x86, 0x84];

fn http2() -> Bench {
    let mut bench = Bench::new();
    bench.send(0, b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n");
    bench.send(0, &frame(SETTINGS, 0, 0, b""));
    bench.send(1, &frame(SETTINGS, 0, 0, b""));
    bench
}

#[test]
fn bytes_of_frames_of_http2() {
    let mut bench = http2();
    bench.send(0, &frame(HEADERS, END_HEADERS, 1, &POST));
    let frames =
        [frame(DATA, 0, 1, b"x"), frame(PING, 0, 0, b"12345678"), frame(SETTINGS, 0, 0, b"")].concat();
    assert_steady(&mut bench, |bench, _, segments| {
        (0..segments / frames.len()).for_each(|_| bench.by_byte(&frames));
    });
    bench.send(0, &frame(DATA, END_STREAM, 1, b""));
    // 204
    bench.send(1, &frame(HEADERS, END_HEADERS | END_STREAM, 1, &[0x89]));
    assert_eq!(bench.exchanges(), 1);
}

#[test]
fn bytes_of_streams_of_http2() {
    let mut bench = http2();
    let mut stream = 1;
    assert_steady(&mut bench, |bench, _, segments| {
        let request = frame(HEADERS, END_HEADERS | END_STREAM, stream, &POST);
        for _ in 0..segments / request.len() {
            bench.by_byte(&frame(HEADERS, END_HEADERS | END_STREAM, stream, &POST));
            bench.send(1, &frame(HEADERS, END_HEADERS | END_STREAM, stream, &[0x89]));
            stream += 2;
        }
    });
    assert!(bench.exchanges() > 70_000);
}

#[test]
fn bytes_of_one_header_block_of_http2() {
    let mut bench = http2();
    bench.send(0, &frame(HEADERS, END_STREAM, 1, &POST));
    let more = frame(CONTINUATION, 0, 1, b"\x00\x01x\x01y");
    assert_steady(&mut bench, |bench, _, segments| {
        (0..segments / more.len()).for_each(|_| bench.by_byte(&more));
    });
    bench.send(0, &frame(CONTINUATION, END_HEADERS, 1, b""));
    bench.send(1, &frame(HEADERS, END_HEADERS | END_STREAM, 1, &[0x89]));
    assert_eq!(bench.exchanges(), 1);
}

/// Every other byte: none of them can be delivered before the gap in front of it is given up.
#[test]
fn pieces_behind_gaps() {
    let mut bench = Bench::new();
    bench.by_byte(b"POST / HTTP/1.1\r\nContent-Length: 9000000\r\n\r\n");
    assert_steady(&mut bench, |bench, _, segments| {
        for _ in 0..segments {
            bench.next[0] += 1;
            bench.send(0, b"x");
        }
    });
    assert_eq!(bench.account(), (SEGMENTS as u64, 0));
}

/// The last byte first, over and over.
#[test]
fn pieces_in_the_other_order() {
    const BLOCK: u32 = 5000;
    let mut bench = Bench::new();
    bench.by_byte(b"POST / HTTP/1.1\r\nContent-Length: 9000000\r\n\r\n");
    assert_steady(&mut bench, |bench, _, segments| {
        for _ in 0..segments as u32 / BLOCK {
            let begin = bench.next[0];
            for back in (0..BLOCK).rev() {
                bench.segment(0, begin + back, tcp_flag::ACK, b"x");
            }
            bench.next[0] = begin + BLOCK;
        }
    });
    assert_eq!(bench.account(), (SEGMENTS as u64, 0));
}

/// What is held behind a gap once more, and once more.
#[test]
fn pieces_that_come_again() {
    const HELD: u32 = 10_000;
    let mut bench = Bench::new();
    bench.by_byte(b"POST / HTTP/1.1\r\nContent-Length: 9000000\r\n\r\n");
    let begin = bench.next[0] + 1;
    assert_steady(&mut bench, |bench, number, segments| {
        for index in 0..segments as u32 {
            let place = (number as u32 * segments as u32 + index).wrapping_mul(7919) % HELD;
            bench.segment(0, begin + place, tcp_flag::ACK, b"x");
        }
    });
    assert_eq!(bench.account(), (u64::from(HELD), SEGMENTS as u64 - u64::from(HELD)));
}

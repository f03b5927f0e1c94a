//! Stretches of DATA that the program in the kernel read by itself.
use super::{
    super::super::{
        account::ByteAccount,
        conversation::Link,
        direction::Direction,
        http2::{Connection, FrameRun},
        stream::{Chunk, Delivery, FIRST},
        work::{Outbox, Tally, Work},
    },
    peers::*,
};
use crate::{Anomaly, Config, Endpoint, Exchange, FlowId, Ktime, Side};

/// A connection with what it needs, and how far its directions came.
struct Line {
    connection: Connection,
    tally: Tally,
    out: Outbox,
    bytes: [ByteAccount; 2],
    next: [u64; 2],
}

impl Line {
    fn new() -> Self {
        Self {
            connection: Connection::new(Direction::ToPod),
            tally: Tally::default(),
            out: Outbox::default(),
            bytes: Default::default(),
            next: [FIRST; 2],
        }
    }

    fn pass(&mut self, direction: Direction, data: &[u8], len: usize, run: Option<FrameRun>, time: u64) {
        let end = Endpoint { address: [0; 16], port: 1 };
        let id = FlowId { netns: 1, ifindex: 1, local: end, peer: end };
        let link = Link { id, vantage: 1, cookie: 0, now: Ktime(time), first_seqs: [0; 2] };
        let config = Config::default();
        let work =
            &mut Work { config: &config, bytes: &mut self.bytes, tally: &mut self.tally, out: &mut self.out };
        let offset = *direction.of(&self.next);
        let (ack, reverse_end) = (None, FIRST);
        let len = len as u64;
        let chunk = Chunk {
            offset,
            len,
            hole: 0,
            data,
            time: Ktime(time),
            first_time: Ktime(time),
            ack,
            reverse_end,
            segment_start: true,
            odd: Default::default(),
        };
        *direction.of_mut(&mut self.next) += len;
        match run {
            Some(run) => self.connection.run(&link, direction, &chunk, run, work),
            None => self.connection.deliver(&link, direction, Delivery::Chunk(chunk), work),
        }
    }
}

/// An upload of which a part, from `from` on and `len` bytes long, is told as a run.
fn upload(body: &[u8], from: usize, len: usize, run: FrameRun) -> (Line, Vec<u8>) {
    let mut peers = Peers::new(Side::Server);
    let head = [PREFACE, &settings(&[]), &peers.request(1, "POST", "/a", 0)].concat();
    let mut line = Line::new();
    line.pass(Direction::ToPod, &head, head.len(), None, 1);
    line.pass(Direction::ToPod, &body[..from], from, None, 2);
    line.pass(Direction::ToPod, &[], len, Some(run), 3);
    let rest = &body[from + len..];
    line.pass(Direction::ToPod, rest, rest.len(), None, 4);
    let answer = [settings(&[]), peers.response(1, "200", END_STREAM)].concat();
    line.pass(Direction::FromPod, &answer, answer.len(), None, 5);
    (line, head)
}

fn only(line: &Line) -> &Exchange {
    let [finished] = &line.out.finished[..] else { panic!("{} exchanges", line.out.finished.len()) };
    &finished.exchange
}

/// Frames of these sizes, and behind them an empty one that ends the stream.
fn body(sizes: &[usize]) -> Vec<u8> {
    let frames: Vec<_> = sizes.iter().flat_map(|size| data(1, 0, vec![7; *size])).collect();
    [frames, data(1, END_STREAM, "")].concat()
}

#[test]
fn a_run_anywhere_among_the_frames_counts_as_its_bytes_do() {
    let sizes = [100, 30, 200];
    let (body, ends) = (body(&sizes), [109, 148, 357]);
    for from in 0..ends[2] {
        for to in from + 1..=ends[2] {
            let starts = [0, 109, 148];
            // A header that is cut off is no part of a run.
            if starts.iter().any(|at| (at + 1..at + 9).contains(&from) || (at + 1..at + 9).contains(&to)) {
                continue;
            }
            let frames = starts.iter().filter(|at| (from..to).contains(*at)).count() as u32;
            let left = ends.iter().find(|end| **end >= to).map_or(0, |end| (end - to) as u32);
            let left = if starts.contains(&to) { 0 } else { left };
            let (line, head) = upload(&body, from, to - from, FrameRun { stream_id: 1, frames, left });
            let exchange = only(&line);
            assert!(exchange.complete, "{from}..{to}");
            assert_eq!(exchange.request.body_bytes, 330);
            assert_eq!(exchange.request.bytes as usize, body.len() + head.len() - PREFACE.len() - 9);
            assert_eq!((exchange.request.last_byte, line.bytes[1].opaque), (Ktime(4), 0));
        }
    }
}

#[test]
fn a_run_uses_windows_up() {
    let body = body(&[16_384, 16_384, 16_384, 16_383, 10]);
    let full = 4 * 9 + 65_535;
    let mut peers = Peers::new(Side::Server);
    let head = [PREFACE, &settings(&[]), &peers.request(1, "POST", "/a", 0)].concat();
    let mut line = Line::new();
    line.pass(Direction::ToPod, &head, head.len(), None, 1);
    line.pass(Direction::ToPod, &[], full, Some(FrameRun { stream_id: 1, frames: 4, left: 0 }), 100);
    let opened = [settings(&[]), number(WINDOW_UPDATE, 1, 100), number(WINDOW_UPDATE, 0, 100)].concat();
    line.pass(Direction::FromPod, &opened, opened.len(), None, 350);
    line.pass(Direction::ToPod, &body[full..], body.len() - full, None, 400);
    let answer = peers.response(1, "200", END_STREAM);
    line.pass(Direction::FromPod, &answer, answer.len(), None, 500);
    assert_eq!(only(&line).flow_control.unwrap().request_blocked_ns, 250);
}

#[test]
fn a_run_that_cannot_be_there_is_a_gap() {
    let body = body(&[100, 30]);
    for run in [
        FrameRun { stream_id: 3, frames: 1, left: 0 },
        FrameRun { stream_id: 1, frames: 0, left: 3 },
        FrameRun { stream_id: 1, frames: 9, left: 0 },
    ] {
        let (mut line, _) = upload(&body, 50, 59, run);
        let connection = &mut line.connection;
        assert!(line.bytes[1].opaque > 0 && connection.bulk_stream(Direction::ToPod).is_none());
        assert_eq!(line.out.finished.len(), 1);
        let exchange = only(&line);
        assert!(!exchange.complete && exchange.anomalies.contains(Anomaly::Gap));
    }
}

#[test]
fn only_large_bodies_without_messages_need_not_be_seen() {
    let mut peers = Peers::new(Side::Server);
    let head =
        [PREFACE, &settings(&[]), &peers.request(1, "POST", "/a", 0), &peers.call(3, "/s.S/M")].concat();
    let mut line = Line::new();
    line.pass(Direction::ToPod, &head, head.len(), None, 1);
    for (stream, expected) in [(1, Some(1)), (3, None)] {
        let frame = data(stream, 0, [1; 16_384]);
        for _ in 0..5 {
            line.pass(Direction::ToPod, &frame[..100], frame.len() - 1000, None, 2);
            line.pass(Direction::ToPod, &[], 1000, None, 2);
        }
        line.pass(Direction::ToPod, &frame[..100], 100, None, 2);
        assert_eq!(line.connection.bulk_stream(Direction::ToPod), expected);
        line.pass(Direction::ToPod, &[], frame.len() - 100, None, 2);
    }
}

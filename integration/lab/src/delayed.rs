//! Which exchanges were delayed by bytes that were sent again, told from a capture of their vantage: the reference for
//! the anomaly `retransmit`.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::ops::Range;

use anyhow::{Context, Result, ensure};
use serde::Deserialize;
use serde_json::Value;

use crate::pcap::CapturedSegment;
use crate::resent::Passed;

#[derive(Debug, Deserialize)]
struct Exchange {
    exchange_id: String,
    side: String,
    local: SocketAddr,
    peer: SocketAddr,
    request: Message,
    response: Message,
    #[serde(default)]
    anomalies: Vec<String>,
}

#[derive(Clone, Copy, Debug, Deserialize)]
struct Message {
    first_byte: u64,
    last_byte: u64,
    bytes: u64,
}

/// How far apart, in ns, two segments must have passed for a capture to say what came first at weft's place, too: a
/// segment passes the one and the other with work in between, and on another CPU the next one passes meanwhile.
const SKEW: u64 = 100_000;

/// An exchange that one of the two calls delayed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Delayed {
    /// Its id.
    pub id: String,
    /// Some of its bytes passed again before its response was complete, beyond doubt.
    pub by_capture: bool,
    /// The same, or so close to its end that the capture cannot tell.
    pub perhaps: bool,
    /// Some of its bytes had been sent again when they first passed. Only the sockets know, and they tell weft of a tail only.
    pub by_sockets: bool,
    /// It has the anomaly.
    pub by_weft: bool,
    /// What passed of it, where the two disagree: for the one who has to find out why.
    pub story: String,
}

impl Delayed {
    /// Whether weft says of it what must be said.
    pub fn agrees(&self) -> bool {
        if self.by_weft { self.perhaps || self.by_sockets } else { !self.by_capture }
    }
}

/// The exchanges of one pod over HTTP/1 that weft or the capture of its host-side device call delayed. Connections must
/// be in the capture from their SYN on: a message's place in the stream is the sum of the bytes of those before it. `sent` is
/// what the sockets sent, as far as that is known, with times of the capture's clock.
///
/// # Errors
/// When an exchange has no response, or a part of one was not captured.
pub fn compare(
    exchanges: &[Value],
    segments: &[CapturedSegment],
    sent: &[CapturedSegment],
) -> Result<Vec<Delayed>> {
    let mut connections: BTreeMap<(SocketAddr, SocketAddr), Vec<Exchange>> = BTreeMap::new();
    for value in exchanges.iter().filter(|value| value["protocol"] == "http/1.1") {
        let exchange: Exchange = serde_json::from_value(value.clone()).context("an exchange of the API")?;
        let Exchange { side, local, peer, .. } = &exchange;
        let ends = if side == "client" { (*local, *peer) } else { (*peer, *local) };
        connections.entry(ends).or_default().push(exchange);
    }
    let mut delayed = Vec::new();
    for ((client, server), mut exchanges) in connections {
        exchanges.sort_by_key(|exchange| exchange.request.first_byte);
        let requests = History::of(segments, sent, client, server);
        let responses = History::of(segments, sent, server, client);
        judge(&exchanges, &requests, &responses, &mut delayed)
            .with_context(|| format!("the connection from {client} to {server}"))?;
    }
    Ok(delayed)
}

fn judge(
    exchanges: &[Exchange],
    requests: &History,
    responses: &History,
    delayed: &mut Vec<Delayed>,
) -> Result<()> {
    let (mut asked, mut answered) = (0, 0);
    for exchange in exchanges {
        let request = asked..asked + exchange.request.bytes;
        let response = answered..answered + exchange.response.bytes;
        (asked, answered) = (request.end, response.end);
        ensure!(!response.is_empty(), "{} has no response", exchange.exchange_id);
        let over = responses.complete_at(&response).context("a part of a response was not captured")?;
        let again = |by| requests.again(&request, by) || responses.again(&response, by);
        let (by_capture, perhaps) = (again(over.time.saturating_sub(SKEW)), again(over.time + SKEW));
        let by_weft = exchange.anomalies.iter().any(|anomaly| anomaly == "retransmit");
        if by_capture || by_weft {
            let place = over.place;
            let by_sockets = requests.sent_again(&request, place) || responses.sent_again(&response, place);
            let id = exchange.exchange_id.clone();
            let mut one = Delayed { id, by_capture, perhaps, by_sockets, by_weft, story: String::new() };
            if !one.agrees() {
                let messages = [("request", requests, request), ("response", responses, response)];
                one.story = story(exchange, &messages, place);
            }
            delayed.push(one);
        }
    }
    Ok(())
}

/// Segments that the story tells before and after the end of an exchange.
const BEFORE: usize = 40;
const AFTER: usize = 10;

/// The exchange, and what passed of its messages around its end.
fn story(exchange: &Exchange, messages: &[(&str, &History, Range<u64>)], over: usize) -> String {
    let Exchange { request, response, .. } = exchange;
    let mut lines = vec![format!(
        "{exchange:?}; it took {} us, and {} us to the request's last byte; the response was complete at {over}",
        response.last_byte.saturating_sub(request.first_byte) / 1000,
        request.last_byte.saturating_sub(request.first_byte) / 1000,
    )];
    let mut told: Vec<(usize, String)> = Vec::new();
    for (name, history, range) in messages {
        let of_message = |segment: &&Segment| segment.overlaps(range);
        told.extend(history.segments.iter().filter(of_message).map(|segment| {
            let Segment { place, time, range: part, again } = segment;
            let us = time.cast_signed().wrapping_sub(response.last_byte.cast_signed()) as f64 / 1000.0;
            let again = if *again { ", again" } else { "" };
            (*place, format!("  {place}: {us:+.3} us from weft's end: {part:?} of {name} {range:?}{again}"))
        }));
    }
    told.sort();
    let end = told.partition_point(|(place, _)| *place <= over);
    let from = end.saturating_sub(BEFORE);
    lines.extend(told.into_iter().take(end + AFTER).skip(from).map(|(_, line)| line));
    lines.join("\n")
}

/// A segment with payload.
struct Segment {
    /// In the file: stands for the time.
    place: usize,
    /// In ns since the epoch.
    time: u64,
    /// Stream offsets.
    range: Range<u64>,
    /// Some of it had passed before.
    again: bool,
}

impl Segment {
    fn overlaps(&self, message: &Range<u64>) -> bool {
        self.range.start < message.end && message.start < self.range.end
    }
}

/// One direction of a connection: what passed when.
struct History {
    segments: Vec<Segment>,
    /// What its sender sent.
    sent: Vec<Segment>,
}

/// Those of one direction of a connection.
fn of(segments: &[CapturedSegment], source: SocketAddr, destination: SocketAddr) -> Vec<Segment> {
    let mut passed = Passed::default();
    let mut first = None;
    let mut own = Vec::new();
    for (place, segment) in segments.iter().enumerate() {
        if (segment.source, segment.destination) != (source, destination) {
            continue;
        }
        if segment.syn {
            first = Some(segment.seq.wrapping_add(1));
        }
        if let (Some(first), 1..) = (first, segment.payload_len) {
            let start = u64::from(segment.seq.wrapping_add(u32::from(segment.syn)).wrapping_sub(first));
            let range = start..start + u64::from(segment.payload_len);
            let again = passed.add(&range) < u64::from(segment.payload_len);
            own.push(Segment { place, time: segment.time, range, again });
        }
    }
    own
}

impl History {
    fn of(
        segments: &[CapturedSegment],
        sent: &[CapturedSegment],
        source: SocketAddr,
        destination: SocketAddr,
    ) -> Self {
        Self { segments: of(segments, source, destination), sent: of(sent, source, destination) }
    }

    /// The segment with the last of a message's bytes to come.
    fn complete_at(&self, message: &Range<u64>) -> Option<&Segment> {
        let mut passed = Passed::default();
        let mut missing = message.end - message.start;
        let complete = |segment: &&Segment| {
            let part = segment.range.start.max(message.start)..segment.range.end.min(message.end);
            missing -= if part.is_empty() { 0 } else { passed.add(&part) };
            missing == 0
        };
        self.segments.iter().find(complete)
    }

    /// Whether a part of the range passed again by that time. A segment of which only a part had passed may lie
    /// across a message's border; then it delayed the one or the other, and is held to have delayed both.
    fn again(&self, message: &Range<u64>, by: u64) -> bool {
        self.segments.iter().any(|segment| segment.again && segment.time <= by && segment.overlaps(message))
    }

    /// Whether a part of the range first passed, before that place, when it had been sent twice.
    fn sent_again(&self, message: &Range<u64>, before: usize) -> bool {
        let twice = |segment: &Segment| {
            let mut passed = Passed::default();
            let mut sent =
                self.sent.iter().filter(|sent| sent.time <= segment.time && sent.overlaps(&segment.range));
            sent.any(|sent| passed.add(&sent.range) < sent.range.end - sent.range.start)
        };
        let mut parts = self.segments.iter().filter(|part| part.place <= before && part.overlaps(message));
        parts.any(|part| !part.again && twice(part))
    }
}

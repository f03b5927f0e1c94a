//! The times that weft gives to messages against tcpdump's on the same device.

mod frames;

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::path::Path;

use anyhow::{Context, Result, ensure};
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::pcap::CapturedSegment;

/// How far weft's times are from the capture's.
#[derive(Clone, Debug, Serialize)]
pub struct WireTimes {
    /// Times that were compared: four an exchange.
    pub compared: usize,
    /// Share of them within 20 us.
    pub within_20us: f64,
    /// Median distance in us.
    pub p50_us: f64,
    /// 99% of the distances are at most so many us.
    pub p99_us: f64,
    /// The largest distance in us.
    pub max_us: f64,
}

#[derive(Debug, Deserialize)]
struct Exchange {
    local: SocketAddr,
    peer: SocketAddr,
    /// HTTP/2; else 0.
    #[serde(default)]
    stream_id: u32,
    request: Message,
    response: Message,
}

#[derive(Clone, Copy, Debug, Default, Deserialize, PartialEq, Eq)]
struct Message {
    first_byte: u64,
    last_byte: u64,
    bytes: u64,
}

/// Compares the exchanges of one pod as a server, as the API prints them, with a capture of its host-side device.
/// Connections count from their SYN on: a message's place in the stream, and so its segment, is the sum of the bytes
/// of the messages before it.
///
/// # Errors
/// When nothing can be compared, or a message is in no captured segment.
pub fn compare(exchanges: &[Value], segments: &[CapturedSegment]) -> Result<WireTimes> {
    let mut connections: BTreeMap<(SocketAddr, SocketAddr), Vec<Exchange>> = BTreeMap::new();
    for value in exchanges.iter().filter(|value| value["side"] == "server" && value["complete"] == true) {
        let exchange: Exchange = serde_json::from_value(value.clone()).context("an exchange of the API")?;
        connections.entry((exchange.local, exchange.peer)).or_default().push(exchange);
    }
    let mut streams = Streams::new(segments);
    let mut distances = Vec::new();
    for ((local, peer), mut exchanges) in connections {
        // A connection that is older than the capture cannot be placed.
        let (Some(to), Some(from)) = (streams.take(peer, local), streams.take(local, peer)) else { continue };
        exchanges.sort_by_key(|exchange| exchange.request.first_byte);
        to.compare(exchanges.iter().map(|exchange| exchange.request), &mut distances)?;
        from.compare(exchanges.iter().map(|exchange| exchange.response), &mut distances)?;
    }
    summarise(distances)
}

/// The same for HTTP/2, whose messages are where their frames are: the capture must have every byte. How many bytes a
/// message's frames have must be the same, too.
///
/// # Errors
/// As [`compare`]; and where bytes differ.
pub fn compare_http2(exchanges: &[Value], capture: &Path) -> Result<WireTimes> {
    let streams = frames::messages(capture)?;
    let mut distances = Vec::new();
    for value in exchanges.iter().filter(|value| value["side"] == "server" && value["complete"] == true) {
        let exchange: Exchange = serde_json::from_value(value.clone()).context("an exchange of the API")?;
        let Exchange { local, peer, stream_id, request, response } = exchange;
        for (ends, said) in [((peer, local), request), ((local, peer), response)] {
            let seen = streams.get(&(ends.0, ends.1, stream_id)).context("a message was not captured")?;
            ensure!(seen.bytes == said.bytes, "{} bytes were captured: {value}", seen.bytes);
            distances.push(seen.first_byte.abs_diff(said.first_byte));
            distances.push(seen.last_byte.abs_diff(said.last_byte));
        }
    }
    summarise(distances)
}

/// Captured streams by (source, destination).
struct Streams(BTreeMap<(SocketAddr, SocketAddr), Stream>);

/// One direction of a connection from its SYN on.
#[derive(Default)]
struct Stream {
    /// Sequence number of the first byte.
    first: Option<u32>,
    /// Offset of a segment's first byte, its length, and when it first passed.
    segments: Vec<(u64, u64, u64)>,
}

impl Streams {
    fn new(segments: &[CapturedSegment]) -> Self {
        let mut streams: BTreeMap<_, Stream> = BTreeMap::new();
        for segment in segments {
            let stream = streams.entry((segment.source, segment.destination)).or_default();
            if segment.syn {
                stream.first = Some(segment.seq.wrapping_add(1));
            } else if let (Some(first), 1..) = (stream.first, segment.payload_len) {
                let offset = u64::from(segment.seq.wrapping_sub(first));
                stream.segments.push((offset, u64::from(segment.payload_len), segment.time));
            }
        }
        Self(streams)
    }

    fn take(&mut self, source: SocketAddr, destination: SocketAddr) -> Option<Stream> {
        let mut stream = self.0.remove(&(source, destination))?;
        stream.first?;
        stream.segments.sort_unstable();
        Some(stream)
    }
}

impl Stream {
    fn compare(&self, messages: impl Iterator<Item = Message>, distances: &mut Vec<u64>) -> Result<()> {
        let mut offset = 0;
        for message in messages {
            let first = self.time_of(offset).context("a message's first byte was not captured")?;
            let last =
                self.time_of(offset + message.bytes - 1).context("a message's last byte was not captured")?;
            distances.push(first.abs_diff(message.first_byte));
            distances.push(last.abs_diff(message.last_byte));
            offset += message.bytes;
        }
        Ok(())
    }

    /// When the byte at `offset` first passed.
    fn time_of(&self, offset: u64) -> Option<u64> {
        let covering = self.segments.iter().filter(|(start, len, _)| (*start..start + len).contains(&offset));
        covering.map(|(_, _, time)| *time).min()
    }
}

#[expect(clippy::cast_precision_loss, reason = "for people: three digits")]
fn summarise(mut distances: Vec<u64>) -> Result<WireTimes> {
    ensure!(!distances.is_empty(), "no message was seen by both weft and tcpdump");
    distances.sort_unstable();
    let us = |ns: u64| ns as f64 / 1e3;
    let at = |share: f64| us(distances[((distances.len() - 1) as f64 * share).round() as usize]);
    Ok(WireTimes {
        compared: distances.len(),
        within_20us: distances.iter().filter(|ns| **ns <= 20_000).count() as f64 / distances.len() as f64,
        p50_us: at(0.5),
        p99_us: at(0.99),
        max_us: at(1.0),
    })
}

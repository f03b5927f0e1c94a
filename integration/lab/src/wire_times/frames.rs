//! Where the messages of HTTP/2 are in a capture: the frames' headers (RFC 9113, 4.1) of both directions, and nothing else.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::path::Path;

use anyhow::{Result, ensure};

use super::Message;
use crate::pcap;

const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";
const HEADER: usize = 9;
/// Types of frames (6): those of a message.
const DATA: u8 = 0;
const HEADERS: u8 = 1;
const CONTINUATION: u8 = 9;

/// Messages by source, destination and stream.
type Messages = BTreeMap<(SocketAddr, SocketAddr, u32), Message>;

/// Reads a capture with every byte. Connections count from their SYN on.
///
/// # Errors
/// When it is none, or bytes of a connection are missing.
pub fn messages(capture: &Path) -> Result<Messages> {
    let mut directions: BTreeMap<(SocketAddr, SocketAddr), Direction> = BTreeMap::new();
    pcap::each(capture, |segment, payload| {
        let ends = (segment.source, segment.destination);
        if segment.syn {
            directions.insert(ends, Direction::new(segment.seq.wrapping_add(1)));
        } else if let Some(direction) = directions.get_mut(&ends).filter(|_| segment.payload_len > 0) {
            ensure!(payload.len() == segment.payload_len as usize, "the capture has not every byte");
            direction.take(segment.seq, segment.time, payload);
        }
        Ok(())
    })?;
    let mut messages = Messages::new();
    for ((source, destination), direction) in directions {
        ensure!(direction.held.is_empty(), "bytes are missing in the capture");
        messages
            .extend(direction.messages.into_iter().map(|(id, message)| ((source, destination, id), message)));
    }
    Ok(messages)
}

/// One direction of a connection.
#[derive(Default)]
struct Direction {
    /// Sequence number of the first byte.
    first: u32,
    /// How many bytes were read.
    next: u64,
    /// What came before its time: bytes, and when they passed.
    held: BTreeMap<u64, (u64, Vec<u8>)>,
    /// The header that is being read, and when its first byte passed.
    header: Vec<u8>,
    begun: u64,
    /// The frame's stream, where it is of a message, and how much of it is left.
    stream: Option<u32>,
    left: usize,
    messages: BTreeMap<u32, Message>,
}

impl Direction {
    fn new(first: u32) -> Self {
        Self { first, ..Self::default() }
    }

    fn take(&mut self, seq: u32, time: u64, payload: &[u8]) {
        // Captures of tests are shorter than what sequence numbers can tell apart.
        let offset = u64::from(seq.wrapping_sub(self.first));
        if offset > self.next && offset < u64::from(u32::MAX / 2) {
            self.held.entry(offset).or_insert_with(|| (time, payload.to_vec()));
            return;
        }
        self.pass(offset, time, payload);
        while let Some((offset, (time, payload))) = self.held.pop_first() {
            if offset > self.next {
                self.held.insert(offset, (time, payload));
                return;
            }
            self.pass(offset, time, &payload);
        }
    }

    /// Bytes of which the first ones may have passed before.
    fn pass(&mut self, offset: u64, time: u64, payload: &[u8]) {
        let Some(mut new) = payload.get(self.next.wrapping_sub(offset) as usize..) else { return };
        self.next += new.len() as u64;
        while !new.is_empty() {
            new = if self.left > 0 { self.payload(time, new) } else { self.header(time, new) };
        }
    }

    fn payload<'a>(&mut self, time: u64, bytes: &'a [u8]) -> &'a [u8] {
        let (passed, rest) = bytes.split_at(self.left.min(bytes.len()));
        self.left -= passed.len();
        self.grow(passed.len(), time);
        rest
    }

    fn header<'a>(&mut self, time: u64, bytes: &'a [u8]) -> &'a [u8] {
        if self.header.is_empty() {
            self.begun = time;
        }
        let preface = self.header.starts_with(b"PRI") || self.header.is_empty() && bytes.starts_with(b"PRI");
        let whole = if preface { PREFACE.len() } else { HEADER };
        let (part, rest) = bytes.split_at((whole - self.header.len()).min(bytes.len()));
        self.header.extend(part);
        if self.header.len() == whole {
            let header = std::mem::take(&mut self.header);
            if !preface {
                self.open(&header, time);
            }
        }
        rest
    }

    fn open(&mut self, header: &[u8], time: u64) {
        let number = |bytes: &[u8]| bytes.iter().fold(0_u32, |number, byte| number << 8 | u32::from(*byte));
        let id = number(&header[5..]) & u32::MAX >> 1;
        self.left = number(&header[..3]) as usize;
        self.stream = matches!(header[3], DATA | HEADERS | CONTINUATION).then_some(id);
        if self.stream.is_some() {
            let begun = Message { first_byte: self.begun, last_byte: self.begun, bytes: 0 };
            self.messages.entry(id).or_insert(begun);
        }
        self.grow(HEADER, time);
    }

    fn grow(&mut self, bytes: usize, time: u64) {
        if let Some(message) = self.stream.and_then(|id| self.messages.get_mut(&id)) {
            message.bytes += bytes as u64;
            message.last_byte = message.last_byte.max(time);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn frame(kind: u8, stream: u32, length: usize) -> Vec<u8> {
        let header = [&(length as u32).to_be_bytes()[1..], &[kind, 0], &stream.to_be_bytes()].concat();
        [header, vec![b'P'; length]].concat()
    }

    #[test]
    fn messages_are_found_in_any_segments() {
        let bytes =
            [PREFACE, &frame(4, 0, 6), &frame(HEADERS, 1, 20), &frame(DATA, 1, 500), &frame(DATA, 3, 0)];
        let bytes = bytes.concat();
        let (first, seq) = (PREFACE.len() + 15, 77_u32.wrapping_neg());
        for size in [1, 7, 100, 1000] {
            let mut direction = Direction::new(seq);
            let mut parts: Vec<_> = bytes.chunks(size).enumerate().collect();
            parts.reverse();
            // Each pair the wrong way round, and some twice.
            for pair in parts.rchunks(2) {
                for (index, part) in pair {
                    direction.take(seq.wrapping_add((index * size) as u32), *index as u64, part);
                    direction.take(seq.wrapping_add((index * size) as u32), 10_000, part);
                }
            }
            let at = |place: usize| (place / size) as u64;
            let [one, three] = [1, 3].map(|id| direction.messages[&id]);
            assert_eq!(one, Message { first_byte: at(first), last_byte: at(first + 537), bytes: 538 });
            assert_eq!(three, Message { first_byte: at(first + 538), last_byte: at(first + 546), bytes: 9 });
            assert!(direction.held.is_empty());
        }
    }
}

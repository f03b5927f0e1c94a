//! What was sent again, told from a capture: the reference for weft's own account.

use std::collections::{BTreeMap, BTreeSet};
use std::net::SocketAddr;
use std::ops::Range;

use crate::pcap::CapturedSegment;

/// What a capture of one device says of its connections.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Resent {
    /// Bytes of payload.
    pub bytes: u64,
    /// Of these, bytes that had passed before.
    pub duplicate: u64,
    /// Segments with payload.
    pub segments: u64,
    /// Of these, segments of which some bytes had passed before.
    pub duplicate_segments: u64,
    /// Segments with a byte that had not passed while a later one of the same direction had.
    pub out_of_order: u64,
}

/// The bytes of a stream that passed.
#[derive(Debug, Default)]
pub(crate) struct Passed {
    /// Start to end, without overlap or contact.
    ranges: BTreeMap<u64, u64>,
}

/// One direction of a connection.
#[derive(Default)]
struct Direction {
    first: Option<u32>,
    passed: Passed,
}

/// Follows every direction of every connection by its sequence numbers, in the order of the file.
pub fn count(segments: &[CapturedSegment]) -> Resent {
    let mut directions: BTreeMap<(SocketAddr, SocketAddr), Direction> = BTreeMap::new();
    let mut openings = BTreeSet::new();
    let mut sum = Resent::default();
    for segment in segments {
        let ends = (segment.source, segment.destination);
        // A SYN with another number begins another connection between the same ends.
        if segment.syn && openings.insert((ends, segment.seq)) {
            directions.insert(ends, Direction::default());
        }
        if segment.payload_len > 0 {
            directions.entry(ends).or_default().pass(segment, &mut sum);
        }
    }
    sum
}

impl Direction {
    fn pass(&mut self, segment: &CapturedSegment, sum: &mut Resent) {
        let seq = segment.seq.wrapping_add(u32::from(segment.syn));
        let first = *self.first.get_or_insert(seq);
        let highest = self.passed.highest().unwrap_or(1 << 32);
        // Of all offsets that the number could stand for, the one next to the furthest.
        let ahead = seq.wrapping_sub(first.wrapping_add(highest as u32)) as i32;
        let start = highest.saturating_add_signed(i64::from(ahead));
        let length = u64::from(segment.payload_len);
        let again = length - self.passed.add(&(start..start + length));
        sum.bytes += length;
        sum.segments += 1;
        sum.duplicate += again;
        sum.duplicate_segments += u64::from(again > 0);
        let beyond = (start + length).saturating_sub(highest.max(start));
        sum.out_of_order += u64::from(again + beyond < length);
    }
}

impl Passed {
    /// Adds a range; says how many of its bytes were not there.
    pub(crate) fn add(&mut self, range: &Range<u64>) -> u64 {
        let (mut from, mut to, mut new) = (range.start, range.end, range.end - range.start);
        let touching = self.ranges.range(..=to).rev().take_while(|(_, last)| **last >= from);
        let touching: Vec<(u64, u64)> = touching.map(|(first, last)| (*first, *last)).collect();
        for (first, last) in touching {
            self.ranges.remove(&first);
            new -= last.min(range.end).saturating_sub(first.max(range.start));
            (from, to) = (from.min(first), to.max(last));
        }
        self.ranges.insert(from, to);
        new
    }

    fn highest(&self) -> Option<u64> {
        self.ranges.last_key_value().map(|(_, end)| *end)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn segment(seq: u32, payload_len: u32, syn: bool) -> CapturedSegment {
        let end = |port| SocketAddr::from(([10, 0, 0, 1], port));
        let (source, destination) = (end(1), end(2));
        CapturedSegment {
            time: 0,
            source,
            destination,
            seq,
            ack: 0,
            payload_len,
            syn,
            fin: false,
            rst: false,
        }
    }

    #[test]
    fn bytes_count_once_whatever_the_borders() {
        let first = u32::MAX - 4;
        let at = |offset: u32, length| segment(first.wrapping_add(1).wrapping_add(offset), length, false);
        let read = count(&[segment(first, 0, true), at(0, 10), at(20, 10), at(5, 10), at(10, 15), at(0, 40)]);
        let expected =
            Resent { bytes: 85, duplicate: 5 + 10 + 30, segments: 5, duplicate_segments: 3, out_of_order: 2 };
        assert_eq!(read, expected);
    }

    #[test]
    fn a_new_connection_between_the_same_ends_begins_anew() {
        let read = count(&[
            segment(9, 0, true),
            segment(10, 5, false),
            segment(99, 0, true),
            segment(100, 5, false),
        ]);
        assert_eq!((read.bytes, read.duplicate), (10, 0));
        let again =
            count(&[segment(9, 0, true), segment(10, 5, false), segment(9, 0, true), segment(10, 5, false)]);
        assert_eq!((again.bytes, again.duplicate), (10, 5));
    }
}

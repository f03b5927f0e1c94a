//! A segment as the records that the kernel programs would have written of it (`tc-probes/ebpf/src/segment.rs`).
use weft_abi::{Header, KIND_SEGMENT, MAX_CAPTURE, Segment, VANTAGE_VETH, tcp_flag};
use zerocopy::IntoBytes;

use crate::layers::TcpPacket;

/// Where and when a segment passed.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Passed {
    pub(crate) netns: u64,
    pub(crate) ifindex: u32,
    /// `DIRECTION_*`.
    pub(crate) direction: u8,
    pub(crate) time: u64,
}

/// Whether a segment says anything about messages; the others are counted, and not recorded.
pub(crate) fn says_something(packet: &TcpPacket<'_>) -> bool {
    packet.payload_len > 0 || packet.flags & (tcp_flag::SYN | tcp_flag::FIN | tcp_flag::RST) != 0
}

/// Gives each record of a segment; `buffer` is what they are written in. What was not captured goes with the last.
pub(crate) fn write(
    packet: &TcpPacket<'_>,
    passed: Passed,
    buffer: &mut Vec<u8>,
    mut give: impl FnMut(&[u8]),
) {
    let mut at = 0;
    let mut rest = packet.payload;
    for number in 0.. {
        let (data, behind) = rest.split_at(rest.len().min(MAX_CAPTURE));
        rest = behind;
        let left = packet.payload_len.saturating_sub(at);
        let len = if rest.is_empty() { left } else { data.len() as u32 };
        buffer.clear();
        buffer.extend_from_slice(segment(packet, passed, number, at, len, data).as_bytes());
        buffer.extend_from_slice(data);
        give(buffer);
        at = at.saturating_add(len);
        if rest.is_empty() {
            return;
        }
    }
}

fn segment(packet: &TcpPacket<'_>, passed: Passed, number: u32, at: u32, len: u32, data: &[u8]) -> Segment {
    let Passed { netns, ifindex, direction, time } = passed;
    let ends = at.saturating_add(len) >= packet.payload_len;
    Segment {
        header: Header {
            kind: KIND_SEGMENT,
            detail: direction,
            vantage: VANTAGE_VETH,
            bank: 0,
            ifindex,
            time,
            netns,
        },
        tuple: packet.tuple,
        seq: packet.seq.wrapping_add(at),
        ack: if packet.flags & tcp_flag::ACK != 0 { packet.ack } else { 0 },
        payload_len: len,
        capture_offset: 0,
        captured: data.len() as u32,
        cookie: 0,
        // The end of the stream is the end of the last part.
        tcp_flags: if ends { packet.flags } else { packet.flags & !(tcp_flag::FIN | tcp_flag::PSH) },
        part: u8::try_from(number).unwrap_or(u8::MAX),
        window: packet.window,
        gso_segs: 0,
    }
}

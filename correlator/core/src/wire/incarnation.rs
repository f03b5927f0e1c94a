//! Of which connection between the same two ends a segment is: ports are used again, within a second too, and segments
//! of the old connection may come late.
use weft_abi::tcp_flag;

use super::{
    decode::SegmentEvent,
    direction::Direction,
    flow::Flow,
    stream::{FIRST, Origin, Stream},
};

/// A RST further than this from what was seen is nobody's (RFC 5961, 3: receivers demand the very next number, but
/// records may be missing).
const RST_WINDOW: u64 = 1 << 24;

/// Who sent the SYN, as far as one was seen.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum Opener {
    #[default]
    Unknown,
    One(Direction),
    /// Simultaneous open (RFC 9293, 3.5).
    Both,
}

impl Opener {
    /// A segment with SYN passed: its sender opened the connection, or answers the one who did.
    pub(super) fn with(self, sender: Direction, answers: bool) -> Self {
        let opener = if answers { sender.reverse() } else { sender };
        match self {
            Self::Unknown => Self::One(opener),
            Self::One(other) if other != opener && !answers => Self::Both,
            known => known,
        }
    }

    pub(super) fn one(self) -> Option<Direction> {
        match self {
            Self::One(opener) => Some(opener),
            Self::Unknown | Self::Both => None,
        }
    }
}

/// A SYN that nobody answered yet, over a connection that is not known to be over: its sender, and the sequence number
/// behind it. Whether it begins another connection its receiver decides (RFC 9293, 3.10.7.4; RFC 5961, 4).
pub(super) type Reopening = Option<(Direction, u32)>;

/// What a segment is for the connection that is known.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Incarnation {
    /// It is of this connection.
    This,
    /// It begins another one.
    Next,
    /// Of neither, or nobody can tell: its bytes are nobody's.
    None,
}

impl Flow {
    /// Of which connection a segment is.
    pub(super) fn incarnation(&mut self, segment: &SegmentEvent<'_>) -> Incarnation {
        if segment.has(tcp_flag::SYN) {
            return self.incarnation_of_syn(segment);
        }
        // The answer to the SYN was not recorded, but its sender goes on behind it.
        let goes_on = segment.len > 0 && segment.ack.is_some();
        if goes_on && self.reopening == Some((segment.direction, segment.seq)) {
            return Incarnation::Next;
        }
        let carries = segment.len > 0 || segment.has(tcp_flag::FIN);
        if carries && self.is_late(segment) { Incarnation::None } else { Incarnation::This }
    }

    fn incarnation_of_syn(&mut self, segment: &SegmentEvent<'_>) -> Incarnation {
        let stream = segment.direction.of(&self.streams);
        if !stream.started() || stream.first_seq() == segment.seq {
            return Incarnation::This;
        }
        if segment.ack.is_some() || self.is_over() {
            return Incarnation::Next;
        }
        self.reopening = Some((segment.direction, segment.seq));
        Incarnation::None
    }

    /// A segment of the connection before: it carries what lies before the handshake, or acknowledges that.
    fn is_late(&self, segment: &SegmentEvent<'_>) -> bool {
        let direction = segment.direction;
        let end = segment.seq.wrapping_add(segment.len);
        let acknowledges = |ack: u32| lies_before_handshake(direction.reverse().of(&self.streams), ack);
        lies_before_handshake(direction.of(&self.streams), end) || segment.ack.is_some_and(acknowledges)
    }

    /// Whether a RST ends this connection. Its receiver takes it at the next number that it expects: that is no less than
    /// what it acknowledged.
    pub(super) fn believes_reset(&self, segment: &SegmentEvent<'_>) -> bool {
        let stream = segment.direction.of(&self.streams);
        let offset = stream.offset_of(segment.seq);
        let expected = stream.acked()..=stream.highest().saturating_add(RST_WINDOW);
        !stream.started() || expected.contains(&offset)
    }
}

fn lies_before_handshake(stream: &Stream, seq: u32) -> bool {
    stream.origin == Origin::Handshake && stream.offset_of(seq) < FIRST
}

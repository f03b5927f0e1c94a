//! Frames (RFC 9113, 4 and 6).

/// Bytes of a frame's header.
pub(super) const HEADER: usize = 9;
/// SETTINGS_MAX_FRAME_SIZE until something else is announced (6.5.2).
pub(super) const DEFAULT_MAX_FRAME: u32 = 1 << 14;
/// The largest that may be announced.
pub(super) const MAX_FRAME: u32 = (1 << 24) - 1;

/// The type that nothing but a header block is followed by (6.10).
pub(super) const CONTINUATION: u8 = 0x09;

/// Flags, by the frames that have them (6).
pub(super) mod flag {
    pub(in super::super) const END_STREAM: u8 = 0x01;
    pub(in super::super) const ACK: u8 = 0x01;
    pub(in super::super) const END_HEADERS: u8 = 0x04;
    pub(in super::super) const PADDED: u8 = 0x08;
    pub(in super::super) const PRIORITY: u8 = 0x20;
}

/// What a frame is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::wire) enum FrameType {
    Data,
    Headers,
    Priority,
    RstStream,
    Settings,
    PushPromise,
    Ping,
    GoAway,
    WindowUpdate,
    Continuation,
    /// Of an extension: to be ignored (4.1).
    Unknown(u8),
}

impl FrameType {
    const fn new(number: u8) -> Self {
        match number {
            0x00 => Self::Data,
            0x01 => Self::Headers,
            0x02 => Self::Priority,
            0x03 => Self::RstStream,
            0x04 => Self::Settings,
            0x05 => Self::PushPromise,
            0x06 => Self::Ping,
            0x07 => Self::GoAway,
            0x08 => Self::WindowUpdate,
            CONTINUATION => Self::Continuation,
            other => Self::Unknown(other),
        }
    }
}

/// A frame's header (4.1).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::wire) struct FrameHeader {
    /// Bytes of the payload behind it; 24 bits.
    pub(in crate::wire) length: u32,
    pub(in crate::wire) kind: FrameType,
    pub(super) flags: u8,
    /// 31 bits; the reserved one is ignored.
    pub(super) stream_id: u32,
}

impl FrameHeader {
    pub(super) fn parse(bytes: [u8; HEADER]) -> Self {
        let [high, middle, low, kind, flags, a, b, c, d] = bytes;
        Self {
            length: u32::from_be_bytes([0, high, middle, low]),
            kind: FrameType::new(kind),
            flags,
            stream_id: id([a, b, c, d]),
        }
    }

    pub(super) fn has(self, flag: u8) -> bool {
        self.flags & flag != 0
    }

    /// The stream's sender will send no more on it.
    pub(super) fn ends_stream(self) -> bool {
        matches!(self.kind, FrameType::Data | FrameType::Headers) && self.has(flag::END_STREAM)
    }

    /// DATA of this stream with no flag: nothing but body, and more to come.
    pub(super) fn is_plain_data_of(self, stream_id: u32) -> bool {
        self.kind == FrameType::Data && self.flags == 0 && self.stream_id == stream_id
    }

    /// It carries a part of a header block.
    pub(super) fn is_of_block(self) -> bool {
        matches!(self.kind, FrameType::Headers | FrameType::PushPromise | FrameType::Continuation)
    }

    /// What of the payload is a part of a header block (6.2, 6.6 and 6.10), and the stream that is promised, or 0.
    /// Nothing where the payload is too short for what its flags say.
    pub(in crate::wire) fn fragment(self, payload: &[u8]) -> Option<(u32, &[u8])> {
        let mut rest = payload;
        let mut padding = 0;
        if self.kind != FrameType::Continuation && self.has(flag::PADDED) {
            let (pad, behind) = rest.split_first()?;
            (padding, rest) = (usize::from(*pad), behind);
        }
        let mut promised = 0;
        match self.kind {
            FrameType::Headers if self.has(flag::PRIORITY) => rest = rest.get(5..)?,
            FrameType::PushPromise => {
                let (stream, behind) = rest.split_first_chunk()?;
                (promised, rest) = (id(*stream), behind);
            }
            _ => {}
        }
        Some((promised, rest.get(..rest.len().checked_sub(padding)?)?))
    }
}

/// A stream's identifier, or another number of 31 bits.
pub(super) fn id(bytes: [u8; 4]) -> u32 {
    u32::from_be_bytes(bytes) & (u32::MAX >> 1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_header_is_nine_bytes() {
        let header = FrameHeader::parse([0, 1, 2, 1, 0x25, 0x80, 0, 0, 3]);
        let expected = FrameHeader { length: 258, kind: FrameType::Headers, flags: 0x25, stream_id: 3 };
        assert_eq!(header, expected);
        assert!(header.ends_stream() && header.is_of_block());
        assert_eq!(FrameHeader::parse([0, 0, 0, 0x20, 0, 0, 0, 0, 0]).kind, FrameType::Unknown(0x20));
    }

    #[test]
    fn padding_and_priority_are_no_part_of_the_block() {
        let frame = |kind, flags| FrameHeader { length: 0, kind, flags, stream_id: 1 };
        let padded = frame(FrameType::Headers, flag::PADDED | flag::PRIORITY);
        assert_eq!(padded.fragment(b"\x02PRIORblockpp"), Some((0, &b"block"[..])));
        assert_eq!(padded.fragment(b"\x03PRIORpp"), None, "more padding than payload");
        assert_eq!(padded.fragment(b"\x00PRI"), None);
        assert_eq!(padded.fragment(b""), None);
        let promise = frame(FrameType::PushPromise, flag::PADDED);
        assert_eq!(promise.fragment(b"\x01\x80\x00\x00\x02blockp"), Some((2, &b"block"[..])));
        let continuation = frame(FrameType::Continuation, flag::PADDED);
        assert_eq!(continuation.fragment(b"\x05block"), Some((0, &b"\x05block"[..])));
    }
}

//! Finding frames in the middle of a stream, and telling that there are none.
use super::frame::{DEFAULT_MAX_FRAME, FrameHeader, FrameType, HEADER, flag};

/// Whether a frame is as long as its type must be (RFC 9113, 6.3 to 6.9); anything else ends the connection.
pub(super) fn has_its_length(frame: FrameHeader) -> bool {
    match frame.kind {
        FrameType::Priority => frame.length == 5,
        FrameType::RstStream | FrameType::WindowUpdate => frame.length == 4,
        FrameType::Settings if frame.has(flag::ACK) => frame.length == 0,
        FrameType::Settings => frame.length.is_multiple_of(6),
        FrameType::Ping => frame.length == 8,
        FrameType::GoAway => frame.length >= 8,
        _ => true,
    }
}

/// Whether a frame's header is one that programs in use send.
pub(super) fn is_usual_header(bytes: [u8; HEADER], max_frame: u32) -> bool {
    let [.., reserved, _, _, _] = bytes;
    reserved & 0x80 == 0 && is_usual(FrameHeader::parse(bytes), max_frame)
}

/// The same without its reserved bit: stricter than the RFC, which has unknown types, flags and bits ignored.
pub(super) fn is_usual(frame: FrameHeader, max_frame: u32) -> bool {
    let (flags, on_stream) = match frame.kind {
        FrameType::Data => (flag::END_STREAM | flag::PADDED, Some(true)),
        FrameType::Headers => {
            (flag::END_STREAM | flag::END_HEADERS | flag::PADDED | flag::PRIORITY, Some(true))
        }
        FrameType::Priority | FrameType::RstStream => (0, Some(true)),
        FrameType::Settings | FrameType::Ping => (flag::ACK, Some(false)),
        FrameType::PushPromise => (flag::END_HEADERS | flag::PADDED, Some(true)),
        FrameType::GoAway => (0, Some(false)),
        FrameType::WindowUpdate => (0, None),
        FrameType::Continuation | FrameType::Unknown(_) => return false,
    };
    let allowed = on_stream.is_none_or(|on_stream| on_stream == (frame.stream_id != 0));
    frame.flags & !flags == 0
        && allowed
        && frame.length <= max_frame
        && has_its_length(frame)
        && !(frame.is_of_block() && frame.length == 0)
}

/// How many frames begin in a segment of `len` bytes, of which the first are these, when one begins with it; nothing
/// where one of them is none. And whether the last one ends with the segment.
fn chain(bytes: &[u8], len: u64, max_frame: u32) -> Option<(u32, bool)> {
    let (mut rest, mut left, mut frames) = (bytes, len, 0);
    while let Some((header, behind)) = rest.split_first_chunk::<HEADER>() {
        if !is_usual_header(*header, max_frame) {
            return None;
        }
        frames += 1;
        let length = FrameHeader::parse(*header).length;
        left = match (left - HEADER as u64).checked_sub(length.into()) {
            Some(left) => left,
            None => return Some((frames, false)),
        };
        rest = behind.get(length as usize..).unwrap_or_default();
    }
    Some((frames, left == 0))
}

/// Whether a connection of which nothing is known speaks HTTP/2, by a segment of `len` bytes that begins with these. A
/// frame that ends exactly with the segment has 24 bits of length, 8 of type and 8 of flags right, and a stream that
/// fits: nothing else begins with a zero byte and goes on like that. Empty frames prove nothing.
pub(in crate::wire) fn is_joined(bytes: &[u8], len: u64) -> bool {
    let begins_empty = bytes.starts_with(&[0, 0, 0]);
    match chain(bytes, len, DEFAULT_MAX_FRAME) {
        Some((frames, true)) => frames >= if begins_empty { 3 } else { 1 },
        Some((frames, false)) => frames >= if begins_empty { 4 } else { 3 },
        None => false,
    }
}

/// Whether a stream begins as a server's does (3.4): with SETTINGS. Nothing while that is open.
pub(in crate::wire) fn is_server_preface(bytes: &[u8]) -> Option<bool> {
    let settings = [None, None, None, Some(4), Some(0), Some(0), Some(0), Some(0), Some(0)];
    let fits = |(byte, wanted): (&u8, Option<u8>)| wanted.is_none_or(|wanted| wanted == *byte);
    if bytes.first().is_some_and(|byte| *byte != 0) || !bytes.iter().zip(settings).all(fits) {
        return Some(false);
    }
    let header = bytes.first_chunk::<HEADER>()?;
    let frame = FrameHeader::parse(*header);
    Some(has_its_length(frame) && frame.length <= DEFAULT_MAX_FRAME)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn frame(length: u32, kind: u8, flags: u8, stream: u32) -> Vec<u8> {
        let header = [&length.to_be_bytes()[1..], &[kind, flags], &stream.to_be_bytes()].concat();
        [header, vec![0xaa; length as usize]].concat()
    }

    fn joined(parts: &[Vec<u8>]) -> bool {
        let bytes = parts.concat();
        is_joined(&bytes, bytes.len() as u64)
    }

    #[test]
    fn frames_are_found() {
        assert!(joined(&[frame(20, 1, 0x05, 3)]));
        assert!(joined(&[frame(20, 1, 0x04, 3), frame(7, 0, 1, 3)]));
        assert!(joined(&[frame(8, 6, 0, 0)]) && joined(&[frame(4, 8, 0, 0)]));
        let mut cut = [frame(20, 1, 0x04, 3), frame(4, 8, 0, 3), frame(16_384, 0, 0, 3)].concat();
        cut.truncate(1000);
        assert!(is_joined(&cut, 1000));
    }

    #[test]
    fn other_things_are_not() {
        for bytes in [
            &b"GET / HTTP/1.1\r\n\r\n"[..],
            b"\x16\x03\x01\x00\x05hello",
            b"\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0",
            b"\0\0\0\x04\0\0\0\0\0",
            b"\0\0\x08\x06\0\0\0\0\0short",
            b"\0\0\x05\x00\0\0\0\0\0hello",
            b"\0\0\x05\x00\0\x80\0\0\x01hello",
            b"\0\0\x05\x09\x04\0\0\0\x01hello",
            b"\0\0\x05\x00\x02\0\0\0\x01hello",
            b"",
        ] {
            assert!(!is_joined(bytes, bytes.len() as u64), "{bytes:?}");
        }
    }

    #[test]
    fn servers_begin_with_settings() {
        assert_eq!(is_server_preface(b"\0\0\x06\x04\0\0\0\0\0\0\x03\0\0\0\x64"), Some(true));
        assert_eq!(is_server_preface(b"\0\0\0\x04\0\0\0\0\0"), Some(true));
        assert_eq!((is_server_preface(b""), is_server_preface(b"\0\0\x06\x04")), (None, None));
        for bytes in [&b"HTTP/1.1"[..], b"\0\0\x05\x04\0\0\0\0\0", b"\0\0\x06\x04\x01", b"\x01"] {
            assert_eq!(is_server_preface(bytes), Some(false));
        }
    }
}

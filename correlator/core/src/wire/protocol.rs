//! Stage 3, first question: what do the two ends speak? Answered by the first bytes of either direction.
use super::{http1::is_token, http2::is_server_preface};
use crate::Protocol;

/// RFC 9113, 3.4.
pub(super) const HTTP2_PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";
/// How a status line begins (RFC 9112, 4).
pub(super) const STATUS_LINE: &[u8] = b"HTTP/1.";
/// What begins nothing that is known, at its first byte. Zeros may begin an HTTP/2 server's SETTINGS.
pub(super) const NOTHING_KNOWN: &[u8] = &[0xff];
/// Methods in use have at most 17 letters (the IANA registry's longest is UPDATEREDIRECTREF).
const MAX_METHOD: usize = 64;

/// What a connection's or a message's first bytes look like.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Guess {
    /// Too few bytes to tell.
    NeedMore,
    /// A method and a space: the head's parser decides.
    Request,
    /// A status line.
    Response,
    /// What an HTTP/2 server sends first.
    Settings,
    /// Not HTTP/1.
    Other(Protocol),
}

/// Looks at most at the first few dozen bytes, so it may be asked again as they come.
pub(super) fn guess(bytes: &[u8]) -> Guess {
    if begins(bytes, HTTP2_PREFACE) {
        return if bytes.len() < HTTP2_PREFACE.len() {
            Guess::NeedMore
        } else {
            Guess::Other(Protocol::Http2)
        };
    }
    if begins(bytes, STATUS_LINE) {
        return if bytes.len() < STATUS_LINE.len() { Guess::NeedMore } else { Guess::Response };
    }
    match tls(bytes) {
        Guess::Other(Protocol::Tcp) => match is_server_preface(bytes) {
            Some(true) => Guess::Settings,
            Some(false) => request(bytes),
            None => Guess::NeedMore,
        },
        guess => guess,
    }
}

/// Whether one of the two begins with the other.
fn begins(bytes: &[u8], pattern: &[u8]) -> bool {
    bytes.iter().zip(pattern).all(|(byte, wanted)| byte == wanted)
}

/// A record of any type that a connection may be joined at (RFC 8446, 5.1): 20 to 23, version 3.x, at most
/// 2^14 + 256 bytes.
fn tls(bytes: &[u8]) -> Guess {
    match *bytes {
        [20..=23] | [20..=23, 3] | [20..=23, 3, 0..=4] | [20..=23, 3, 0..=4, _] => Guess::NeedMore,
        [20..=23, 3, 0..=4, high, _, ..] if high <= 0x41 => Guess::Other(Protocol::Tls),
        _ => Guess::Other(Protocol::Tcp),
    }
}

fn request(bytes: &[u8]) -> Guess {
    let method = bytes.iter().take(MAX_METHOD).take_while(|byte| is_token(**byte)).count();
    match bytes.get(method) {
        Some(b' ') if method > 0 => Guess::Request,
        None if method < MAX_METHOD => Guess::NeedMore,
        _ => Guess::Other(Protocol::Tcp),
    }
}

/// Whether these bytes begin with a whole request line of HTTP/1 (method SP target SP "HTTP/1."): what a request
/// is found again by.
pub(super) fn is_request_line(bytes: &[u8]) -> bool {
    if guess(bytes) != Guess::Request {
        return false;
    }
    let line = bytes.split(|byte| matches!(byte, b'\r' | b'\n')).next().unwrap_or_default();
    let mut words = line.split(|byte| *byte == b' ');
    let (_, target, version) = (words.next(), words.next(), words.next());
    target.is_some_and(|target| !target.is_empty())
        && version.is_some_and(|version| version.starts_with(STATUS_LINE))
}

/// The same with a method of capitals, as all that are registered: where a segment may begin within a body, and a request
/// right behind that.
pub(super) fn is_usual_request_line(bytes: &[u8]) -> bool {
    let method = bytes.iter().take_while(|byte| byte.is_ascii_uppercase() || **byte == b'-').count();
    bytes.get(method) == Some(&b' ') && is_request_line(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn first_bytes_tell_the_protocol() {
        for (bytes, expected) in [
            (&b"GET / HTTP/1.1\r\n"[..], Guess::Request),
            (b"PROPFIND /a HTTP/1.1", Guess::Request),
            (b"X-ODD!METHOD ", Guess::Request),
            (b"HTTP/1.1 200 OK", Guess::Response),
            (b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", Guess::Other(Protocol::Http2)),
            (b"PRI * HTTP/2", Guess::NeedMore),
            (b"PRINT /a", Guess::Request),
            (b"", Guess::NeedMore),
            (b"G", Guess::NeedMore),
            (b"HTTP", Guess::NeedMore),
            (b"\x16", Guess::NeedMore),
            (b"\x16\x03\x01\x02\x00\x01", Guess::Other(Protocol::Tls)),
            (b"\x17\x03\x03\x40\x11\x01", Guess::Other(Protocol::Tls)),
            (b"\x17\x03\x03\xff\xff\x01", Guess::Other(Protocol::Tcp)),
            (b"*1\r\n$4\r\nPING\r\n", Guess::Other(Protocol::Tcp)),
            (b"SSH-2.0-OpenSSH_9.2\r\n", Guess::Other(Protocol::Tcp)),
            (b"\x00\x00\x00\x17", Guess::Other(Protocol::Tcp)),
            (b"\x00\x00\x06\x04", Guess::NeedMore),
            (b"\x00\x00\x00\x04\x00\x00\x00\x00\x00", Guess::Settings),
            (&[b'A'; 64], Guess::Other(Protocol::Tcp)),
            (NOTHING_KNOWN, Guess::Other(Protocol::Tcp)),
        ] {
            assert_eq!(guess(bytes), expected, "{:?}", String::from_utf8_lossy(bytes));
        }
    }

    #[test]
    fn a_request_line_needs_all_its_parts() {
        assert!(is_request_line(b"GET / HTTP/1.1\r\nHost: a\r\n"));
        assert!(is_request_line(b"PURGE http://a/b HTTP/1.0\n"));
        assert!(is_usual_request_line(b"VERSION-CONTROL /a HTTP/1.1\r\n"));
        assert!(
            is_request_line(b"bodyPOST / HTTP/1.1\r\n") && !is_usual_request_line(b"bodyPOST / HTTP/1.1\r\n")
        );
        for bytes in [
            &b"GET / "[..],
            b"GET  HTTP/1.1\r\n",
            b"get a\r\n",
            b"GET /\r\nGET / HTTP/1.1\r\n",
            b"GET / HTTP/2.0\r\n",
        ] {
            assert!(!is_request_line(bytes), "{:?}", String::from_utf8_lossy(bytes));
        }
    }
}

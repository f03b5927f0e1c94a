//! A message's head (RFC 9112, 2): its start line, and what its fields say of where the message ends.
//!
//! A reader of our own, because a passive observer must follow what real ends take: what they refuse, they answer with
//! an error of their own, and that is an exchange too.
use super::{
    field::{FieldReader, Fields, is_token},
    lines::Lines,
};
use crate::propagation::PropagationReader;

/// How a version of HTTP/1 begins (RFC 9112, 2.3).
const VERSION: &[u8] = b"HTTP/1.";

/// How far a head was understood.
#[derive(Debug, PartialEq, Eq)]
pub(in super::super) enum Parsed<T> {
    /// All of it, and its length in bytes.
    Complete(T, usize),
    /// More bytes are needed.
    Partial,
    /// This is no head.
    Invalid,
    /// The limit was reached before its end.
    TooLarge,
}

impl<T> Parsed<T> {
    /// With the head made into something else.
    pub(in super::super) fn map<U>(self, f: impl FnOnce(T) -> U) -> Parsed<U> {
        match self {
            Self::Complete(head, len) => Parsed::Complete(f(head), len),
            Self::Partial => Parsed::Partial,
            Self::Invalid => Parsed::Invalid,
            Self::TooLarge => Parsed::TooLarge,
        }
    }
}

/// What delimits a message's body (RFC 9112, 6.3).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in super::super) enum Framing {
    Length(u64),
    Chunked,
    UntilClose,
    /// The fields contradict each other: nobody can tell.
    Unknown,
}

/// Which of the two kinds of message: their fields are read a little differently.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    Request,
    Response,
}

impl Kind {
    /// Whether a start line may begin like this, so that what is none is known before its line ends.
    fn may_begin(self, bytes: &[u8]) -> bool {
        match self {
            Self::Request => {
                let method = bytes.iter().take_while(|byte| is_token(**byte)).count();
                bytes.get(method).is_none_or(|byte| method > 0 && byte.is_ascii_whitespace())
            }
            Self::Response => bytes.iter().zip(VERSION).all(|(byte, wanted)| byte == wanted),
        }
    }
}

/// A request's head.
#[derive(Debug, PartialEq, Eq)]
pub(in super::super) struct RequestHead<'a> {
    pub(in super::super) method: &'a str,
    /// As it was sent: any bytes but white space at its ends.
    pub(in super::super) target: &'a [u8],
    pub(in super::super) host: Option<&'a [u8]>,
    pub(in super::super) propagation: PropagationReader,
    pub(in super::super) end: End,
}

/// A response's head.
#[derive(Debug, PartialEq, Eq)]
pub(in super::super) struct ResponseHead {
    pub(in super::super) status: u16,
    /// Upgrade names h2c.
    pub(in super::super) h2c: bool,
    pub(in super::super) end: End,
}

/// What a head says of the message's end, and how well.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in super::super) struct End {
    /// What delimits the body, where there is one.
    pub(in super::super) framing: Framing,
    /// The fields contradict each other.
    pub(in super::super) conflicting: bool,
    /// Some line or byte has no place in a head.
    pub(in super::super) malformed: bool,
}

/// Parses a request's head of at most `limit` bytes.
pub(in super::super) fn request(bytes: &[u8], limit: usize) -> Parsed<RequestHead<'_>> {
    head(bytes, limit, Kind::Request, request_line).map(|((method, target, minor), fields)| RequestHead {
        method,
        target,
        host: fields.host,
        propagation: fields.propagation,
        end: End::new(&fields, Kind::Request, minor),
    })
}

/// Parses a response's head of at most `limit` bytes.
pub(in super::super) fn response(bytes: &[u8], limit: usize) -> Parsed<ResponseHead> {
    head(bytes, limit, Kind::Response, status_line).map(|((status, minor), fields)| ResponseHead {
        status,
        h2c: fields.h2c,
        end: End::new(&fields, Kind::Response, minor),
    })
}

impl End {
    fn new(fields: &Fields<'_>, kind: Kind, minor: u8) -> Self {
        let (framing, conflicting) = fields.framing(kind, minor);
        Self { framing, conflicting, malformed: fields.malformed }
    }
}

/// One pass over the lines. `start` reads the first one.
fn head<'a, T>(
    bytes: &'a [u8],
    limit: usize,
    kind: Kind,
    start: impl FnOnce(&'a [u8]) -> Option<T>,
) -> Parsed<(T, Fields<'a>)> {
    let window = bytes.get(..limit).unwrap_or(bytes);
    let unfinished = if bytes.len() >= limit { Parsed::TooLarge } else { Parsed::Partial };
    let mut lines = Lines::new(window);
    let Some(first) = lines.next() else {
        return if kind.may_begin(window) { unfinished } else { Parsed::Invalid };
    };
    let Some(start) = window.get(first).and_then(start) else { return Parsed::Invalid };
    let mut fields = FieldReader::new(window, kind);
    while let Some(line) = lines.next() {
        if line.is_empty() {
            return Parsed::Complete((start, fields.finish()), lines.taken);
        }
        fields.line(line);
    }
    unfinished
}

/// Method, target and minor version. RFC 9112, 3: any white space between them will do, and around them. The target is
/// all that is between the first and the last word: real clients send spaces in it.
fn request_line(line: &[u8]) -> Option<(&str, &[u8], u8)> {
    let line = line.trim_ascii();
    let method = line.iter().take_while(|byte| is_token(**byte)).count();
    let (method, rest) = line.split_at_checked(method)?;
    let version = rest.iter().rposition(|byte| byte.is_ascii_whitespace())?;
    let (target, version) = rest.split_at_checked(version)?;
    let minor = minor_version(version.trim_ascii())?;
    let separated = target.first().is_some_and(|byte| byte.is_ascii_whitespace());
    let target = target.trim_ascii();
    let complete = separated && !method.is_empty() && !target.is_empty();
    complete.then_some((str::from_utf8(method).ok()?, target, minor))
}

/// Whether a request's head may begin with this line.
pub(in super::super) fn reads_request_line(line: &[u8]) -> bool {
    request_line(line).is_some()
}

/// Status and minor version (RFC 9112, 4). The reason phrase may be anything, or absent with its space.
fn status_line(line: &[u8]) -> Option<(u16, u8)> {
    let version = line.iter().position(|byte| byte.is_ascii_whitespace())?;
    let (version, rest) = line.split_at_checked(version)?;
    let minor = minor_version(version)?;
    let [hundreds @ b'1'..=b'9', tens @ b'0'..=b'9', ones @ b'0'..=b'9', rest @ ..] = rest.trim_ascii_start()
    else {
        return None;
    };
    let ends = rest.first().is_none_or(|byte| byte.is_ascii_whitespace());
    let digit = |byte: &u8| u16::from(byte - b'0');
    ends.then(|| (digit(hundreds) * 100 + digit(tens) * 10 + digit(ones), minor))
}

/// RFC 9112, 2.3: a version of another major number is not HTTP/1.
fn minor_version(text: &[u8]) -> Option<u8> {
    match text.strip_prefix(VERSION) {
        Some([minor @ b'0'..=b'9']) => Some(minor - b'0'),
        _ => None,
    }
}

#[cfg(test)]
mod tests;

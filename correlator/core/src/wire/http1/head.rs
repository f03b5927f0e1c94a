//! A message's head (RFC 9112, 2): its start line, and those of its fields that say where the message ends.
use std::mem::MaybeUninit;

use httparse::{EMPTY_HEADER, Header, ParserConfig, Request, Response, Status};

/// Heads with more fields than this are parsed a second time, with room on the heap.
const FIELDS: usize = 64;

/// How far a head was understood.
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

/// A request's head.
pub(in super::super) struct RequestHead<'a> {
    pub(in super::super) method: &'a str,
    pub(in super::super) target: &'a str,
    pub(in super::super) host: Option<&'a [u8]>,
    pub(in super::super) framing: Framing,
    /// The fields contradict each other.
    pub(in super::super) conflicting: bool,
}

/// A response's head.
pub(in super::super) struct ResponseHead {
    pub(in super::super) status: u16,
    /// What delimits the body of a response that has one.
    pub(in super::super) framing: Framing,
    pub(in super::super) conflicting: bool,
}

/// The fields that matter.
#[derive(Default)]
struct Fields<'a> {
    host: Option<&'a [u8]>,
    length: Length,
    coding: Option<Coding>,
}

/// What the Content-Length fields say together.
#[derive(Clone, Copy, Default, PartialEq, Eq)]
enum Length {
    #[default]
    Absent,
    Bytes(u64),
    Conflicting,
}

/// The last transfer coding.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Coding {
    Chunked,
    Other,
}

/// Parses a request's head of at most `limit` bytes.
pub(in super::super) fn request(bytes: &[u8], limit: usize) -> Parsed<RequestHead<'_>> {
    let window = bytes.get(..limit).unwrap_or(bytes);
    let mut fields = [const { MaybeUninit::uninit() }; FIELDS];
    let mut request = Request::new(&mut []);
    let mut config = ParserConfig::default();
    // What servers take, weft must take: a field that is none is skipped, and those that frame the message still count.
    config.ignore_invalid_headers_in_requests(true);
    match config.parse_request_with_uninit_headers(&mut request, window, &mut fields) {
        Err(httparse::Error::TooManyHeaders) => {
            let mut fields = more_fields(window);
            let mut request = Request::new(&mut fields);
            let status = config.parse_request(&mut request, window);
            finish(status, bytes.len() >= limit, || request_head(&request))
        }
        status => finish(status, bytes.len() >= limit, || request_head(&request)),
    }
}

/// Parses a response's head of at most `limit` bytes.
pub(in super::super) fn response(bytes: &[u8], limit: usize) -> Parsed<ResponseHead> {
    let window = bytes.get(..limit).unwrap_or(bytes);
    let mut fields = [const { MaybeUninit::uninit() }; FIELDS];
    let mut response = Response::new(&mut []);
    let mut config = ParserConfig::default();
    config.allow_obsolete_multiline_headers_in_responses(true);
    config.allow_spaces_after_header_name_in_responses(true);
    config.ignore_invalid_headers_in_responses(true);
    match config.parse_response_with_uninit_headers(&mut response, window, &mut fields) {
        Err(httparse::Error::TooManyHeaders) => {
            let mut fields = more_fields(window);
            let mut response = Response::new(&mut fields);
            let status = config.parse_response(&mut response, window);
            finish(status, bytes.len() >= limit, || response_head(&response))
        }
        status => finish(status, bytes.len() >= limit, || response_head(&response)),
    }
}

/// As many fields as can be in so many bytes: the shortest has three.
fn more_fields(window: &[u8]) -> Vec<Header<'_>> {
    vec![EMPTY_HEADER; window.len() / 3 + 1]
}

fn finish<T>(
    status: httparse::Result<usize>,
    limit_reached: bool,
    head: impl FnOnce() -> Option<T>,
) -> Parsed<T> {
    match status {
        Ok(Status::Complete(len)) => head().map_or(Parsed::Invalid, |head| Parsed::Complete(head, len)),
        Ok(Status::Partial) if limit_reached => Parsed::TooLarge,
        Ok(Status::Partial) => Parsed::Partial,
        Err(_) => Parsed::Invalid,
    }
}

fn request_head<'a>(request: &Request<'_, 'a>) -> Option<RequestHead<'a>> {
    let fields = fields(request.headers);
    let (framing, conflicting) = framing(&fields, request.version?, Framing::Unknown, Framing::Length(0));
    Some(RequestHead {
        method: request.method?,
        target: request.path?,
        host: fields.host,
        framing,
        conflicting,
    })
}

fn response_head(response: &Response<'_, '_>) -> Option<ResponseHead> {
    let fields = fields(response.headers);
    let (framing, conflicting) =
        framing(&fields, response.version?, Framing::UntilClose, Framing::UntilClose);
    Some(ResponseHead { status: response.code?, framing, conflicting })
}

/// RFC 9112, 6.3: Transfer-Encoding overrides Content-Length. `other` is for a last coding that is not chunked,
/// `none` for a message without either field.
fn framing(fields: &Fields<'_>, version: u8, other: Framing, none: Framing) -> (Framing, bool) {
    match (fields.coding, fields.length) {
        (Some(coding), length) => {
            let framing = if coding == Coding::Chunked { Framing::Chunked } else { other };
            (framing, length != Length::Absent || version == 0)
        }
        (None, Length::Conflicting) => (Framing::Unknown, true),
        (None, Length::Bytes(bytes)) => (Framing::Length(bytes), false),
        (None, Length::Absent) => (none, false),
    }
}

fn fields<'a>(headers: &[Header<'a>]) -> Fields<'a> {
    let mut fields = Fields::default();
    for Header { name, value } in headers {
        match name.len() {
            4 if name.eq_ignore_ascii_case("host") => fields.host = Some(value),
            14 if name.eq_ignore_ascii_case("content-length") => fields.length = length(fields.length, value),
            17 if name.eq_ignore_ascii_case("transfer-encoding") => fields.coding = Some(coding(value)),
            _ => {}
        }
    }
    fields
}

/// Several lengths are one when all are the same (RFC 9110, 8.6).
fn length(before: Length, value: &[u8]) -> Length {
    value.split(|byte| *byte == b',').fold(before, |before, text| {
        match (before, decimal(text.trim_ascii())) {
            (Length::Absent, Some(bytes)) => Length::Bytes(bytes),
            (Length::Bytes(old), Some(new)) if old == new => before,
            _ => Length::Conflicting,
        }
    })
}

fn decimal(text: &[u8]) -> Option<u64> {
    if text.is_empty() {
        return None;
    }
    text.iter().try_fold(0_u64, |value, byte| {
        let digit = byte.is_ascii_digit().then(|| u64::from(byte - b'0'))?;
        value.checked_mul(10)?.checked_add(digit)
    })
}

fn coding(value: &[u8]) -> Coding {
    let last = value.rsplit(|byte| *byte == b',').next().unwrap_or_default();
    if last.trim_ascii().eq_ignore_ascii_case(b"chunked") { Coding::Chunked } else { Coding::Other }
}

/// Finds a head's end in bytes that come piece by piece, looking at each once.
#[derive(Default)]
pub(in super::super) struct HeadEnd {
    blank: bool,
}

impl HeadEnd {
    /// Behind which of these bytes the head ends; they follow those of the calls before.
    pub(in super::super) fn find(&mut self, bytes: &[u8]) -> Option<usize> {
        for (index, byte) in bytes.iter().enumerate() {
            match byte {
                b'\n' if self.blank => return Some(index + 1),
                b'\n' => self.blank = true,
                b'\r' => {}
                _ => self.blank = false,
            }
        }
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn request_framing(fields: &str) -> (Framing, bool) {
        let text = format!("POST / HTTP/1.1\r\nHost: a\r\n{fields}\r\n");
        match request(text.as_bytes(), 8192) {
            Parsed::Complete(head, len) if len == text.len() => (head.framing, head.conflicting),
            _ => panic!("no head: {text:?}"),
        }
    }

    #[test]
    fn framing_follows_rfc_9112_6_3() {
        for (fields, expected) in [
            ("", (Framing::Length(0), false)),
            ("Content-Length: 17\r\n", (Framing::Length(17), false)),
            ("content-length: 17\r\nCONTENT-LENGTH: 17\r\n", (Framing::Length(17), false)),
            ("Content-Length: 17, 17\r\n", (Framing::Length(17), false)),
            ("Content-Length: 17, 18\r\n", (Framing::Unknown, true)),
            ("Content-Length: 17\r\nContent-Length: 18\r\n", (Framing::Unknown, true)),
            ("Content-Length: +17\r\n", (Framing::Unknown, true)),
            ("Content-Length: \r\n", (Framing::Unknown, true)),
            ("Content-Length: 99999999999999999999\r\n", (Framing::Unknown, true)),
            ("Transfer-Encoding: chunked\r\n", (Framing::Chunked, false)),
            ("Transfer-Encoding: gzip, Chunked\r\n", (Framing::Chunked, false)),
            ("Transfer-Encoding: gzip\r\nTransfer-Encoding: chunked\r\n", (Framing::Chunked, false)),
            ("Transfer-Encoding: chunked, gzip\r\n", (Framing::Unknown, false)),
            ("Content-Length: 5\r\nTransfer-Encoding: chunked\r\n", (Framing::Chunked, true)),
        ] {
            assert_eq!(request_framing(fields), expected, "{fields:?}");
        }
    }

    #[test]
    fn many_fields_are_no_error() {
        let mut text = String::from("GET / HTTP/1.1\r\n");
        for index in 0..500 {
            text.push_str(&format!("a{index}:b\r\n"));
        }
        text.push_str("Content-Length: 3\r\n\r\n");
        let Parsed::Complete(head, _) = request(text.as_bytes(), 8192) else { panic!("no head") };
        assert_eq!(head.framing, Framing::Length(3));
    }

    #[test]
    fn the_limit_is_exact() {
        let text = b"GET / HTTP/1.1\r\nHost: a\r\n\r\n";
        assert!(matches!(request(text, text.len()), Parsed::Complete(_, 27)));
        assert!(matches!(request(text, text.len() - 1), Parsed::TooLarge));
        assert!(matches!(request(&text[..20], text.len()), Parsed::Partial));
    }

    #[test]
    fn a_heads_end_is_found_across_pieces() {
        let text = b"GET / HTTP/1.1\r\nHost: a\r\n\r\nrest";
        for cut in 0..text.len() {
            let mut end = HeadEnd::default();
            let found = end.find(&text[..cut]).or_else(|| end.find(&text[cut..]).map(|index| index + cut));
            assert_eq!(found, Some(27), "cut at {cut}");
        }
    }
}

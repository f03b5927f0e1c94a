//! A head of HTTP/1 with nothing in it that the redaction list names, byte for byte as long as before.
use std::ops::Range;

use super::super::{
    http1::{hides_framing, is_token, reads_request_line},
    protocol::{HTTP2_PREFACE, STATUS_LINE, is_request_line},
    text::user_end,
};
use crate::Config;

/// What stands where something was.
pub(in super::super) const MASK: u8 = b'*';

/// How HTTP/2's preface begins: what follows in it is a [`MASK`].
const PREFACE_WORD: &[u8] = b"PRI ";

/// Masks the values of the listed fields, and the query. What is no field of a head is masked whole, and so is what only
/// looks like a head until its first line has ended: the line of another protocol may begin with a word and a space, too.
pub(super) fn masked_head(head: &[u8], config: &Config) -> Vec<u8> {
    let blank = head.iter().take_while(|byte| matches!(byte, b'\r' | b'\n')).count();
    let (blank, text) = head.split_at_checked(blank).unwrap_or((head, &[]));
    let mut lines = text.split_inclusive(|byte| *byte == b'\n');
    let first = lines.next().unwrap_or_default();
    let mut masked = blank.to_vec();
    if first.starts_with(STATUS_LINE) {
        masked.extend_from_slice(first);
    } else if is_request_line(first) || first.ends_with(b"\n") && reads_request_line(first) {
        masked.extend(request_line(first, config.redact_query));
    } else {
        masked.extend(masked_rest(text));
        return masked;
    }
    let mut sensitive = false;
    for line in lines {
        sensitive = field(line, sensitive, &config.redact_headers, &mut masked);
    }
    masked
}

/// Masks a field's line, if it is listed, or folds onto one that is (`sensitive`); says which.
pub(super) fn masked_field(line: &[u8], sensitive: bool, config: &Config) -> (Vec<u8>, bool) {
    let mut masked = Vec::new();
    let sensitive = field(line, sensitive, &config.redact_headers, &mut masked);
    (masked, sensitive)
}

/// Masks a part of a line, of its beginning but the name, or the white space that folds it.
pub(super) fn masked_line(part: &[u8], begins: bool) -> Vec<u8> {
    let colon = part
        .iter()
        .position(|byte| *byte == b':')
        .filter(|_| begins && !part.starts_with(b" ") && !part.starts_with(b"\t"));
    let (name, value) = part.split_at_checked(colon.map_or(0, |colon| colon + 1)).unwrap_or((part, &[]));
    [name, &masked_value(value)].concat()
}

/// Keeps the ends of lines, and of the beginning what it must be taken for again.
fn masked_rest(text: &[u8]) -> Vec<u8> {
    let word = text.iter().take_while(|byte| is_token(**byte)).count();
    let space = (text.get(word) == Some(&b' ')).then_some(word);
    let shown = beginning(text, space);
    let mut masked = masked_text(text);
    for ((place, masked), byte) in masked.iter_mut().enumerate().zip(text) {
        if place < shown || Some(place) == space {
            *masked = *byte;
        }
    }
    masked
}

/// How much may be shown: as much of a status line or of HTTP/2's preface as there is, and a first word of capitals.
fn beginning(text: &[u8], space: Option<usize>) -> usize {
    let [status, preface] = [STATUS_LINE, HTTP2_PREFACE].map(|known| common(text, known));
    // A mask behind the preface's word would go on with the preface.
    if preface == PREFACE_WORD.len() && preface < text.len() {
        return 0;
    }
    let is_capital = |byte: &u8| byte.is_ascii_uppercase();
    let word = space.filter(|space| text.iter().take(*space).all(is_capital)).unwrap_or(0);
    word.max(status).max(preface)
}

/// How many bytes the two begin with in common.
fn common(text: &[u8], known: &[u8]) -> usize {
    text.iter().zip(known).take_while(|(byte, known)| byte == known).count()
}

fn masked_text(text: &[u8]) -> Vec<u8> {
    text.iter().map(|byte| if matches!(byte, b'\r' | b'\n') { *byte } else { MASK }).collect()
}

/// Of a target its user information and its query are masked, and what comes behind the version.
fn request_line(line: &[u8], redact_query: bool) -> Vec<u8> {
    let target = target(line);
    let text = line.get(target.clone()).unwrap_or_default();
    let query = text.iter().position(|byte| *byte == b'?').filter(|_| redact_query);
    let user = user(text);
    let behind = target.end + VERSION_LEN;
    let hidden = |place: usize| match place.checked_sub(target.start) {
        Some(at) if place < target.end => user.contains(&at) || query.is_some_and(|mark| at > mark),
        _ => place >= behind,
    };
    let places = line.iter().enumerate();
    places
        .map(|(place, byte)| match hidden(place) {
            true if place < target.end || !byte.is_ascii_whitespace() => MASK,
            _ => *byte,
        })
        .collect()
}

/// White space, `HTTP/1.` and the minor version.
const VERSION_LEN: usize = 9;

/// Where a request line's target is: between the first word and the version.
fn target(line: &[u8]) -> Range<usize> {
    let run = |from: usize, white: bool| {
        let rest = line.iter().skip(from);
        from + rest.take_while(|byte| byte.is_ascii_whitespace() == white).count()
    };
    let begin = run(run(run(0, true), false), true);
    begin..version(line).unwrap_or(line.len()).max(begin)
}

/// Where the white space before the version is. The last one counts in a line that is read, the first one in a line that only
/// looks like a request's.
fn version(line: &[u8]) -> Option<usize> {
    let is_version = |at: &[u8], white: fn(&u8) -> bool| {
        at.split_first().is_some_and(|(first, rest)| white(first) && rest == STATUS_LINE)
    };
    let mut places = line.windows(STATUS_LINE.len() + 1);
    if reads_request_line(line) {
        places.rposition(|at| is_version(at, u8::is_ascii_whitespace))
    } else {
        places.position(|at| is_version(at, |byte| *byte == b' '))
    }
}

/// The user information of an absolute target, without its `@`.
fn user(target: &[u8]) -> Range<usize> {
    let is_scheme = |byte: &u8| byte.is_ascii_alphanumeric() || b"+-.".contains(byte);
    let scheme = target.iter().take_while(|byte| is_scheme(byte)).count();
    let begin = scheme + b"://".len();
    if scheme == 0 || target.get(scheme..begin) != Some(b"://") {
        return 0..0;
    }
    let rest = target.get(begin..).unwrap_or_default();
    let authority = rest.split(|byte| b"/?#".contains(byte)).next().unwrap_or_default();
    begin..begin + user_end(authority).saturating_sub(1)
}

/// One line; says whether what folds onto it is sensitive. `before`: whether the line before it was.
fn field(line: &[u8], before: bool, listed: &[String], masked: &mut Vec<u8>) -> bool {
    let folds = matches!(line, [b' ' | b'\t', ..]);
    let mut sensitive = folds && before;
    let (framing, line) = if sensitive { (&[][..], line) } else { framing_name(line) };
    masked.extend_from_slice(framing);
    let mut begun = folds || !framing.is_empty();
    // Some take a bare CR for a line's end: a listed field may begin behind each.
    for part in line.split_inclusive(|byte| *byte == b'\r') {
        let (framing, part) = framing_name(part);
        masked.extend_from_slice(framing);
        begun |= !framing.is_empty();
        sensitive |= masked_part(part, sensitive, begun, listed, masked);
        begun = folds;
    }
    sensitive
}

/// What is no field, nor goes on with one that has `begun`, is masked; says whether it is a listed one.
fn masked_part(part: &[u8], sensitive: bool, begun: bool, listed: &[String], masked: &mut Vec<u8>) -> bool {
    let colon = part.iter().position(|byte| *byte == b':').map(|colon| colon + 1);
    let (name, value) = part.split_at_checked(colon.unwrap_or(0)).unwrap_or_default();
    let listed = is_listed(name, listed);
    let nameless = matches!(name, [] | [b':']) && !begun && !is_blank(part);
    if sensitive || nameless {
        masked.extend(masked_value(part));
    } else if listed {
        masked.extend_from_slice(name);
        masked.extend(masked_value(value));
    } else if name.eq_ignore_ascii_case(b"host:") {
        masked.extend_from_slice(name);
        let (user, host) = value.split_at_checked(user_end(value).saturating_sub(1)).unwrap_or_default();
        masked.extend(masked_value(user));
        masked.extend_from_slice(host);
    } else {
        masked.extend_from_slice(part);
    }
    listed
}

/// Splits off a name that frames the message, or hides there: where it does the message's end is unknown, and must be again.
fn framing_name(part: &[u8]) -> (&[u8], &[u8]) {
    let colon = part.iter().position(|byte| *byte == b':').map_or(part.len(), |colon| colon + 1);
    part.split_at_checked(if hides_framing(part) { colon } else { 0 }).unwrap_or_default()
}

fn is_blank(part: &[u8]) -> bool {
    part.iter().all(|byte| matches!(byte, b'\r' | b'\n'))
}

fn is_listed(name: &[u8], listed: &[String]) -> bool {
    let name = name.strip_suffix(b":").unwrap_or_default().trim_ascii();
    listed.iter().any(|listed| listed.as_bytes().eq_ignore_ascii_case(name))
}

/// White space before it, which may be what folds the line, line ends and NUL, which no value has, stay.
fn masked_value(value: &[u8]) -> Vec<u8> {
    let space = value.iter().take_while(|byte| matches!(byte, b' ' | b'\t')).count();
    let (space, text) = value.split_at_checked(space).unwrap_or((value, &[]));
    let text = text.iter().map(|byte| if matches!(byte, b'\r' | b'\n' | 0) { *byte } else { MASK });
    space.iter().copied().chain(text).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn masked(head: &str) -> String {
        let masked = masked_head(head.as_bytes(), &Config::default());
        assert_eq!(masked.len(), head.len());
        String::from_utf8(masked).unwrap()
    }

    #[test]
    fn only_what_is_listed_is_masked() {
        for (head, expected) in [
            ("GET /a?b=c&d HTTP/1.1\r\nHost: x\r\n\r\n", "GET /a?***** HTTP/1.1\r\nHost: x\r\n\r\n"),
            ("GET /a HTTP/1.1\nCookie: a=b; c\nX: ?\n\n", "GET /a HTTP/1.1\nCookie: ******\nX: ?\n\n"),
            ("HTTP/1.1 200 OK?\r\nSET-cookie :\ta\r\n\r\n", "HTTP/1.1 200 OK?\r\nSET-cookie :\t*\r\n\r\n"),
            ("GET http://a:b@x/@?c HTTP/1.1\r\n", "GET http://***@x/@?* HTTP/1.1\r\n"),
            ("GET /http://a:b@x HTTP/1.1\r\n", "GET /http://a:b@x HTTP/1.1\r\n"),
            ("GET / HTTP/1.1\r\nHOST: a:b@c@x\r\n", "GET / HTTP/1.1\r\nHOST: *****@x\r\n"),
            ("\r\n\r\nGET / HTTP/1.0\r\n", "\r\n\r\nGET / HTTP/1.0\r\n"),
            (
                "GET / HTTP/1.1\r\nAuthorization: Basic\r\n  abc\r\n\td:e\r\nX: y\r\n z\r\n",
                "GET / HTTP/1.1\r\nAuthorization: *****\r\n  ***\r\n\t***\r\nX: y\r\n z\r\n",
            ),
        ] {
            assert_eq!(masked(head), expected);
        }
    }

    #[test]
    fn what_is_no_field_is_masked() {
        for (lines, expected) in [
            ("Authorization secret\r\n", "********************\r\n"),
            ("X: a\rCookie: secret\r\n", "X: a\rCookie: ******\r\n"),
            ("Cookie: a\rb:secret\r\n", "Cookie: *\r********\r\n"),
            ("Cookie: a\r b:secret\r\n c:d\r\n", "Cookie: *\r ********\r\n ***\r\n"),
            (" Cookie: a\r\n", " Cookie: *\r\n"),
            ("Authori", "*******"),
        ] {
            let start = "GET / HTTP/1.1\r\n";
            assert_eq!(masked(&format!("{start}{lines}")), format!("{start}{expected}"));
        }
    }

    #[test]
    fn other_protocols_lines_are_masked() {
        for (head, expected) in [
            ("PASS hunter2\r\nUSER a:b\r\n", "PASS *******\r\n********\r\n"),
            ("GET /secret", "GET *******"),
            ("AUTH", "****"),
            ("auth hunter2", "**** *******"),
            ("HTTP/1", "HTTP/1"),
            ("PRI * HT", "PRI * HT"),
            ("PRI * HTTP/2.0\r\nx", "PRI * HTTP/2.0\r\n*"),
            ("PRI x", "*** *"),
            ("PRINT x", "PRINT *"),
            ("\r\nH", "\r\nH"),
            ("\0\u{1}x", "***"),
        ] {
            assert_eq!(masked(head), expected);
        }
    }

    #[test]
    fn the_list_and_the_query_are_the_configurations() {
        let config =
            Config { redact_query: false, redact_headers: vec!["x-key".into()], ..Config::default() };
        let head = b"GET /?a HTTP/1.1\r\nX-Key: b\r\nCookie: c\r\n\r\n";
        assert_eq!(masked_head(head, &config), b"GET /?a HTTP/1.1\r\nX-Key: *\r\nCookie: c\r\n\r\n");
    }
}

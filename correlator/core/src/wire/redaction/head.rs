//! A head of HTTP/1 with nothing in it that the redaction list names, byte for byte as long as before.
use std::ops::Range;

use super::super::{
    http1::is_token,
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
    // As much of a status line as says nothing.
    if STATUS_LINE.starts_with(text) {
        return head.to_vec();
    }
    if !(first.starts_with(STATUS_LINE) || is_request_line(first)) {
        masked.extend(masked_rest(text));
        return masked;
    }
    masked.extend(start_line(first, config.redact_query));
    let mut sensitive = false;
    for line in lines {
        sensitive = field(line, sensitive, &config.redact_headers, &mut masked);
    }
    masked
}

/// Keeps the ends of lines, and of the first word what it must be taken for again.
fn masked_rest(text: &[u8]) -> Vec<u8> {
    let shown = first_word(text);
    let mut masked = masked_text(text);
    masked.iter_mut().zip(text).take(shown.end).skip(shown.start).for_each(|(masked, byte)| *masked = *byte);
    masked
}

/// As much of HTTP/2's preface as there is; else a word of capitals and its space, else the space.
fn first_word(text: &[u8]) -> Range<usize> {
    let preface = text.iter().zip(HTTP2_PREFACE).take_while(|(byte, known)| byte == known).count();
    if preface > PREFACE_WORD.len() || preface == text.len() {
        return 0..preface;
    }
    let word = text.iter().take_while(|byte| is_token(**byte)).count();
    let capitals = text.iter().take(word).all(u8::is_ascii_uppercase);
    match text.get(word) {
        // A mask behind the preface's word would go on with the preface.
        Some(b' ') if capitals && preface < PREFACE_WORD.len() => 0..word + 1,
        Some(b' ') => word..word + 1,
        _ => 0..0,
    }
}

fn masked_text(text: &[u8]) -> Vec<u8> {
    text.iter().map(|byte| if matches!(byte, b'\r' | b'\n') { *byte } else { MASK }).collect()
}

/// The target's query ends before the version.
fn start_line(line: &[u8], redact_query: bool) -> Vec<u8> {
    let end = line.windows(8).rposition(|window| window == b" HTTP/1.");
    let begin = line.iter().position(|byte| *byte == b'?').map(|mark| mark + 1);
    let mut masked = line.to_vec();
    if let (true, Some(begin), Some(end)) = (redact_query, begin, end)
        && let Some(query) = masked.get_mut(begin..end)
    {
        query.fill(MASK);
    }
    if let Some((begin, authority)) = absolute(line) {
        masked
            .iter_mut()
            .skip(begin)
            .take(user_end(authority).saturating_sub(1))
            .for_each(|byte| *byte = MASK);
    }
    masked
}

/// The authority of an absolute target, and where it begins.
fn absolute(line: &[u8]) -> Option<(usize, &[u8])> {
    let target = line.iter().position(|byte| *byte == b' ')? + 1;
    let rest = line.get(target..)?;
    let scheme = rest.iter().take_while(|byte| byte.is_ascii_alphanumeric() || b"+-.".contains(byte)).count();
    let rest = rest.get(scheme..)?.strip_prefix(b"://").filter(|_| scheme > 0)?;
    let end = rest.iter().position(|byte| b"/?# \r\n".contains(byte))?;
    Some((target + scheme + 3, rest.get(..end)?))
}

/// One line; says whether what folds onto it is sensitive. `before`: whether the line before it was.
fn field(line: &[u8], before: bool, listed: &[String], masked: &mut Vec<u8>) -> bool {
    let folds = matches!(line, [b' ' | b'\t', ..]);
    let mut sensitive = folds && before;
    // Some take a bare CR for a line's end: a listed field may begin behind each.
    for part in line.split_inclusive(|byte| *byte == b'\r') {
        let colon = part.iter().position(|byte| *byte == b':').map(|colon| colon + 1);
        let (name, value) = part.split_at_checked(colon.unwrap_or(0)).unwrap_or_default();
        let listed = is_listed(name, listed);
        if sensitive || colon.is_none() && !folds && !is_blank(part) {
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
        sensitive |= listed;
    }
    sensitive
}

fn is_blank(part: &[u8]) -> bool {
    part.iter().all(|byte| matches!(byte, b'\r' | b'\n'))
}

fn is_listed(name: &[u8], listed: &[String]) -> bool {
    let name = name.strip_suffix(b":").unwrap_or_default().trim_ascii();
    listed.iter().any(|listed| listed.as_bytes().eq_ignore_ascii_case(name))
}

/// White space before it, which may be what folds the line, and line ends stay.
fn masked_value(value: &[u8]) -> Vec<u8> {
    let space = value.iter().take_while(|byte| matches!(byte, b' ' | b'\t')).count();
    let (space, text) = value.split_at_checked(space).unwrap_or((value, &[]));
    [space, &masked_text(text)].concat()
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

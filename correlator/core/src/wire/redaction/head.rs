//! A head of HTTP/1 with nothing in it that the redaction list names, byte for byte as long as before.
use super::super::{
    protocol::{STATUS_LINE, is_request_line},
    text::user_end,
};
use crate::Config;

/// What stands where something was.
pub(in super::super) const MASK: u8 = b'*';

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

/// Keeps the first word and the ends of lines.
fn masked_rest(text: &[u8]) -> Vec<u8> {
    let word = text.iter().take_while(|byte| byte.is_ascii_uppercase()).count();
    let word = if text.get(word) == Some(&b' ') { word + 1 } else { 0 };
    let (word, rest) = text.split_at_checked(word).unwrap_or((text, &[]));
    [word, &masked_text(rest)].concat()
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
            ("HTTP/1", "HTTP/1"),
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

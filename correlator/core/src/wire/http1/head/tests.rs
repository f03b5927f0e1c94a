use proptest::prelude::*;

use super::*;

fn request_end(fields: &str) -> (Framing, bool) {
    request_end_of("1.1", fields)
}

fn request_end_of(version: &str, fields: &str) -> (Framing, bool) {
    let text = format!("POST / HTTP/{version}\r\nHost: a\r\n{fields}\r\n");
    match request(text.as_bytes(), 8192) {
        Parsed::Complete(head, len) if len == text.len() => (head.end.framing, head.end.conflicting),
        other => panic!("no head: {text:?} {other:?}"),
    }
}

fn response_end(version: &str, fields: &str) -> (Framing, bool) {
    let text = format!("HTTP/{version} 200 OK\r\n{fields}\r\n");
    match response(text.as_bytes(), 8192) {
        Parsed::Complete(head, len) if len == text.len() => (head.end.framing, head.end.conflicting),
        other => panic!("no head: {text:?} {other:?}"),
    }
}

#[test]
fn framing_follows_rfc_9112_6_3() {
    for (fields, expected) in [
        ("", (Framing::Length(0), false)),
        ("Content-Length: 17\r\n", (Framing::Length(17), false)),
        ("Content-Length:17 \t\r\n", (Framing::Length(17), false)),
        ("content-length: 17\r\nCONTENT-LENGTH: 17\r\n", (Framing::Length(17), false)),
        ("Content-Length: 17, 17\r\n", (Framing::Length(17), false)),
        ("Content-Length: 17, 18\r\n", (Framing::Unknown, true)),
        ("Content-Length: 17\r\nContent-Length: 18\r\n", (Framing::Unknown, true)),
        ("Content-Length: +17\r\n", (Framing::Unknown, true)),
        ("Content-Length: 0x17\r\n", (Framing::Unknown, true)),
        ("Content-Length: \r\n", (Framing::Unknown, true)),
        ("Content-Length: 99999999999999999999\r\n", (Framing::Unknown, true)),
        ("Content-Length:\r\n 17\r\n", (Framing::Length(17), false)),
        ("Content-Length: 17,\r\n\t17\r\n", (Framing::Length(17), false)),
        ("Content-Length: 1\r\n 7\r\n", (Framing::Unknown, true)),
        ("Transfer-Encoding: chunked\r\n", (Framing::Chunked, false)),
        ("Transfer-Encoding:\r\n chunked\r\n", (Framing::Chunked, false)),
        ("Transfer-Encoding: gzip,\r\n chunked\r\n", (Framing::Chunked, false)),
        ("Transfer-Encoding: gzip, Chunked\r\n", (Framing::Chunked, false)),
        ("Transfer-Encoding: chunked,\r\n", (Framing::Chunked, false)),
        ("Transfer-Encoding: gzip\r\nTransfer-Encoding: chunked\r\n", (Framing::Chunked, false)),
        ("Transfer-Encoding: chunked\r\nTransfer-Encoding: \r\n", (Framing::Chunked, false)),
        ("Transfer-Encoding: chunked, gzip\r\n", (Framing::Unknown, false)),
        ("Transfer-Encoding: chunked\r\n gzip\r\n", (Framing::Unknown, false)),
        ("Transfer-Encoding: \r\n", (Framing::Unknown, false)),
        ("Transfer-Encoding: identity\r\nContent-Length: 5\r\n", (Framing::Unknown, true)),
        ("Content-Length: 5\r\nTransfer-Encoding: chunked\r\n", (Framing::Chunked, true)),
        ("X: a\r\n Content-Length: 5\r\n", (Framing::Length(0), false)),
    ] {
        assert_eq!(request_end(fields), expected, "{fields:?}");
    }
    assert_eq!(request_end_of("1.0", "Transfer-Encoding: chunked\r\n"), (Framing::Unknown, true));
}

#[test]
fn a_responses_framing_follows_rfc_9112_6_3() {
    for (version, fields, expected) in [
        ("1.1", "", (Framing::UntilClose, false)),
        ("1.1", "Content-Length: 0\r\n", (Framing::Length(0), false)),
        ("1.1", "Content-Length : 5\r\n", (Framing::Length(5), false)),
        ("1.1", "Transfer-Encoding: gzip\r\n", (Framing::UntilClose, false)),
        ("1.1", "Transfer-Encoding: gzip\r\nContent-Length: 5\r\n", (Framing::UntilClose, true)),
        ("1.1", "Transfer-Encoding: chunked\r\n", (Framing::Chunked, false)),
        ("1.1", "Content-Length: 5\r\nContent-Length: 6\r\n", (Framing::Unknown, true)),
        ("1.0", "Content-Length: 5\r\n", (Framing::Length(5), false)),
        ("1.0", "Transfer-Encoding: chunked\r\n", (Framing::Unknown, true)),
    ] {
        assert_eq!(response_end(version, fields), expected, "{fields:?}");
    }
}

/// What one end may take for framing and another not leaves the end unknown; other lines that are no fields do not.
#[test]
fn lines_that_are_no_fields_are_skipped_unless_they_could_frame() {
    for (fields, expected) in [
        ("no colon\r\n", Framing::Length(0)),
        (": no name\r\n", Framing::Length(0)),
        ("A B: c\r\n", Framing::Length(0)),
        ("A: \0\r\n", Framing::Length(0)),
        ("A : b\r\n", Framing::Length(0)),
        ("A: b\rc: d\r\n", Framing::Length(0)),
        ("\u{e9}: b\r\n c\r\n", Framing::Length(0)),
        ("Content-Length : 5\r\n", Framing::Unknown),
        ("Content-Length\t: 5\r\n", Framing::Unknown),
        ("\0Content-Length: 5\r\n", Framing::Unknown),
        ("Transfer-\u{b}Encoding: chunked\r\n", Framing::Unknown),
        ("A: b\rContent-Length: 5\r\n", Framing::Unknown),
    ] {
        let text = format!("POST / HTTP/1.1\r\nHost: a\r\n{fields}Host: b\r\n\r\n");
        let Parsed::Complete(head, _) = request(text.as_bytes(), 8192) else { panic!("{text:?}") };
        assert_eq!((head.end.framing, head.end.malformed), (expected, true), "{fields:?}");
        assert_eq!((head.host, head.end.conflicting), (Some(&b"b"[..]), expected == Framing::Unknown));
    }
    let folded_first = "GET / HTTP/1.1\r\n Content-Length: 5\r\nHost: a\r\n\r\n";
    let Parsed::Complete(head, _) = request(folded_first.as_bytes(), 8192) else { panic!("no head") };
    assert_eq!((head.end.framing, head.end.malformed), (Framing::Unknown, true));
}

#[test]
fn request_lines() {
    let long = "M".repeat(300);
    for (line, expected) in [
        ("GET / HTTP/1.1", Some(("GET", "/"))),
        ("GET / HTTP/1.0", Some(("GET", "/"))),
        ("GET / HTTP/1.7", Some(("GET", "/"))),
        ("get / HTTP/1.1", Some(("get", "/"))),
        ("!#$%&'*+-.^_`|~ / HTTP/1.1", Some(("!#$%&'*+-.^_`|~", "/"))),
        (&format!("{long} / HTTP/1.1"), Some((long.as_str(), "/"))),
        ("GET / HTTP/1.1 ", Some(("GET", "/"))),
        ("GET \t /a b\t HTTP/1.1", Some(("GET", "/a b"))),
        ("GET HTTP/1.1", None),
        ("GET  HTTP/1.1", None),
        ("GET /", None),
        ("GET / HTTP/2.0", None),
        ("GET / HTTP/1", None),
        ("GET / http/1.1", None),
        ("G\u{e9}T / HTTP/1.1", None),
        (" / HTTP/1.1", None),
        ("", None),
    ] {
        let text = format!("{line}\r\n\r\n");
        let found = match request(text.as_bytes(), 8192) {
            Parsed::Complete(head, _) => Some((head.method.to_owned(), head.target.to_owned())),
            _ => None,
        };
        let expected = expected.map(|(method, target)| (method.to_owned(), target.as_bytes().to_owned()));
        assert_eq!(found, expected, "{line:?}");
    }
}

#[test]
fn status_lines() {
    for (line, expected) in [
        ("HTTP/1.1 200 OK", Some(200)),
        ("HTTP/1.1 200 ", Some(200)),
        ("HTTP/1.1 200", Some(200)),
        ("HTTP/1.0 404 Not \u{e9}\0\t found", Some(404)),
        ("HTTP/1.1 999 ", Some(999)),
        ("HTTP/1.1\t200 OK", Some(200)),
        ("HTTP/1.1 20", None),
        ("HTTP/1.1 2000", None),
        ("HTTP/1.1 099", None),
        ("HTTP/1.1", None),
        ("HTTP/2 200", None),
        ("ICY 200 OK", None),
    ] {
        let text = format!("{line}\n\n");
        let found = match response(text.as_bytes(), 8192) {
            Parsed::Complete(head, _) => Some(head.status),
            _ => None,
        };
        assert_eq!(found, expected, "{line:?}");
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
    assert_eq!(head.end.framing, Framing::Length(3));
}

#[test]
fn the_limit_is_exact() {
    let text = b"GET / HTTP/1.1\r\nHost: a\r\n\r\n";
    assert!(matches!(request(text, text.len()), Parsed::Complete(_, 27)));
    assert_eq!(request(text, text.len() - 1), Parsed::TooLarge);
    assert_eq!(request(&text[..20], text.len()), Parsed::Partial);
}

/// What is in the name of a field, byte by byte, changes nothing about the fields around it.
#[test]
fn field_names_of_every_byte_value() {
    for byte in 0..=u8::MAX {
        for name in [vec![byte], vec![b'A', byte], vec![byte, b'A']] {
            let text = [b"POST /a HTTP/1.1\r\n", &name[..], b": x\r\nContent-Length: 7\r\n\r\n"].concat();
            let Parsed::Complete(head, len) = request(&text, 8192) else { panic!("{byte}") };
            // A LF ends the line, and two of them the head.
            if byte == b'\n' {
                continue;
            }
            assert_eq!((head.end.framing, len), (Framing::Length(7), text.len()), "{byte}");
        }
    }
}

/// Names in lower case, and values.
type OtherFields = Vec<(String, Vec<u8>)>;

/// The head as httparse, with its own strictness, has it: start line, then the fields that matter.
fn other_request(text: &[u8]) -> Option<(String, Vec<u8>, usize, OtherFields)> {
    let mut fields = [httparse::EMPTY_HEADER; 32];
    let mut request = httparse::Request::new(&mut fields);
    let httparse::Status::Complete(len) = request.parse(text).ok()? else { return None };
    let fields = request.headers.iter().map(|field| (field.name.to_lowercase(), field.value.to_vec()));
    Some((request.method?.to_owned(), request.path?.as_bytes().to_vec(), len, fields.collect()))
}

fn other_response(text: &[u8]) -> Option<(u16, usize, OtherFields)> {
    let mut fields = [httparse::EMPTY_HEADER; 32];
    let mut response = httparse::Response::new(&mut fields);
    let mut config = httparse::ParserConfig::default();
    config.allow_spaces_after_header_name_in_responses(true);
    let parsed = config.parse_response(&mut response, text).ok()?;
    let httparse::Status::Complete(len) = parsed else { return None };
    let fields = response.headers.iter().map(|field| (field.name.to_lowercase(), field.value.to_vec()));
    Some((response.code?, len, fields.collect()))
}

/// The framing that plain fields give, told in another way than by the reader.
fn plain_framing(fields: &[(String, Vec<u8>)], none: Framing, other: Framing) -> Framing {
    let all = |wanted: &str| -> Vec<String> {
        let values = fields.iter().filter(|(name, _)| name == wanted);
        values.map(|(_, value)| String::from_utf8_lossy(value).to_lowercase()).collect()
    };
    let (codings, lengths) = (all("transfer-encoding"), all("content-length"));
    if let Some(last) = codings.last() {
        return if last.trim() == "chunked" { Framing::Chunked } else { other };
    }
    let values: Vec<_> = lengths.iter().map(|length| length.trim().parse::<u64>().ok()).collect();
    match values[..] {
        [] => none,
        [Some(first), ..] if values.iter().all(|value| *value == Some(first)) => Framing::Length(first),
        _ => Framing::Unknown,
    }
}

/// Pieces that heads are made of, good and bad.
fn piece() -> impl Strategy<Value = Vec<u8>> {
    let known = [
        "GET ",
        "POST ",
        "/a",
        "* ",
        " ",
        "HTTP/1.1",
        " HTTP/1.1\r\n",
        " HTTP/1.0\n",
        "HTTP/1.1 200 OK\r\n",
        "HTTP/1.1 204\r\n",
        "\r\n",
        "\n",
        "\r",
        "Host: a\r\n",
        "Content-Length: 5\r\n",
        "content-length:5\n",
        "Content-Length: 6\r\n",
        "Content-Length : 5\r\n",
        "Transfer-Encoding: chunked\r\n",
        "A: b\r\n",
        "A:\r\n",
        "Transfer-Encoding: gzip\r\n",
        " folded\r\n",
        "A",
        ":",
        "\0",
        "\t",
        "\u{e9}",
    ];
    prop_oneof![
        12 => prop::sample::select(known.map(|text| text.as_bytes().to_vec()).to_vec()),
        1 => prop::collection::vec(any::<u8>(), 1..4),
    ]
}

fn text(start: &'static [u8]) -> impl Strategy<Value = Vec<u8>> {
    prop::collection::vec(piece(), 0..12)
        .prop_map(move |pieces| [start, &pieces.concat()[..], b"\r\n\r\n"].concat())
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2000))]

    /// Wherever httparse takes a request, we see the same one.
    #[test]
    fn requests_agree_with_httparse(
        text in prop_oneof![text(b""), text(b"GET /a HTTP/1.1\r\n"), text(b"POST /\xc3\xa9 HTTP/1.1\nHost: a\n")],
    ) {
        let Some((method, target, len, fields)) = other_request(&text) else { return Ok(()) };
        // httparse skips blank lines before a message; ours are skipped before the reader is asked.
        let blank = text.iter().take_while(|byte| matches!(byte, b'\r' | b'\n')).count();
        let parsed = request(&text[blank..], 8192);
        let Parsed::Complete(head, own_len) = parsed else { panic!("{parsed:?}") };
        prop_assert_eq!((head.method, head.target, own_len + blank), (&method[..], &target[..], len));
        let host = fields.iter().rfind(|(name, _)| name == "host").map(|(_, value)| &value[..]);
        prop_assert_eq!(head.host, host);
        if !head.end.conflicting {
            prop_assert_eq!(head.end.framing, plain_framing(&fields, Framing::Length(0), Framing::Unknown));
        }
    }

    #[test]
    fn responses_agree_with_httparse(
        text in prop_oneof![text(b""), text(b"HTTP/1.1 200 OK\r\n"), text(b"HTTP/1.1 404 \n")],
    ) {
        let Some((status, len, fields)) = other_response(&text) else { return Ok(()) };
        let blank = text.iter().take_while(|byte| matches!(byte, b'\r' | b'\n')).count();
        let parsed = response(&text[blank..], 8192);
        let Parsed::Complete(head, own_len) = parsed else { panic!("{parsed:?}") };
        prop_assert_eq!((head.status, own_len + blank), (status, len));
        if !head.end.conflicting {
            prop_assert_eq!(head.end.framing, plain_framing(&fields, Framing::UntilClose, Framing::UntilClose));
        }
    }

    /// However the bytes are cut, the head's end is where the reader finds it.
    #[test]
    fn the_end_is_the_same_in_pieces(text in text(b"GET /a HTTP/1.1\r\n"), cut in any::<prop::sample::Index>()) {
        let Parsed::Complete(_, len) = request(&text, 1 << 20) else { panic!("no head") };
        let (first, second) = text.split_at(cut.index(text.len()));
        let mut end = super::super::lines::HeadEnd::default();
        let found = end.find(first).or_else(|| end.find(second).map(|index| index + first.len()));
        prop_assert_eq!(found, Some(len));
    }
}

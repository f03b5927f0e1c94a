//! How streams begin, whole and cut off: what is known by too few bytes, or by none, is known by the same number of them
//! when they are masked.
use super::{SECRET, Talk, assert_redacted, assert_same, exchanges, frame, response};
use crate::Side;

const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";

fn beginnings() -> Vec<Vec<u8>> {
    vec![
        b"o\r\n".to_vec(),
        b"a \r\n".to_vec(),
        b"GET /a HTTP/1.1\r\n\r\n".to_vec(),
        response(200, "body"),
        [PREFACE, &frame(4, 0, 0, b"")].concat(),
        frame(4, 0, 0, [0; 6]),
        b"\x16\x03\x01\x00\x05hello".to_vec(),
        b"\r\n\r\n\x01\x02".to_vec(),
        b"\0\0\0\0".to_vec(),
        vec![b'A'; 70],
    ]
}

/// The client began with these bytes, in segments of these sizes.
fn talks() -> impl Iterator<Item = (Talk, usize, Vec<u8>)> {
    let cut = beginnings().into_iter().flat_map(|text| (1..=text.len()).map(move |len| text[..len].to_vec()));
    cut.flat_map(|text| [1, 2, 100].map(|size| (size, text.clone()))).map(|(size, text)| {
        let mut talk = Talk::new(Side::Client);
        talk.client_in(size, &text);
        (talk, size, text)
    })
}

#[test]
fn cut_off() {
    for (mut talk, ..) in talks() {
        talk.client_fin().server_fin();
        assert_same(&talk.records);
    }
}

#[test]
fn answered_in_kind_and_gone_on_with() {
    for (mut talk, size, text) in talks() {
        talk.server_in(size, text).client("\u{1}").server_reset();
        assert_same(&talk.records);
    }
}

#[test]
fn torn_by_a_gap() {
    for (mut talk, ..) in talks() {
        talk.client("lost").lost().client("POST / HTTP/1.1\r\n\r\n").server_reset();
        assert_same(&talk.records);
    }
}

/// Three zeros could begin SETTINGS, the three bytes that they stand for begin nothing.
#[test]
fn too_short_for_anything_and_then_a_gap() {
    let mut talk = Talk::new(Side::Client);
    talk.server("o\r\n").client("lost").lost().client("\u{1}").client_fin().server_fin();
    let redacted = assert_same(&talk.records);
    assert_eq!(exchanges(&redacted).len(), 1);
}

/// A mask in the place of a status line that began well would be none at once, and not only when its line is over.
#[test]
fn a_start_line_that_goes_wrong() {
    for len in 1..16 {
        let [request, status] = ["GET /a HTTP/1.1", "HTTP/1.1 200 OK"].map(|line| &line[..len]);
        let wrong = format!("\r\n\r\n\u{1}{SECRET}");
        for (first, second, answer) in
            [(request, "", "HTTP/1.1 204 X"), ("GET / HTTP/1.1", "\r\n\r\n", status)]
        {
            let mut talk = Talk::new(Side::Client);
            talk.client(first).client(if second.is_empty() { &wrong } else { second });
            talk.server(answer).server(&wrong).client_fin().server_fin();
            assert_redacted(&talk.records);
        }
    }
}

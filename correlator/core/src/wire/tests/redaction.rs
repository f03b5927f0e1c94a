//! A redacted recording replays to the same exchanges, and holds no secret.
mod beginnings;
mod heads;

use std::sync::Arc;

use httlib_hpack::Encoder;
use proptest::prelude::*;
use weft_abi::{FlowKey, FlowWant};

use super::{super::http2::coded_mask, Talk, response};
use crate::{AttributedExchange, Config, Correlator, Input, Side, Sink, redact::Survey};

/// Nobody may find this in a redacted recording, and no part of it of this length.
const SECRET: &str = "hunter2-s3cr3t";
const PART: usize = 4;

#[derive(Default)]
struct Lines(Vec<String>);

impl Sink for Lines {
    fn exchange(&mut self, exchange: &AttributedExchange) {
        self.0.push(serde_json::to_string(exchange).unwrap());
    }

    fn want(&mut self, _flow: FlowKey, _want: Option<FlowWant>) {}
}

fn exchanges(records: &[Vec<u8>]) -> Vec<String> {
    let mut correlator = Correlator::new(Arc::new(Config::default()));
    let mut lines = Lines::default();
    records.iter().for_each(|record| correlator.handle(Input::Probe(record), &mut lines));
    correlator.finish(&mut lines);
    lines.0
}

/// As a redacted recording has them.
pub(super) fn redacted(records: &[Vec<u8>]) -> Vec<Vec<u8>> {
    let mut survey = Survey::new();
    records.iter().for_each(|record| survey.input(Input::Probe(record)));
    let mut redactor = survey.finish();
    let mut redacted = Vec::new();
    for record in records {
        redactor.input(Input::Probe(record), &mut |input| {
            let Input::Probe(record) = input else { panic!("{input:?}") };
            redacted.push(record.to_vec());
        });
    }
    redacted
}

/// The same exchanges, and nothing of the secret; gives what is left.
fn assert_redacted(records: &[Vec<u8>]) -> Vec<Vec<u8>> {
    let redacted = assert_same(records);
    let parts: Vec<_> = SECRET.as_bytes().windows(PART).collect();
    // In HPACK's Huffman code, where a value begins with it.
    let coded = coded_mask(&[], SECRET.as_bytes(), SECRET.len());
    let coded = &coded[..coded.len() / 2];
    for record in &redacted {
        assert!(!record.windows(coded.len()).any(|window| window == coded));
        let found = record.windows(PART).find(|window| parts.contains(window));
        assert_eq!(found, None, "{:?}", String::from_utf8_lossy(record));
    }
    redacted
}

/// Redacted, with the same exchanges.
pub(super) fn assert_same(records: &[Vec<u8>]) -> Vec<Vec<u8>> {
    let redacted = redacted(records);
    for (redacted, record) in redacted.iter().zip(records) {
        // Of what is no record only the first byte stays, so that it is none.
        assert!(redacted.len() == record.len() || redacted.len() <= 1);
    }
    let why = "what the pipeline reads must be told as safe (wire/redaction.rs), or a redacted recording replays otherwise";
    assert_eq!(exchanges(&redacted), exchanges(records), "{why}");
    redacted
}

fn shows(records: &[Vec<u8>], text: &str) -> bool {
    let all: Vec<u8> =
        records.iter().flat_map(|record| record.get(96..).unwrap_or_default()).copied().collect();
    all.windows(text.len()).any(|window| window == text.as_bytes())
}

/// Secrets in every place that the list names, and in those that are never shown.
fn request(index: usize) -> String {
    format!(
        "POST /orders/{index}?token={SECRET} HTTP/1.1\r\nHost: orders\r\nAuthorization: Basic\r\n {SECRET}\r\nX-Kept: visible\r\n\
         cookie:{SECRET}\r\nContent-Length: {}\r\n\r\n{SECRET}",
        SECRET.len()
    )
}

fn chunked() -> String {
    format!(
        "HTTP/1.1 200 OK\r\nSet-Cookie: {SECRET}\r\nTransfer-Encoding: chunked\r\n\r\ne;name={SECRET}\r\n{SECRET}\r\n0\r\n\
         Set-Cookie: {SECRET}\r\n\r\n"
    )
}

#[test]
fn both_directions_in_any_segments() {
    for side in [Side::Client, Side::Server] {
        for size in [1, 7, 50, 1000] {
            let mut talk = Talk::new(side);
            for index in 0..3 {
                talk.client_in(size, request(index)).server_in(size, chunked());
            }
            talk.client_fin().server_fin();
            let redacted = assert_redacted(&talk.records);
            assert_eq!(exchanges(&redacted).len(), 3);
            assert!(shows(&redacted, "X-Kept: visible") && shows(&redacted, "POST /orders/2?"), "{size}");
        }
    }
}

#[test]
fn copies_are_masked_too() {
    let mut talk = Talk::new(Side::Server);
    let first = talk.next[0];
    talk.client_in(20, request(0)).client_at(first, request(0)).repeated();
    // Not what was sent before: the first copy counts.
    talk.client_at(first + 10, format!("GET /{SECRET} HTTP/1.1\r\nX-Kept: {SECRET}\r\n\r\n"));
    talk.server(response(200, SECRET)).repeated().client_fin().server_fin();
    assert_redacted(&talk.records);
}

#[test]
fn what_is_not_understood_is_not_shown() {
    for text in [
        format!("PASS {SECRET}\r\nUSER a:{SECRET}\r\n"),
        format!("GET /{SECRET}"),
        format!("GET / HTTP/1.1\r\nAuthorization: {SECRET}"),
        format!("GET / HTTP/1.1\r\nCookie: {}", SECRET.repeat(1000)),
        format!("GET / HTTP/1.1\r\nContent-Length: 1, 2\r\n\r\n{SECRET}"),
        format!("\r\n\r\n{SECRET}"),
        format!("\0\u{1}{SECRET}"),
        format!("\u{16}\u{3}\u{1}\0\u{10}{SECRET}"),
        format!("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n{SECRET}"),
    ] {
        for size in [3, 100, 10_000] {
            for answer in [response(200, SECRET), SECRET.into()] {
                let mut talk = Talk::new(Side::Server);
                talk.client_in(size, &text).server_in(size, &answer).client_fin().server_fin();
                assert_redacted(&talk.records);
            }
        }
    }
}

#[test]
fn around_a_gap_nothing_is_shown_that_was_not_read() {
    let mut talk = Talk::new(Side::Server);
    talk.client(request(0)).server(response(200, SECRET));
    talk.client(format!("POST / HTTP/1.1\r\nCookie: {SECRET}")).lost().client(format!("{SECRET}\r\n\r\n"));
    talk.server(response(200, SECRET)).client(request(2)).server(chunked()).client_fin().server_fin();
    assert_redacted(&talk.records);
}

#[test]
fn a_head_that_began_and_was_lost() {
    for cut in 1..20 {
        let mut talk = Talk::new(Side::Client);
        let (request, answer) = (request(0), response(200, SECRET));
        talk.client(&request[..cut]).client(&request[cut..cut + 9]).lost().client(&request[cut + 9..]);
        talk.server(&answer).client("GET /a HTTP/1.1\r\n\r\n");
        talk.server(&answer[..cut]).server(&answer[cut..cut + 9]).lost().server(&answer[cut + 9..]);
        talk.client_fin().server_fin();
        assert_redacted(&talk.records);
    }
}

#[test]
fn another_connection_between_the_same_ends_is_another_stream() {
    let mut talk = Talk::new(Side::Server);
    talk.client(request(0)).server(chunked()).client_fin().server_fin();
    talk.handshake();
    talk.client(format!("{SECRET}{SECRET}")).server(chunked()).client_fin().server_fin();
    assert_redacted(&talk.records);
}

#[test]
fn upgraded_connections_and_midway_ones() {
    let mut talk = Talk::new(Side::Server);
    talk.client("GET /chat HTTP/1.1\r\nUpgrade: websocket\r\n\r\n").server("HTTP/1.1 101 X\r\n\r\n");
    talk.client(SECRET).server(SECRET).client_fin().server_fin();
    assert_redacted(&talk.records);
    let mut talk = Talk::midway(Side::Server);
    talk.client(SECRET).server(SECRET).client(request(1)).server(chunked());
    assert_redacted(&talk.records);
}

/// A client's fields with the secret where it belongs, in both codes, indexed and not.
fn block(encoder: &mut Encoder<'static>, first: &[(&str, &str)]) -> Vec<u8> {
    let long = SECRET.repeat(20);
    let path = format!("/orders?token={SECRET}");
    let secret =
        [(":path", path.as_str()), ("cookie", &long), ("authorization", SECRET), ("x-kept", "visible")];
    let fields = if first[0].0 == ":status" {
        [first, &[("set-cookie", &long), ("x-kept", "visible")]].concat()
    } else {
        [first, &secret].concat()
    };
    let mut block = Vec::new();
    for (index, (name, value)) in fields.iter().enumerate() {
        let code = if (value.len() + index).is_multiple_of(3) { 0 } else { Encoder::HUFFMAN_VALUE };
        let indexing = [Encoder::WITH_INDEXING, 0, Encoder::NEVER_INDEXED][(block.len() + index) % 3];
        let flags = Encoder::BEST_FORMAT & !Encoder::HUFFMAN_VALUE | code | indexing;
        encoder.encode((name.as_bytes().to_vec(), value.as_bytes().to_vec(), flags), &mut block).unwrap();
    }
    block
}

fn frame(kind: u8, flags: u8, stream: u32, payload: impl AsRef<[u8]>) -> Vec<u8> {
    let length = &(payload.as_ref().len() as u32).to_be_bytes()[1..];
    [length, &[kind, flags], &stream.to_be_bytes(), payload.as_ref()].concat()
}

/// HEADERS in two frames, the first with padding and a priority.
fn headers(flags: u8, stream: u32, block: &[u8]) -> Vec<u8> {
    let (first, second) = block.split_at(block.len() / 2);
    let payload = [&[3][..], &[0, 0, 0, 0, 9], first, &SECRET.as_bytes()[..3]].concat();
    [frame(1, flags | 0x28, stream, payload), frame(9, 4, stream, second)].concat()
}

#[test]
fn http2_in_any_segments() {
    for size in [100_000, 64, 5, 1] {
        let (mut client, mut server) = (Encoder::with_dynamic_size(4096), Encoder::with_dynamic_size(4096));
        let mut talk = Talk::new(Side::Server);
        talk.client_in(size, [b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n".to_vec(), frame(4, 0, 0, b"")].concat());
        talk.server_in(size, frame(4, 0, 0, b""));
        for stream in [1, 3, 5] {
            let request =
                block(&mut client, &[(":method", "POST"), (":scheme", "http"), (":authority", "shop")]);
            let body = [&[0, 0, 0, 0, SECRET.len() as u8], SECRET.as_bytes()].concat();
            talk.client_in(size, [headers(0, stream, &request), frame(0, 1, stream, &body)].concat());
            let ping = frame(6, 0, 0, &SECRET.as_bytes()[..8]);
            let response = block(&mut server, &[(":status", "200"), ("content-type", "application/grpc")]);
            talk.server_in(size, [ping, headers(0, stream, &response), frame(0, 0, stream, &body)].concat());
            let trailers = block(&mut server, &[("grpc-status", "0")]);
            talk.server_in(size, headers(1, stream, &trailers));
        }
        talk.server_in(size, frame(7, 0, 0, [&[0, 0, 0, 5, 0, 0, 0, 0], SECRET.as_bytes()].concat()));
        talk.client_fin().server_fin();
        let redacted = assert_redacted(&talk.records);
        let code = coded_mask(&[], SECRET.as_bytes(), SECRET.len());
        let raw = talk.records.iter().any(|record| record.windows(6).any(|window| window == &code[..6]));
        assert!(raw || size < 64, "nothing is in the Huffman code here");
        let lines = exchanges(&redacted);
        assert_eq!(lines.len(), 3, "{size} {lines:?}");
        assert!(
            lines.iter().all(|line| line.contains("\"path\":\"/orders\"") && line.contains("\"status\":200"))
        );
    }
}

/// Garbage behind the preface, and in the place of a header block.
#[test]
fn http2_that_is_none() {
    let preface = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n".to_vec();
    let settings = frame(4, 0, 0, b"");
    for garbage in [
        SECRET.into(),
        frame(1, 4, 1, SECRET),
        frame(1, 0xc, 1, [&[200], SECRET.as_bytes()].concat()),
        frame(1, 0, 1, SECRET),
        [frame(1, 0, 1, SECRET), frame(0, 0, 1, SECRET)].concat(),
        frame(9, 4, 1, SECRET),
        frame(0x30, 0, 0, SECRET),
        [frame(1, 4, 1, b"\x82\x87\x84\x40\x04"), SECRET.into()].concat(),
    ] {
        for size in [2, 1000] {
            let mut talk = Talk::new(Side::Server);
            talk.client_in(size, [preface.clone(), settings.clone(), garbage.clone()].concat());
            talk.server_in(size, [settings.clone(), garbage.clone(), SECRET.into()].concat());
            talk.client_in(size, [&garbage, SECRET.as_bytes()].concat()).client_fin().server_fin();
            assert_redacted(&talk.records);
        }
    }
}

#[test]
fn records_that_are_none_lose_their_bytes() {
    let records = [b"".to_vec(), SECRET.into(), [&[1, 0, 0], SECRET.as_bytes()].concat()];
    for (record, redacted) in records.iter().zip(redacted(&records)) {
        assert_eq!(redacted, record.get(..1).unwrap_or_default());
    }
}

proptest! {
    /// Segments of any content, in any order.
    #[test]
    fn whatever_travels_is_masked(
        segments in prop::collection::vec((any::<bool>(), 0..14_usize, 0..8_u8, -60..60_i32), 0..40),
        side in prop::sample::select(vec![Side::Client, Side::Server]),
    ) {
        // No token: what follows on a lost place may be taken for a method, and methods are shown.
        let body = format!("\u{1}{SECRET}");
        let texts = [
            format!("POST /a?{SECRET} HTTP/1.1\r\nContent-Length: {}\r\n\r\n{body}", body.len()), request(2).replace(&format!("\n{SECRET}"), "\n\u{1}2-s3cr3t345678"),
            chunked(), String::from_utf8_lossy(&response(200, &body)).into_owned(), body.clone(),
            "\r\n".into(), format!("POST /b HTTP/1.1\r\nTransfer-Encoding: chunked\r\nCookie: {SECRET}"), "\r\n\r\n".into(),
            "5\r\nhello\r\n".into(), "0\r\n\r\n".into(), format!("HTTP/1.1 200 OK\r\n\r\n{body}"), "HTTP/1.1 100 C\r\n\r\n".into(),
            format!("HEAD /c?{SECRET} HTTP/1.1\r\n\r\n"), "G".into(),
        ];
        let mut talk = Talk::new(side);
        // A stream that begins within a secret may make it a method.
        let shifted = segments.iter().any(|(_, _, what, _)| *what == 0);
        for (client, text, what, shift) in segments {
            match what {
                0 => talk.next[usize::from(client)] = talk.next[usize::from(client)].wrapping_add_signed(shift),
                1 if shift > 50 => { talk.server_reset(); }
                1 if shift < -50 => { talk.client_fin(); }
                1 if shift > 40 => { talk.handshake(); }
                _ if client => { talk.client_in(1 + usize::from(what) * 40, &texts[text]); }
                _ => { talk.server_in(1 + usize::from(what) * 40, &texts[text]); }
            }
        }
        if shifted { assert_same(&talk.records) } else { assert_redacted(&talk.records) };
    }
}

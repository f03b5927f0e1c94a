//! Heads that are read though they are odd are read the same once they are masked.
use proptest::prelude::*;

use super::{SECRET, Talk, assert_redacted, assert_same, exchanges, response};
use crate::Side;

/// A usual exchange, one with this head, and a usual one, in segments of this size.
fn talk(size: usize, head: &str) -> Talk {
    let mut talk = Talk::new(Side::Server);
    talk.client("GET /first HTTP/1.1\r\n\r\n").server(response(200, ""));
    talk.client_in(size, format!("{head}\r\n"))
        .server_in(size, format!("HTTP/1.1 200 OK\r\n{}\r\n", fields(head)));
    talk.client("12345GET /last HTTP/1.1\r\n\r\n").server("12345").server(response(200, ""));
    talk.client_fin().server_fin();
    talk
}

fn fields(head: &str) -> &str {
    head.split_once('\n').map_or("", |(_, fields)| fields)
}

#[test]
fn request_lines() {
    for line in [
        "GET  /a?{} HTTP/1.1",
        "GET\t/a?{}\tHTTP/1.1",
        "GET /a?{} b HTTP/1.1 ",
        " GET /a?{} HTTP/1.0",
        "GET http://u:{}@h/?{} HTTP/1.1\t",
        "GET\thttp://u:{}@h/ HTTP/1.1",
        "get /a?{}\rHTTP/1.1",
        "GET /?{} HTTP/1.1 HTTP/1.1",
    ] {
        for size in [1000, 9, 1] {
            let head = format!("{}\r\nHost: h\r\n", line.replace("{}", SECRET));
            let redacted = assert_redacted(&talk(size, &head).records);
            assert!(size < 1000 || exchanges(&redacted).len() > 1, "{line} is read");
        }
    }
}

#[test]
fn fields_that_are_none() {
    for field in [
        "Content-Length 5",
        "Content-Length",
        "Content-Length\u{1}: 5",
        "Cookie: {}\0",
        "Cookie: {}\rContent-Length: 5",
        "Cookie: {}\rContent-Length",
        "Cookie: {}\r\n Content-Length: 5",
        "Authorization {}",
        "\0",
        ": {}",
        "{}\r\n: 5",
        " Content-Length: 5",
        "Transfer-Encoding",
        "Transfer-Encoding : chunked",
        "Host:\rchunked",
        "Host: a\r\n Cookie: {}",
    ] {
        for size in [1000, 9, 1] {
            assert_redacted(
                &talk(size, &format!("POST / HTTP/1.1\r\n{}\r\n", field.replace("{}", SECRET))).records,
            );
        }
    }
}

/// The parser refuses it, and still it looks like HTTP/1.
#[test]
fn a_version_behind_the_version() {
    let mut talk = Talk::new(Side::Client);
    talk.client(format!("T /a?{SECRET} HTTP/1.1\r"))
        .client("HTTP/1.1 100 C\r\n\r\n")
        .client_fin()
        .server_fin();
    assert_redacted(&talk.records);
}

fn piece() -> impl Strategy<Value = &'static str> {
    prop::sample::select(vec![
        "Content-Length",
        "Transfer-Encoding",
        "chunked",
        "Host",
        "Upgrade",
        "h2c",
        "Cookie",
        "Authorization",
        ":",
        ": ",
        " ",
        "\t",
        "\r",
        "\n",
        "\r\n",
        "\0",
        "\u{1}",
        "5",
        "0",
        ",",
        "a",
        "?",
        "@",
        "http://",
        "HTTP/1.1",
        "HTTP/1.0",
        "GET",
        "POST",
        "CONNECT",
        "/",
        "é",
        "PRI * HTTP/2.0",
        "200",
    ])
}

proptest! {
    #[test]
    fn of_any_pieces(
        start in prop::sample::select(vec!["", "GET / HTTP/1.1\r\n", "POST /a HTTP/1.0\n", "CONNECT a HTTP/1.1\r\n"]),
        pieces in prop::collection::vec(piece(), 0..14),
        size in prop::sample::select(vec![1000, 7, 1]),
    ) {
        assert_same(&talk(size, &format!("{start}{}", pieces.concat())).records);
    }
}

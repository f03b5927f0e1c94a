//! h2c by Upgrade (RFC 7540, 3.2).
use super::{
    super::{Talk, response},
    peers::*,
};
use crate::{Protocol, Side};

const ASK: &str = "POST /first HTTP/1.1\r\nHost: shop:80\r\nConnection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\n\
    HTTP2-Settings: AAMAAABkAAQAAP__\r\nContent-Length: 3\r\n\r\nabc";
const TAKEN: &str = "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: H2C\r\n\r\n";

#[test]
fn the_request_is_answered_on_stream_one() {
    for size in [1, 7, 33, 1000] {
        let mut peers = Peers::silent(Talk::new(Side::Server));
        peers.talk.client("GET /before HTTP/1.1\r\n\r\n").server(response(200, "hi"));
        peers.talk.client_in(size, ASK);
        let answer = [peers.response(1, "200", 0), data(1, END_STREAM, "first")].concat();
        peers.talk.server_in(size, [TAKEN.as_bytes(), &settings(&[]), &answer].concat());
        let next = peers.request(3, "GET", "/second", END_STREAM);
        peers.talk.client_in(size, [PREFACE, &settings(&[]), &ack(), &next].concat());
        let answer = peers.response(3, "404", END_STREAM);
        peers.talk.server_in(size, [ack(), answer].concat());
        let bench = peers.run();
        assert_eq!(bench.lines(), ["GET /before 200 0/2", "POST /first 200 3/5", "GET /second 404 0/0"]);
        let first = of_stream(&bench, 1);
        assert_eq!((first.protocol, first.request.bytes), (Protocol::Http2, ASK.len() as u64));
        assert!(first.complete && first.flow_control.is_none());
        assert_eq!((bench.total().opaque, bench.total().pending), (0, 0));
    }
}

#[test]
fn an_upgrade_that_is_refused_changes_nothing() {
    let mut talk = Talk::new(Side::Client);
    talk.client(ASK).server(response(200, "hi")).client("GET /b HTTP/1.1\r\n\r\n").server(response(200, ""));
    assert_eq!(super::super::run(&talk.records).lines(), ["POST /first 200 3/2", "GET /b 200 0/0"]);
}

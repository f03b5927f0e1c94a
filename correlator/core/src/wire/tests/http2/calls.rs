//! gRPC.
use super::peers::*;
use crate::{Anomaly, Grpc, Ktime, Messages, Protocol, Side, wire::tests::talk::STEP};

fn call(bench: &super::super::Bench, stream: u32) -> Grpc {
    let exchange = of_stream(bench, stream);
    assert_eq!(exchange.protocol, Protocol::Grpc);
    **exchange.grpc.as_ref().unwrap()
}

fn messages(count: u64, bytes: u64) -> Option<Messages> {
    Some(Messages { count, bytes })
}

#[test]
fn a_unary_call() {
    for size in [1, 7, 9, 14, 1000] {
        let mut peers = Peers::new(Side::Server);
        let request = [peers.call(1, "/shop.Orders/Get"), data(1, END_STREAM, message(10))].concat();
        peers.talk.client_in(size, request);
        let response = [peers.answer(1), data(1, 0, message(300)), peers.status(1, "0")].concat();
        peers.talk.server_in(size, response);
        let bench = peers.run();
        assert_eq!(bench.lines(), ["POST /shop.Orders/Get 200 15/305"], "segments of {size}");
        let call = call(&bench, 1);
        assert_eq!((call.status, call.timeout_ns), (Some(0), Some(100_000_000)));
        assert_eq!((call.request, call.response), (messages(1, 10), messages(1, 300)));
        assert!(!call.cancelled && !call.compressed);
    }
}

#[test]
fn trailers_only() {
    let mut peers = Peers::new(Side::Client);
    let request = [peers.call(1, "/s.S/No"), data(1, END_STREAM, message(0))].concat();
    peers.talk.client(request);
    let fields = [(":status", "200"), ("content-type", "application/grpc"), ("grpc-status", "12")];
    let block = peers.server_block(&fields);
    peers.talk.server(frame(HEADERS, END_HEADERS | END_STREAM, 1, block));
    let bench = peers.run();
    assert_eq!(bench.lines(), ["POST /s.S/No 200 5/0"]);
    let call = call(&bench, 1);
    assert_eq!((call.status, call.first_message), (Some(12), None));
    assert_eq!((call.request, call.response), (messages(1, 0), messages(0, 0)));
}

#[test]
fn both_ends_stream() {
    let mut peers = Peers::new(Side::Server);
    let head = peers.call(1, "/s.S/Chat");
    peers.talk.client(head);
    let answer = peers.answer(1);
    peers.talk.server(answer);
    let two = [message(20), message(5)].concat();
    let (left, right) = two.split_at(3);
    peers.talk.client(data(1, 0, left));
    let first = peers.talk.now;
    peers.talk.server(data(1, 0, message(7)));
    peers.talk.client(data(1, 0, right)).server(data(1, 0, message(8)));
    let status = peers.status(1, "0");
    // The server has said all before the client has.
    peers.talk.server(status).client(data(1, END_STREAM, message(1)));
    let bench = peers.run();
    assert_eq!(bench.lines(), ["POST /s.S/Chat 200 41/25"]);
    let call = call(&bench, 1);
    assert_eq!((call.request, call.response), (messages(3, 26), messages(2, 15)));
    assert_eq!(call.first_message, Some(Ktime(first)));
    let last = of_stream(&bench, 1).request.last_byte;
    assert_eq!(last, Ktime(first + 4 * STEP));
}

#[test]
fn a_server_that_has_answered_needs_no_more() {
    let mut peers = Peers::new(Side::Server);
    let head = peers.call(1, "/s.S/Upload");
    peers.talk.client([head, data(1, 0, message(5))].concat());
    let answer = [peers.answer(1), peers.status(1, "8"), number(RST_STREAM, 1, 0)].concat();
    peers.talk.server(answer).client(data(1, 0, message(5)));
    let bench = peers.run();
    assert_eq!(bench.lines(), ["POST /s.S/Upload 200 10/0"]);
    assert_eq!(call(&bench, 1).status, Some(8));
}

#[test]
fn a_cancelled_call() {
    let mut peers = Peers::new(Side::Client);
    let request = [peers.call(1, "/s.S/Slow"), data(1, END_STREAM, message(10))].concat();
    let answer = peers.answer(1);
    peers.talk.client(request).server([answer, data(1, 0, message(3))].concat());
    peers.talk.client(number(RST_STREAM, 1, 8));
    let bench = peers.run();
    assert_eq!(bench.lines(), ["POST /s.S/Slow 200 15/8 incomplete"]);
    let call = call(&bench, 1);
    assert!(call.cancelled && call.status.is_none());
    assert_eq!(call.response, messages(1, 3));
}

#[test]
fn bytes_that_nobody_captured_take_the_counts_along() {
    let mut peers = Peers::new(Side::Server);
    let request = [peers.call(1, "/s.S/Big"), data(1, END_STREAM, message(1000))].concat();
    peers.talk.client(request);
    let answer = peers.answer(1);
    peers.talk.server(answer);
    // Of a segment the first 30 bytes: a frame's header, a prefix, and some of the message.
    peers.talk.capture = 30;
    peers.talk.server(data(1, 0, message(500)));
    peers.talk.capture = 14;
    peers.talk.server(data(1, 0, [message(100), message(100)].concat()));
    peers.talk.capture = 1000;
    let status = peers.status(1, "0");
    peers.talk.server(status);
    let bench = peers.run();
    assert_eq!(bench.lines(), ["POST /s.S/Big 200 1005/715"]);
    let call = call(&bench, 1);
    assert_eq!((call.request, call.response), (messages(1, 1000), None));
    assert_eq!(bench.counted(Anomaly::Gap), 0);
}

/// A proxy answers a call with a page of its own: its first byte is no message's.
#[test]
fn what_is_no_message_has_no_first_message() {
    let mut peers = Peers::new(Side::Server);
    let request = [peers.call(1, "/s.S/M"), data(1, END_STREAM, message(10))].concat();
    peers.talk.client(request);
    let answer = [peers.response(1, "503", 0), data(1, END_STREAM, "<html>no</html>")].concat();
    peers.talk.server(answer);
    let bench = peers.run();
    let call = of_stream(&bench, 1).grpc.as_deref().copied().unwrap();
    assert_eq!((call.first_message, call.response), (None, None));
}

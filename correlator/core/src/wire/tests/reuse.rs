//! Two connections between the same two ports, one soon after the other.
use weft_abi::tcp_flag;

use super::{
    Bench, Talk, response, run,
    talk::{CLIENT, SERVER},
};
use crate::Side;

fn get(path: &str) -> String {
    format!("GET {path} HTTP/1.1\r\n\r\n")
}

/// The old connection: one exchange, and a request without its answer.
fn old() -> Talk {
    let mut talk = Talk::new(Side::Server);
    talk.client(get("/old1")).server(response(200, "")).client(get("/old2"));
    talk
}

/// What comes out of the old connection, what `between` makes of it, and a new one with these sequence numbers.
fn then(mut talk: Talk, initial: [u32; 2], between: impl FnOnce(&mut Talk)) -> Bench {
    between(&mut talk);
    talk.next = initial;
    talk.handshake();
    talk.client(get("/new")).server(response(200, "hi")).client_fin().server_fin();
    run(&talk.records)
}

const OPEN: &str = "GET /old2 - 0/- incomplete [request_without_response]";

#[test]
fn after_both_ends_closed() {
    let bench = then(old(), [2_000_000, 6_000_000], |talk| {
        talk.server(response(200, "")).client_fin().server_fin();
    });
    assert_eq!(bench.lines(), ["GET /old1 200 0/0", "GET /old2 200 0/0", "GET /new 200 0/2"]);
    assert_eq!((bench.total().opaque, bench.total().gap), (0, 0));
}

#[test]
fn while_one_end_has_not_closed() {
    let bench = then(old(), [2_000_000, 6_000_000], |talk| {
        talk.client_fin();
    });
    assert_eq!(bench.lines(), ["GET /old1 200 0/0", OPEN, "GET /new 200 0/2"]);
    assert_eq!((bench.total().opaque, bench.total().gap), (0, 0));
}

#[test]
fn after_a_reset() {
    let bench = then(old(), [2_000_000, 6_000_000], |talk| {
        talk.server_reset();
    });
    assert_eq!(bench.lines(), ["GET /old1 200 0/0", OPEN, "GET /new 200 0/2"]);
}

/// Late copies of the old connection's segments pass between the new one's. They lie before its handshake in one number
/// or in both, and enter nothing.
#[test]
fn late_segments_of_the_old_connection_enter_nothing() {
    for initial in [[2_000_000, 6_000_000], [2_000_000, 4_000_000], [900_000, 6_000_000]] {
        for place in 0..4 {
            let mut late = old();
            late.server(response(418, "old")).client_fin().server_fin();
            let carried: u64 = [get("/old1"), get("/old2")].iter().map(|text| text.len() as u64).sum::<u64>()
                + (response(200, "").len() + response(418, "old").len()) as u64;
            let late = late.records.split_off(2);
            let mut talk = old();
            talk.client_fin();
            talk.next = initial;
            talk.handshake();
            talk.client(get("/new")).server(response(200, "hi"));
            let at = talk.records.len() - place;
            talk.records.splice(at..at, late);
            talk.client_fin().server_fin();
            let bench = run(&talk.records);
            // Before the answer to the SYN they are still the old connection's.
            if place < 3 {
                assert_eq!(
                    bench.lines(),
                    ["GET /old1 200 0/0", OPEN, "GET /new 200 0/2"],
                    "{initial:?} {place}"
                );
                assert_eq!((bench.total().opaque, bench.total().gap), (carried, 0));
            } else {
                assert_eq!(bench.lines().last().unwrap(), "GET /new 200 0/2");
            }
        }
    }
}

/// RFC 5961, 4: a SYN within a connection that goes on is answered with an acknowledgement, and changes nothing.
#[test]
fn a_syn_that_nobody_takes_ends_nothing() {
    let mut talk = old();
    talk.raw(CLIENT, 77, None, tcp_flag::SYN, "").server(response(200, "")).client(get("/more"));
    talk.server(response(200, "")).client_fin().server_fin();
    let bench = run(&talk.records);
    assert_eq!(bench.lines(), ["GET /old1 200 0/0", "GET /old2 200 0/0", "GET /more 200 0/0"]);
}

#[test]
fn the_answer_to_the_new_syn_was_not_recorded() {
    let mut talk = old();
    talk.next = [2_000_000, 6_000_000];
    talk.handshake();
    talk.lost();
    talk.client(get("/new")).server(response(200, "hi")).client_fin().server_fin();
    let bench = run(&talk.records);
    assert_eq!(bench.lines(), ["GET /old1 200 0/0", OPEN, "GET /new 200 0/2 [joined_midway]"]);
}

#[test]
fn a_late_reset_of_the_old_connection_ends_nothing() {
    let mut talk = old();
    let (seq, ack) = (talk.next[SERVER], talk.next[CLIENT]);
    talk.client_fin();
    // Linux takes the old connection's last number and some more (net/ipv4/tcp_ipv4.c, tcp_twsk_unique).
    talk.next = [talk.next[CLIENT] + 65_537, talk.next[SERVER] + 65_537];
    talk.handshake();
    talk.client(get("/new")).raw(SERVER, seq, Some(ack), tcp_flag::RST, "").server(response(200, "hi"));
    talk.client_fin().server_fin();
    assert_eq!(run(&talk.records).lines(), ["GET /old1 200 0/0", OPEN, "GET /new 200 0/2"]);
}

//! What TCP does to a stream, case by case. After each the bytes reconcile: what the sequence numbers say of a
//! direction is what was recorded, less what passed twice, plus what no record came of.
use weft_abi::{sock_event, tcp_flag};

use super::{
    Bench, Talk, response, run,
    talk::{CLIENT, SERVER, time},
};
use crate::{Anomaly, Side};

const GET: &str = "GET /a HTTP/1.1\r\n\r\n";
/// Sequence numbers of the first bytes.
const FIRST: [u32; 2] = [1_000_001, 5_000_001];
/// URG (RFC 9293, 3.1): the programs hand on the whole byte of flags.
const URG: u8 = 0x20;

/// What comes out at the end; each direction of client and server had so many bytes by its sequence numbers.
fn reconciled(talk: &Talk, stream: [usize; 2]) -> Bench {
    let bench = run(&talk.records);
    let [account] = bench.wire.accounts()[..] else { panic!("one vantage") };
    let [from_pod, to_pod] = account.directions;
    let directions = if talk.side == Side::Client { [from_pod, to_pod] } else { [to_pod, from_pod] };
    for (bytes, expected) in directions.into_iter().zip(stream) {
        assert_eq!(bytes.recorded - bytes.duplicate + bytes.gap, expected as u64, "{bytes:?}");
    }
    bench
}

fn finish(talk: &mut Talk) {
    talk.client_fin().server_fin();
}

#[test]
fn a_zero_window_probe_of_one_byte() {
    let mut talk = Talk::new(Side::Server);
    let answer = response(200, "hello");
    talk.client(GET).server(&answer[..answer.len() - 4]);
    // The receiver's window is closed: one byte is tried, not taken, and sent again with the rest.
    let next = talk.next[SERVER];
    talk.raw(SERVER, next, Some(talk.next[CLIENT]), tcp_flag::PSH, "e");
    let probed = time(talk.records.last().unwrap());
    talk.server("ello");
    let last = time(talk.records.last().unwrap());
    finish(&mut talk);
    let bench = reconciled(&talk, [GET.len(), answer.len()]);
    assert_eq!(bench.lines(), ["GET /a 200 0/5 [retransmit]"]);
    assert_eq!(
        (bench.total().duplicate, bench.notes.exchanges[0].exchange.response.unwrap().last_byte.0),
        (1, last)
    );
    assert!(probed < last);
}

#[test]
fn probes_without_bytes_change_nothing() {
    let mut talk = Talk::new(Side::Server);
    let answer = response(200, "hello");
    talk.client(GET).server(&answer[..20]);
    for from in [CLIENT, SERVER] {
        let (seq, ack) = (talk.next[from] - 1, talk.next[1 - from]);
        talk.raw(from, seq, Some(ack), 0, "");
    }
    talk.server(&answer[20..]);
    finish(&mut talk);
    assert_eq!(reconciled(&talk, [GET.len(), answer.len()]).lines(), ["GET /a 200 0/5"]);
}

#[test]
fn a_keep_alive_with_a_byte_of_garbage_delays_nothing() {
    let mut talk = Talk::new(Side::Server);
    // Before the first byte, and while the answer is waited for.
    talk.raw(CLIENT, FIRST[CLIENT] - 1, Some(FIRST[SERVER]), 0, "\0").client(GET);
    talk.raw(CLIENT, talk.next[CLIENT] - 1, Some(FIRST[SERVER]), 0, "\0").server(response(200, ""));
    finish(&mut talk);
    let bench = reconciled(&talk, [GET.len(), response(200, "").len()]);
    assert_eq!((bench.lines(), bench.counted(Anomaly::Retransmit)), (vec!["GET /a 200 0/0".to_owned()], 0));
    assert_eq!(bench.total().duplicate, 2);
}

#[test]
fn a_last_byte_that_comes_again_with_others_is_no_keep_alive() {
    let mut talk = Talk::new(Side::Server);
    let (first, rest) = GET.split_at(9);
    talk.client(first).client_at(FIRST[CLIENT] + 8, &GET[8..]);
    talk.next[CLIENT] += rest.len() as u32;
    talk.server(response(200, ""));
    assert_eq!(run(&talk.records).lines(), ["GET /a 200 0/0 [retransmit]"]);
}

#[test]
fn a_last_byte_that_came_alone_is_sent_again() {
    let mut talk = Talk::new(Side::Server);
    let (first, last) = GET.split_at(GET.len() - 1);
    talk.client(first).client(last).repeated().server(response(200, ""));
    assert_eq!(run(&talk.records).lines(), ["GET /a 200 0/0 [retransmit]"]);
}

#[test]
fn what_was_lost_before_the_vantage_passes_after_later_bytes() {
    let mut talk = Talk::new(Side::Server);
    let request = "POST /a HTTP/1.1\r\nContent-Length: 6\r\n\r\nabcdef";
    let behind = request.len() - 4;
    talk.raw(CLIENT, FIRST[CLIENT] + behind as u32, Some(FIRST[SERVER]), 0, &request[behind..]);
    talk.now += 200_000_000;
    let sent_again = talk.now;
    talk.client(&request[..behind]);
    talk.next[CLIENT] = FIRST[CLIENT] + request.len() as u32;
    talk.server(response(200, "")).client("GET /b HTTP/1.1\r\n\r\n").server(response(200, ""));
    finish(&mut talk);
    let bench = reconciled(&talk, [request.len() + 19, 2 * response(200, "").len()]);
    assert_eq!(bench.lines(), ["POST /a 200 6/0 [out_of_order]", "GET /b 200 0/0"]);
    assert_eq!(bench.notes.exchanges[0].exchange.request.first_byte.0, sent_again);
    assert_eq!(bench.counted(Anomaly::OutOfOrder), 1);
}

/// Records of two CPUs may come in another order than the segments passed: the times tell.
#[test]
fn records_in_another_order_than_the_segments() {
    let mut talk = Talk::new(Side::Server);
    talk.client(&GET[..9]).client(&GET[9..]);
    let last = talk.records.len() - 1;
    talk.records.swap(last, last - 1);
    talk.server(response(200, ""));
    let bench = run(&talk.records);
    assert_eq!((bench.lines(), bench.counted(Anomaly::OutOfOrder)), (vec!["GET /a 200 0/0".to_owned()], 0));
}

/// The pod's own socket tells of a tail that was lost before the device: nothing else does.
#[test]
fn a_tail_lost_before_the_vantage_is_known_by_the_socket() {
    for (passed_before, expected) in [(false, "GET /a 200 0/5 [retransmit]"), (true, "GET /a 200 0/5")] {
        let mut talk = Talk::new(Side::Server);
        let answer = response(200, "hello");
        talk.client(GET).server(&answer[..20]);
        if passed_before {
            // Its acknowledgement was lost instead: the copy is lost once more, behind the device this time.
            let unacknowledged = talk.next;
            talk.server(&answer[20..]);
            talk.next = unacknowledged;
            talk.sock_event(sock_event::RETRANSMIT);
            talk.next[SERVER] += answer.len() as u32 - 20;
        } else {
            talk.sock_event(sock_event::RETRANSMIT).server(&answer[20..]);
        }
        talk.client("GET /b HTTP/1.1\r\n\r\n").server(response(200, ""));
        finish(&mut talk);
        let bench = reconciled(&talk, [2 * GET.len(), answer.len() + response(200, "").len()]);
        assert_eq!(bench.lines(), [expected, "GET /b 200 0/0"]);
    }
}

#[test]
fn a_reset_counts_within_the_window_only() {
    for (offset, ends) in
        [(0_i32, true), (1, true), (1000, true), (-1, false), (-70_000, false), (1 << 30, false)]
    {
        let mut talk = Talk::new(Side::Server);
        let answer = response(200, "");
        // The second request acknowledges the first answer: its receiver expects no less.
        talk.client(GET).server(&answer).client(GET);
        let seq = talk.next[SERVER].wrapping_add_signed(offset);
        talk.raw(SERVER, seq, Some(talk.next[CLIENT]), tcp_flag::RST, "");
        talk.server(&answer);
        let second =
            if ends { "GET /a - 0/- incomplete [request_without_response]" } else { "GET /a 200 0/0" };
        assert_eq!(run(&talk.records).lines(), ["GET /a 200 0/0", second], "{offset}");
    }
}

#[test]
fn fast_open_that_is_refused_sends_again() {
    let mut talk = Talk::midway(Side::Server);
    let [client, server] = talk.next;
    talk.raw(CLIENT, client, None, tcp_flag::SYN, GET);
    let first = time(talk.records.last().unwrap());
    talk.raw(SERVER, server, Some(client + 1), tcp_flag::SYN, "");
    talk.next = [client + 1, server + 1];
    talk.client(GET).server(response(200, ""));
    finish(&mut talk);
    let bench = reconciled(&talk, [GET.len(), response(200, "").len()]);
    assert_eq!(bench.lines(), ["GET /a 200 0/0 [retransmit]"]);
    assert_eq!(bench.notes.exchanges[0].exchange.request.first_byte.0, first);
}

#[test]
fn fast_open_whose_syn_is_sent_again_without_data() {
    let mut talk = Talk::midway(Side::Server);
    let [client, server] = talk.next;
    talk.raw(CLIENT, client, None, tcp_flag::SYN, GET).raw(CLIENT, client, None, tcp_flag::SYN, "");
    talk.raw(SERVER, server, Some(client + 1), tcp_flag::SYN, "");
    talk.next = [client + 1, server + 1];
    talk.client(GET).server(response(200, ""));
    finish(&mut talk);
    let bench = reconciled(&talk, [GET.len(), response(200, "").len()]);
    assert_eq!(bench.lines(), ["GET /a 200 0/0 [retransmit]"]);
}

#[test]
fn both_ends_close_at_once() {
    let mut talk = Talk::new(Side::Server);
    talk.client(GET).server(response(200, ""));
    let (client, server) = (talk.next[CLIENT], talk.next[SERVER]);
    talk.raw(CLIENT, client, Some(server), tcp_flag::FIN, "");
    talk.raw(SERVER, server, Some(client), tcp_flag::FIN, "");
    let bench = reconciled(&talk, [GET.len(), response(200, "").len()]);
    assert_eq!(bench.lines(), ["GET /a 200 0/0"]);
    assert!(bench.wire.anomalies().iter().all(|count| *count == 0));
}

/// RFC 9293, 3.5: both send a SYN, and nobody is the client, but for what is said.
#[test]
fn both_ends_open_at_once() {
    for (text, expected) in [(GET, vec!["GET /a 200 0/0"]), ("\0\0binary", vec![])] {
        let mut talk = Talk::midway(Side::Server);
        let [client, server] = talk.next;
        talk.raw(CLIENT, client, None, tcp_flag::SYN, "").raw(SERVER, server, None, tcp_flag::SYN, "");
        talk.raw(CLIENT, client, Some(server + 1), tcp_flag::SYN, "");
        talk.raw(SERVER, server, Some(client + 1), tcp_flag::SYN, "");
        talk.next = [client + 1, server + 1];
        talk.client(text).server(response(200, ""));
        finish(&mut talk);
        let bench = reconciled(&talk, [text.len(), response(200, "").len()]);
        assert_eq!(bench.lines(), expected, "{text:?}");
    }
}

#[test]
fn urgent_bytes_are_bytes() {
    let mut talk = Talk::new(Side::Server);
    talk.client(&GET[..4]).raw(CLIENT, FIRST[CLIENT] + 4, Some(FIRST[SERVER]), URG, &GET[4..]);
    talk.next[CLIENT] = FIRST[CLIENT] + GET.len() as u32;
    talk.server(response(200, ""));
    finish(&mut talk);
    assert_eq!(reconciled(&talk, [GET.len(), response(200, "").len()]).lines(), ["GET /a 200 0/0"]);
}

/// A GSO segment takes several records: none but the first is where a message is looked for.
#[test]
fn a_segment_in_parts() {
    let mut talk = Talk::new(Side::Server);
    let body = "GET /fake HTTP/1.1\r\n\r\n".repeat(100);
    talk.client(format!("POST /a HTTP/1.1\r\nContent-Length: {}\r\n\r\n", body.len()));
    talk.client(&body[..1100]).client(&body[1100..]).further_part().server(response(200, ""));
    finish(&mut talk);
    let bench = run(&talk.records);
    assert_eq!(bench.lines(), [format!("POST /a 200 {}/0", body.len())]);
    talk.records.remove(2);
    let bench = run(&talk.records);
    assert_eq!(bench.lines(), Vec::<String>::new(), "a lost head");
}

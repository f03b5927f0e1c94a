use super::{Bench, Talk, response, run};
use crate::{Anomaly, Config, Side};

const REQUEST: &str = "POST /a HTTP/1.1\r\nHost: h\r\nContent-Length: 10\r\n\r\n0123456789";

/// A talk whose client has sent the request in segments of 20 bytes, as records, and answered it.
fn talk(break_it: impl FnOnce(&mut Talk)) -> Bench {
    let mut talk = Talk::new(Side::Server);
    break_it(&mut talk);
    talk.server(response(200, "hi")).client("GET /b HTTP/1.1\r\n\r\n").server(response(200, "hi"));
    talk.server_fin().client_fin();
    run(&talk.records)
}

#[test]
fn in_order() {
    let bench = talk(|talk| {
        talk.client_in(20, REQUEST);
    });
    assert_eq!(bench.lines(), ["POST /a 200 10/2", "GET /b 200 0/2"]);
    assert_eq!((bench.total().duplicate, bench.total().opaque, bench.total().gap), (0, 0, 0));
}

#[test]
fn two_segments_swapped() {
    let bench = talk(|talk| {
        talk.client(&REQUEST[..20]).client(&REQUEST[20..40]).swapped().client(&REQUEST[40..]);
    });
    assert_eq!(bench.lines(), ["POST /a 200 10/2 [out_of_order]", "GET /b 200 0/2"]);
    assert_eq!((bench.total().duplicate, bench.total().opaque, bench.total().gap), (0, 0, 0));
}

#[test]
fn a_late_first_segment_keeps_the_times_of_passing() {
    let mut talk = Talk::new(Side::Server);
    talk.client(&REQUEST[..20]).client(&REQUEST[20..]).swapped().server(response(200, ""));
    let bench = run(&talk.records);
    let request = bench.notes.exchanges[0].exchange.request;
    // The head's second part passed first; the message's first byte passed with the later record.
    assert_eq!(request.first_byte.0 - request.last_byte.0, 1000);
}

#[test]
fn a_segment_repeated_is_duplicate() {
    let bench = talk(|talk| {
        talk.client(&REQUEST[..20]).repeated().client(&REQUEST[20..]);
    });
    assert_eq!(bench.lines(), ["POST /a 200 10/2 [retransmit]", "GET /b 200 0/2"]);
    assert_eq!(bench.total().duplicate, 20);
}

#[test]
fn retransmission_with_other_borders() {
    let bench = talk(|talk| {
        talk.client(&REQUEST[..30]).client_at(1_000_001 + 10, &REQUEST[10..40]);
        talk.client_at(1_000_001, REQUEST);
        talk.next[0] = 1_000_001 + REQUEST.len() as u32;
    });
    assert_eq!(bench.lines(), ["POST /a 200 10/2 [retransmit]", "GET /b 200 0/2"]);
    assert_eq!(bench.total().duplicate, 20 + 40);
    assert_eq!(bench.total().opaque, 0);
}

#[test]
fn the_first_copy_wins_where_copies_differ() {
    let bench = talk(|talk| {
        let forged = REQUEST.replace("0123456789", "GET /x HTT");
        talk.client(REQUEST).client_at(1_000_001, forged);
    });
    assert_eq!(bench.lines(), ["POST /a 200 10/2 [retransmit]", "GET /b 200 0/2"]);
}

#[test]
fn fully_overlapping_segment_behind_a_gap() {
    let bench = talk(|talk| {
        talk.client_at(1_000_001 + 30, &REQUEST[30..40]).client_at(1_000_001 + 20, &REQUEST[20..50]);
        talk.client_at(1_000_001, REQUEST);
        talk.next[0] = 1_000_001 + REQUEST.len() as u32;
    });
    assert_eq!(bench.lines(), ["POST /a 200 10/2 [retransmit,out_of_order]", "GET /b 200 0/2"]);
    assert_eq!((bench.total().duplicate, bench.total().gap, bench.total().opaque), (40, 0, 0));
}

#[test]
fn wraps_around() {
    for start in [u32::MAX - 5, u32::MAX, u32::MAX - 40, 0x7fff_fff0] {
        let mut talk = Talk::with_seqs(Side::Server, [start, start.wrapping_add(3)]);
        talk.client_in(7, REQUEST).server_in(5, response(200, "hi"));
        talk.client("GET /b HTTP/1.1\r\n\r\n").swapped().server(response(200, "hi"));
        talk.records.swap(4, 5);
        let bench = run(&talk.records);
        assert_eq!(bench.lines(), ["POST /a 200 10/2", "GET /b 200 0/2"], "{start}");
        assert_eq!((bench.total().gap, bench.total().opaque, bench.total().duplicate), (0, 0, 0));
    }
}

#[test]
fn a_gap_within_a_body_costs_only_its_bytes() {
    let bench = talk(|talk| {
        let head = REQUEST.len() - 10;
        talk.client(&REQUEST[..head + 2])
            .client(&REQUEST[head + 2..head + 5])
            .lost()
            .client(&REQUEST[head + 5..]);
    });
    assert_eq!(bench.lines(), ["POST /a 200 10/2 [gap]", "GET /b 200 0/2"]);
    assert_eq!((bench.total().gap, bench.total().opaque), (3, 0));
}

#[test]
fn the_tail_of_a_body_lost() {
    let bench = talk(|talk| {
        let head = REQUEST.len() - 10;
        talk.client(&REQUEST[..head + 2]).client(&REQUEST[head + 2..]).lost();
    });
    assert_eq!(bench.lines(), ["POST /a 200 10/2 [gap]", "GET /b 200 0/2"]);
    assert_eq!((bench.total().gap, bench.total().opaque), (8, 0));
}

#[test]
fn gap_then_recovery() {
    let bench = talk(|talk| {
        talk.client(&REQUEST[..20]).lost().client(&REQUEST[20..]);
    });
    // Nothing tells that the bytes behind the gap are of a request, nor that the response answers one that was seen.
    assert_eq!(bench.lines(), ["GET /b 200 0/2 [gap]"]);
    assert_eq!(bench.total().gap, 20);
    assert_eq!(bench.total().opaque, (REQUEST.len() - 20 + response(200, "hi").len()) as u64);
}

#[test]
fn gap_that_times_out() {
    let mut talk = Talk::new(Side::Server);
    talk.client(&REQUEST[..20]).lost().client(&REQUEST[20..]);
    let mut bench = Bench::new(Config::default());
    bench.records(&talk.records);
    assert_eq!(bench.total().pending, (REQUEST.len() - 20) as u64);
    bench.tick(talk.now + 900_000_000);
    assert_eq!(bench.total().gap, 0);
    let deadline = bench.wire.next_deadline().unwrap();
    bench.tick(deadline.0);
    assert_eq!((bench.total().gap, bench.total().pending), (0, 0), "nobody said that they passed");
    assert_eq!(bench.counted(Anomaly::Gap), 1);
    bench.finish();
}

#[test]
fn a_sequence_number_from_nowhere_does_not_move_the_stream() {
    let mut talk = Talk::new(Side::Server);
    talk.client("GET /a HTTP/1.1\r\n\r\n").client_at(1_500_000_000, "GET /x HTTP/1.1\r\n\r\n");
    talk.server(response(200, ""));
    talk.now += 2_000_000_000;
    talk.client("GET /b HTTP/1.1\r\n\r\n").server(response(200, "")).client_fin().server_fin();
    let bench = run(&talk.records);
    assert_eq!(bench.lines(), ["GET /a 200 0/0", "GET /b 200 0/0"]);
    assert_eq!((bench.total().gap, bench.total().opaque), (0, 19));
}

#[test]
fn fin_behind_a_gap() {
    let mut talk = Talk::new(Side::Server);
    talk.client("GET /a HTTP/1.0\r\n\r\n");
    talk.server("HTTP/1.0 200 OK\r\n\r\n").server("first").lost().server("second").server_fin();
    let (fin, second) = (talk.records.pop().unwrap(), talk.records.pop().unwrap());
    talk.records.extend([fin, second]);
    talk.client_fin();
    let bench = run(&talk.records);
    assert_eq!(bench.lines(), ["GET /a 200 0/11 [gap]"]);
    assert_eq!(bench.total().gap, 5);
}

#[test]
fn a_lost_tail_is_known_by_the_fin() {
    let mut talk = Talk::new(Side::Server);
    talk.client("GET /a HTTP/1.0\r\n\r\n");
    talk.server("HTTP/1.0 200 OK\r\n\r\n").server("all of it").lost().server_fin().client_fin();
    let bench = run(&talk.records);
    assert_eq!(bench.lines(), ["GET /a 200 0/9 [gap]"]);
    assert_eq!(bench.total().gap, 9);
}

#[test]
fn a_lost_tail_is_known_by_the_socket() {
    let mut talk = Talk::new(Side::Server);
    talk.client("GET /a HTTP/1.0\r\n\r\n").server("HTTP/1.0 200 OK\r\n\r\n").server("all of it").lost();
    talk.server_fin().lost().sock_event(weft_abi::sock_event::CLOSED);
    let bench = run(&talk.records);
    assert_eq!(bench.total().gap, 9);
}

#[test]
fn keep_alive_probe_is_a_duplicate() {
    let bench = talk(|talk| {
        talk.client(REQUEST).client_at(1_000_000 + REQUEST.len() as u32, "9");
    });
    assert_eq!(bench.total().duplicate, 1);
    assert_eq!(bench.notes.exchanges.len(), 2);
}

#[test]
fn bytes_behind_a_fin_are_opaque() {
    let mut talk = Talk::new(Side::Server);
    talk.client("GET /a HTTP/1.1\r\n\r\n")
        .client_fin()
        .client("GET /b HTTP/1.1\r\n\r\n")
        .server(response(200, ""));
    let bench = run(&talk.records);
    assert_eq!(bench.lines(), ["GET /a 200 0/0"]);
    assert_eq!(bench.total().opaque, 19);
}

#[test]
fn half_close_lets_the_response_come() {
    let mut talk = Talk::new(Side::Server);
    talk.client("GET /a HTTP/1.1\r\n\r\n").client_fin().server(response(200, "hi")).server_fin();
    let bench = run(&talk.records);
    assert_eq!(bench.lines(), ["GET /a 200 0/2"]);
}

#[test]
fn reset_ends_what_is_open() {
    let mut talk = Talk::new(Side::Server);
    talk.client("GET /a HTTP/1.1\r\n\r\n")
        .server("HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nx")
        .server_reset();
    let mut bench = Bench::new(Config::default());
    bench.records(&talk.records);
    bench.tick(talk.now + 20_000_000);
    assert_eq!(bench.lines(), ["GET /a 200 0/1 incomplete [truncated]"]);
    assert_eq!(bench.counted(Anomaly::Truncated), 1);
}

#[test]
fn a_tuple_is_used_again() {
    let mut first = Talk::new(Side::Server);
    first.client("GET /a HTTP/1.1\r\n\r\n").server(response(200, "")).client("GET /b HTTP/1.1\r\n\r\n");
    let mut second = Talk::with_seqs(Side::Server, [77, 88]);
    second.client("GET /c HTTP/1.1\r\n\r\n").server(response(200, ""));
    let bench = run(first.records.iter().chain(&second.records));
    assert_eq!(
        bench.lines(),
        ["GET /a 200 0/0", "GET /b - 0/- incomplete [request_without_response]", "GET /c 200 0/0"]
    );
    assert_eq!(bench.total().opaque, 0);
}

#[test]
fn a_syn_sent_again_changes_nothing() {
    let mut talk = Talk::new(Side::Server);
    talk.client("GET /a HTTP/1.1\r\n\r\n");
    let syn = talk.records[0].clone();
    talk.records.push(syn);
    talk.server(response(200, ""));
    assert_eq!(run(&talk.records).lines(), ["GET /a 200 0/0"]);
}

#[test]
fn records_of_the_other_bank_are_inherited() {
    let mut talk = Talk::new(Side::Server);
    talk.client("GET /a HTTP/1.1\r\n\r\n").server(response(200, ""));
    let mut bench = Bench::new(Config::default());
    bench.wire.set_bank(1);
    bench.records(&talk.records);
    let total = bench.total();
    assert_eq!(total.inherited, total.recorded);
    bench.finish();
}

#[test]
fn a_request_within_the_syn() {
    let mut talk = Talk::fast_open(Side::Server, "GET /a HTTP/1.1\r\n\r\n");
    talk.server(response(200, "hi")).client("GET /b HTTP/1.1\r\n\r\n").server(response(200, "hi"));
    let bench = run(&talk.records);
    assert_eq!(bench.lines(), ["GET /a 200 0/2", "GET /b 200 0/2"]);
    assert_eq!(bench.notes.exchanges[0].exchange.request_seq, 1_000_001);
    assert_eq!(bench.total().opaque, 0);
}

#[test]
fn blank_lines_are_no_message() {
    let mut talk = Talk::new(Side::Server);
    talk.client("GET /a HTTP/1.1\r\n\r\n\r\n").server(response(200, "hi"));
    let time = talk.now;
    talk.client("\r\n").client("GET /b HTTP/1.1\r\n\r\n").server(response(200, "hi"));
    let bench = run(&talk.records);
    assert_eq!(bench.lines(), ["GET /a 200 0/2", "GET /b 200 0/2"]);
    assert_eq!(bench.notes.exchanges[1].exchange.request.first_byte.0, time + 1000);
    assert_eq!(bench.notes.exchanges[1].exchange.request.bytes, 19);
}

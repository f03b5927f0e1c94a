//! What is paired when records are lost: nothing that could be wrong.
use std::sync::Arc;

use super::{Bench, Talk, response, run};
use crate::{Anomaly, Config, PortFilter, Side};

fn get(path: &str) -> String {
    format!("GET {path} HTTP/1.1\r\nHost: h\r\n\r\n")
}

/// The body says what request it answers, so a wrong pair shows.
fn answer(path: &str) -> Vec<u8> {
    response(200, &"x".repeat(path.len()))
}

/// Exchanges /1, /22, /333 ..., with the records of these requests and responses lost. Every exchange that comes
/// out must be a right one.
fn keep_alive(side: Side, count: usize, lost_requests: &[usize], lost_responses: &[usize]) -> Bench {
    let mut talk = Talk::new(side);
    for index in 1..=count {
        let path = format!("/{}", index.to_string().repeat(index));
        talk.client(get(&path));
        if lost_requests.contains(&index) {
            talk.lost();
        }
        talk.server(answer(&path));
        if lost_responses.contains(&index) {
            talk.lost();
        }
    }
    talk.client_fin().server_fin();
    let bench = run(&talk.records);
    assert_right(&bench);
    bench
}

fn assert_right(bench: &Bench) {
    for joined in &bench.notes.exchanges {
        let exchange = &joined.exchange;
        if let Some(response) = exchange.response.filter(|_| exchange.complete) {
            assert_eq!(response.body_bytes as usize, exchange.path.len(), "{:?}", bench.lines());
        }
    }
}

#[test]
fn a_lost_request() {
    for side in [Side::Client, Side::Server] {
        let bench = keep_alive(side, 4, &[2], &[]);
        assert_eq!(bench.lines(), ["GET /1 200 0/2", "GET /333 200 0/4 [gap]", "GET /4444 200 0/5"]);
        assert_eq!(bench.total().gap, get("/22").len() as u64);
        assert_eq!(bench.total().opaque, answer("/22").len() as u64);
    }
}

#[test]
fn a_lost_response() {
    for side in [Side::Client, Side::Server] {
        let bench = keep_alive(side, 4, &[], &[2]);
        let expected =
            ["GET /1 200 0/2", "GET /22 - 0/- incomplete [gap]", "GET /333 200 0/4", "GET /4444 200 0/5"];
        assert_eq!(bench.lines(), expected);
        assert_eq!(bench.total().gap, answer("/22").len() as u64);
    }
}

#[test]
fn a_lost_exchange() {
    let bench = keep_alive(Side::Server, 4, &[2], &[2]);
    assert_eq!(bench.lines(), ["GET /1 200 0/2", "GET /333 200 0/4 [gap]", "GET /4444 200 0/5"]);
    assert_eq!(bench.total().opaque, 0);
}

#[test]
fn a_lost_response_and_the_next_request() {
    let bench = keep_alive(Side::Server, 5, &[3], &[2]);
    assert!(bench.lines().contains(&"GET /55555 200 0/6".to_owned()), "{:?}", bench.lines());
}

#[test]
fn any_two_lost_records_give_no_wrong_exchange() {
    let records = 12;
    for first in 0..records {
        for second in first..records {
            let at = |parity| {
                [first, second].into_iter().filter(move |lost| lost % 2 == parity).map(|lost| lost / 2 + 1)
            };
            let (requests, responses): (Vec<_>, Vec<_>) = (at(0).collect(), at(1).collect());
            let bench = keep_alive(Side::Server, 6, &requests, &responses);
            let complete = bench.notes.exchanges.iter().filter(|joined| joined.exchange.complete).count();
            assert!(complete >= 3, "{requests:?} {responses:?}: {:?}", bench.lines());
        }
    }
}

/// Three requests in a row, then three responses; a record of each kind lost.
#[test]
fn a_pipelining_client_gets_nothing_wrong() {
    for lost in 0..6 {
        let mut talk = Talk::new(Side::Server);
        for round in 0..2 {
            let paths: Vec<_> = (1..=3).map(|index| format!("/{}", "p".repeat(round * 3 + index))).collect();
            for (index, path) in paths.iter().enumerate() {
                talk.client(get(path));
                if round == 0 && index == lost {
                    talk.lost();
                }
            }
            for (index, path) in paths.iter().enumerate() {
                talk.server(answer(path));
                if round == 0 && index + 3 == lost {
                    talk.lost();
                }
            }
        }
        talk.client_fin().server_fin();
        let bench = run(&talk.records);
        assert_right(&bench);
        assert_ne!(bench.total().opaque + bench.total().gap, 0);
    }
}

#[test]
fn a_pipelined_request_behind_a_lost_one() {
    let mut talk = Talk::new(Side::Server);
    talk.client(get("/1")).server(answer("/1"));
    // Sent in one go, so that both acknowledge the same; the first is lost.
    talk.client(get("/22")).lost().client(get("/333"));
    talk.server(answer("/22")).client(get("/4444")).server(answer("/333")).client(get("/55555"));
    talk.server(answer("/4444")).server(answer("/55555")).client_fin().server_fin();
    let bench = run(&talk.records);
    assert_right(&bench);
    assert_eq!(bench.lines(), ["GET /1 200 0/2"]);
}

#[test]
fn requests_before_a_gap_are_answered_in_order() {
    let mut talk = Talk::new(Side::Server);
    talk.client(get("/1")).client(get("/22")).client(get("/333")).lost();
    talk.server(answer("/1")).server(answer("/22")).server(answer("/333")).client_fin().server_fin();
    let bench = run(&talk.records);
    assert_eq!(bench.lines(), ["GET /1 200 0/2", "GET /22 200 0/3"]);
}

#[test]
fn joined_between_two_exchanges() {
    for side in [Side::Client, Side::Server] {
        let mut talk = Talk::midway(side);
        talk.client(get("/1")).server(answer("/1")).client(get("/22")).server(answer("/22"));
        let bench = run(&talk.records);
        assert_eq!(bench.lines(), ["GET /1 200 0/2 [joined_midway]", "GET /22 200 0/3"]);
    }
}

#[test]
fn joined_before_a_response() {
    let mut talk = Talk::midway(Side::Server);
    talk.client(get("/0")).lost().server(answer("/0")).client(get("/1")).server(answer("/1"));
    let bench = run(&talk.records);
    assert_eq!(bench.lines(), ["GET /1 200 0/2 [joined_midway]"]);
    assert_eq!(bench.total().opaque, answer("/0").len() as u64);
}

#[test]
fn joined_within_bodies() {
    let body = "GET /fake HTTP/1.1\r\n\r\n".repeat(50);
    for cut in 1..8 {
        let mut talk = Talk::midway(Side::Server);
        let upload = format!("POST /0 HTTP/1.1\r\nContent-Length: {}\r\n\r\n{body}", body.len());
        talk.client_in(200, upload).server_in(300, response(200, &body));
        talk.records.drain(..cut);
        talk.client(get("/1")).server(answer("/1")).client(get("/22")).server(answer("/22"));
        let bench = run(&talk.records);
        assert_right(&bench);
        assert!(bench.lines().iter().all(|line| !line.contains("/fake")), "{cut}: {:?}", bench.lines());
    }
}

#[test]
fn a_response_that_nobody_asked_for() {
    let mut talk = Talk::new(Side::Server);
    talk.client(get("/1"))
        .server(answer("/1"))
        .server(response(408, ""))
        .client(get("/22"))
        .server(answer("/22"));
    let bench = run(&talk.records);
    assert_eq!(bench.lines(), ["GET /1 200 0/2", "GET /22 200 0/3"]);
    assert_eq!(bench.counted(Anomaly::ResponseWithoutRequest), 1);
}

#[test]
fn a_response_that_crossed_a_request_is_not_its_answer() {
    let mut talk = Talk::new(Side::Server);
    talk.client(get("/1")).server(answer("/1"));
    let mut crossing = talk.clone();
    crossing.client(get("/22"));
    // The server's time-out passed the vantage before the request did, which does not acknowledge it.
    talk.server(response(408, "")).server_fin();
    talk.records.extend(crossing.records.pop());
    talk.client_fin();
    let bench = run(&talk.records);
    let expected = ["GET /1 200 0/2", "GET /22 - 0/- incomplete [request_without_response]"];
    assert_eq!(bench.lines(), expected);
}

#[test]
fn a_head_of_which_not_all_was_captured() {
    let mut talk = Talk::new(Side::Server);
    talk.capture = 10;
    talk.client(get("/1")).server(answer("/1"));
    talk.capture = 1000;
    talk.client(get("/22")).server(answer("/22"));
    let bench = run(&talk.records);
    assert_eq!(bench.lines(), ["GET /22 200 0/3 [gap]"]);
}

#[test]
fn a_request_after_joining_counts_when_it_is_answered() {
    let mut talk = Talk::midway(Side::Server);
    talk.client(get("/1")).client_fin();
    assert_eq!(run(&talk.records).lines(), Vec::<String>::new());
    talk.server(answer("/1"));
    assert_eq!(run(&talk.records).lines(), ["GET /1 200 0/2 [joined_midway]"]);
}

/// Found by fuzzing: the first of two pipelined requests lost, and the second got its answer.
#[test]
fn a_request_behind_a_lost_beginning_is_not_the_first() {
    let mut talk = Talk::new(Side::Server);
    talk.client(get("/1")).lost().client(get("/22")).server([answer("/1"), answer("/22")].concat());
    let bench = run(&talk.client_fin().server_fin().records);
    assert_right(&bench);
    assert!(bench.notes.exchanges.iter().all(|joined| !joined.exchange.complete), "{:?}", bench.lines());
}

#[test]
fn what_passes_while_a_port_is_left_out_is_no_gap() {
    let config =
        |exclude| Arc::new(Config { ports: PortFilter { include: vec![], exclude }, ..Config::default() });
    let mut talk = Talk::new(Side::Server);
    talk.client(get("/1")).server(answer("/1"));
    let before = talk.records.len();
    talk.client(get("/2")).server(answer("/2"));
    let without = talk.records.len();
    talk.client(get("/3")).server(answer("/3")).client(get("/4")).server(answer("/4"));
    talk.client_fin().server_fin();
    let mut bench = Bench::new(Config::default());
    bench.records(&talk.records[..before]);
    bench.wire.configure(config(vec![80, 8080]), &mut bench.notes);
    assert_eq!(bench.wire.tables()[0].entries, 0, "what is not wanted is forgotten");
    bench.wire.configure(config(vec![]), &mut bench.notes);
    bench.records(&talk.records[without..]);
    bench.finish();
    assert_eq!(bench.total().gap, 0);
    let lines = bench.lines();
    assert!(
        lines[0].starts_with("GET /1 200") && lines.iter().any(|line| line.starts_with("GET /4 200")),
        "{lines:?}"
    );
}

use super::*;
use crate::{App, testing::joined};

/// A server's exchange: the request passed from 1,000 to 1,100 and was read at 1,150; the response passed from 2,000 to
/// 2,050.
fn exchange() -> JoinedExchange {
    let mut joined = joined(1, 2, 1);
    let span = |first, last| MessageSpan {
        first_byte: Ktime(first),
        last_byte: Ktime(last),
        bytes: 9,
        body_bytes: 0,
    };
    joined.exchange.request = span(1000, 1100);
    joined.exchange.response = Some(span(2000, 2050));
    joined.app = App { read: Some(Ktime(1150)), ..App::default() };
    joined
}

fn times(list: &[(u64, u64)]) -> Option<Vec<(Ktime, Ktime)>> {
    Some(list.iter().map(|(from, to)| (Ktime(*from), Ktime(*to))).collect())
}

#[test]
fn what_nobody_looked_at_is_absent() {
    let phases = exchange().phases(&Windows::default());
    let expected =
        Phases { network: Some(150), socket_wait: Some(50), handler: Some(850), ..Phases::default() };
    assert_eq!(phases, expected);
}

#[test]
fn each_moment_is_in_one_phase() {
    let windows = Windows {
        downstream: Some(vec![(Ktime(1200), Some(Ktime(1400))), (Ktime(1300), Some(Ktime(1500)))]),
        stops: times(&[(1450, 1550), (900, 1160)]),
        waits: times(&[(1110, 1140), (1500, 1600), (1900, 2100)]),
        server_ns: None,
    };
    let phases = exchange().phases(&windows);
    let expected = Phases {
        network: Some(150),
        // 30 of the 50 it waited for a processor.
        socket_wait: Some(20),
        run_queue: Some(30 + 50 + 100),
        gc: Some(10 + 50),
        handler: Some(850 - 300 - 60 - 150),
        downstream: Some(300),
        unknown: None,
    };
    assert_eq!(phases, expected);
    assert_eq!(phases.sum(), 1050);
}

#[test]
fn a_request_that_is_open_still_was_waited_for_until_the_answer() {
    let windows = Windows { downstream: Some(vec![(Ktime(1950), None)]), ..Windows::default() };
    let phases = exchange().phases(&windows);
    assert_eq!((phases.downstream, phases.handler), (Some(50), Some(800)));
}

#[test]
fn an_answer_before_the_requests_end_leaves_a_rest() {
    let mut early = exchange();
    early.exchange.request.last_byte = Ktime(2500);
    early.app.read = Some(Ktime(2600));
    early.exchange.response.as_mut().unwrap().last_byte = Ktime(2700);
    let phases = early.phases(&Windows::default());
    assert_eq!((phases.handler, phases.unknown), (Some(0), None));
}

#[test]
fn a_client_waits_for_the_network_when_its_server_does_not_work() {
    let mut client = exchange();
    client.exchange.side = Side::Client;
    assert_eq!(client.phases(&Windows::default()), Phases { socket_wait: Some(0), ..Phases::default() });
    let windows = Windows { server_ns: Some(1000), ..Windows::default() };
    assert_eq!(client.phases(&windows).network, Some(50));
}

#[test]
fn what_broke_off_has_no_end_to_measure_to() {
    let mut broken = exchange();
    broken.exchange.complete = false;
    assert_eq!(broken.phases(&Windows::default()), Phases { socket_wait: Some(50), ..Phases::default() });
    broken.exchange.side = Side::Client;
    assert_eq!(broken.phases(&Windows::default()), Phases::default());
}

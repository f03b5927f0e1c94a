use weft_abi::sock_event;

use super::{Bench, Talk, response};
use crate::{App, Config, Ktime, Side, wire::ConnectionEvent, wire::join::Sockets};

const REQUEST: &str = "GET /a HTTP/1.1\r\n\r\n";

/// Runs the records, lets time pass beyond the wait for socket I/O, and gives what the sockets said.
fn apps(talk: &Talk) -> Vec<App> {
    let mut bench = Bench::new(Config::default());
    bench.records(&talk.records);
    bench.tick(talk.now + 20_000_000);
    bench.notes.exchanges.iter().map(|joined| joined.app).collect()
}

fn app(read: u64, write_returned: u64, goid: u64) -> App {
    let time = |time| (time != 0).then_some(Ktime(time));
    let known = goid != 0;
    App {
        read: time(read),
        write_returned: time(write_returned),
        goid: known.then_some(goid),
        tid: known.then_some(11),
        pid: known.then_some(10),
    }
}

#[test]
fn a_server_reads_before_it_answers() {
    let mut talk = Talk::new(Side::Server);
    talk.client(REQUEST);
    let read = talk.now;
    talk.pod_read(19).server(response(200, "hi"));
    let wrote = talk.now;
    talk.pod_wrote(40);
    assert_eq!(apps(&talk), [app(read, wrote, 102)]);
}

#[test]
fn a_client_writes_and_then_reads() {
    let mut talk = Talk::new(Side::Client);
    talk.client(REQUEST);
    let wrote = talk.now;
    talk.pod_wrote(19).server(response(200, "hi"));
    let read = talk.now;
    talk.pod_read(40);
    assert_eq!(apps(&talk), [app(read, wrote, 101)]);
}

#[test]
fn calls_may_return_after_the_response() {
    let mut talk = Talk::new(Side::Server);
    talk.client(REQUEST).server(response(200, "hi"));
    let wrote = talk.now;
    talk.pod_wrote(40);
    let read = talk.now;
    talk.pod_read(19);
    assert_eq!(apps(&talk), [app(read, wrote, 102)]);
}

#[test]
fn a_call_that_covers_the_last_byte_counts() {
    let mut talk = Talk::new(Side::Server);
    talk.client("POST /a HTTP/1.1\r\nContent-Length: 4\r\n\r\n")
        .pod_read(38)
        .client("ab")
        .pod_read(2)
        .client("cd");
    let read = talk.now;
    talk.pod_read(2).server("HTTP/1.1 200 X\r\nContent-Length: 2\r\n\r\n").pod_wrote(37).server("hi");
    let wrote = talk.now;
    talk.pod_wrote(2);
    assert_eq!(apps(&talk), [app(read, wrote, 102)]);
}

#[test]
fn one_call_may_cover_many_messages() {
    let mut talk = Talk::new(Side::Server);
    talk.client([REQUEST, REQUEST].concat());
    let read = talk.now;
    talk.pod_read(38).server(response(200, "hi")).server(response(200, "hi"));
    let wrote = talk.now;
    talk.pod_wrote(80);
    assert_eq!(apps(&talk), [app(read, wrote, 102), app(read, wrote, 102)]);
}

#[test]
fn a_bytes_written_before_they_pass_are_joined() {
    let mut talk = Talk::new(Side::Server);
    talk.client(REQUEST).pod_read(19);
    let mut ahead = talk.clone();
    ahead.server(response(200, "hi"));
    let wrote = ahead.now;
    ahead.pod_wrote(40);
    let (call, segment) = (ahead.records.pop().unwrap(), ahead.records.pop().unwrap());
    ahead.records.extend([call, segment]);
    let read = talk.now - super::talk::STEP;
    assert_eq!(apps(&ahead), [app(read, wrote, 102)]);
}

#[test]
fn what_never_came_is_absent() {
    let mut talk = Talk::new(Side::Server);
    talk.client(REQUEST).server(response(200, "hi"));
    let wrote = talk.now;
    talk.pod_wrote(40).client(REQUEST).server(response(200, "hi"));
    assert_eq!(apps(&talk), [app(0, wrote, 0), app(0, 0, 0)]);
}

#[test]
fn an_exchange_waits_no_longer_than_it_may() {
    let mut talk = Talk::new(Side::Server);
    talk.client(REQUEST).pod_read(19).server(response(200, "hi"));
    let mut bench = Bench::new(Config::default());
    bench.records(&talk.records);
    assert_eq!(bench.notes.exchanges.len(), 0);
    let deadline = bench.wire.next_deadline().unwrap();
    assert_eq!(deadline.0, talk.now - super::talk::STEP + 20_000_000);
    bench.tick(deadline.0);
    assert_eq!(bench.notes.exchanges.len(), 1);
    assert_eq!(bench.wire.stats().unjoined_exchanges, 1);
}

#[test]
fn a_client_may_read_late_and_nothing_waits_for_it() {
    let mut talk = Talk::new(Side::Client);
    talk.client(REQUEST);
    let wrote = talk.now;
    talk.pod_wrote(19).server(response(200, "hi"));
    let mut bench = Bench::new(Config::default());
    bench.records(&talk.records);
    talk.records.clear();
    talk.now += 30_000_000;
    bench.tick(talk.now);
    assert_eq!(bench.notes.exchanges.len(), 0);
    // The next one is read before the first one's wait is over.
    let late = talk.now;
    talk.pod_read(40).client(REQUEST).pod_wrote(19).server(response(200, "hi"));
    talk.now += 900_000_000;
    bench.records(&talk.records);
    bench.tick(talk.now);
    let apps = |bench: &Bench| bench.notes.exchanges.iter().map(|joined| joined.app).collect::<Vec<_>>();
    assert_eq!(apps(&bench), [app(late, wrote, 101)]);
    bench.tick(talk.now + 100_000_000);
    let unread = App { read: None, ..bench.notes.exchanges[1].app };
    assert_eq!(apps(&bench)[1], unread);
    assert_eq!(bench.wire.stats().unjoined_exchanges, 1);
    assert_eq!(bench.wire.next_deadline().map(|deadline| deadline.0 > talk.now), Some(true));
}

#[test]
fn nobody_waits_for_a_client_whose_calls_are_not_told() {
    let mut talk = Talk::new(Side::Client);
    talk.client(REQUEST).server(response(200, "hi"));
    assert_eq!(apps(&talk), [App::default()]);
}

#[test]
fn clients_that_read_late_are_bounded() {
    let mut config = Config::default();
    config.limits.waiting_exchanges = 3;
    let mut bench = Bench::new(config);
    let mut talk = Talk::new(Side::Client);
    for _ in 0..5 {
        talk.client(REQUEST).pod_wrote(19).server(response(200, "hi"));
        bench.records(&talk.records);
        talk.records.clear();
        talk.now += 30_000_000;
        bench.tick(talk.now);
    }
    assert_eq!(bench.notes.exchanges.len(), 2);
    talk.pod_read(200);
    bench.records(&talk.records);
    let read = bench.notes.exchanges.iter().filter(|joined| joined.app.read.is_some()).count();
    assert_eq!((bench.notes.exchanges.len(), read), (5, 3));
}

#[test]
fn the_queue_of_those_who_wait_is_bounded() {
    let mut config = Config::default();
    config.limits.waiting_exchanges = 3;
    let mut talk = Talk::new(Side::Server);
    talk.pod_read(1);
    for _ in 0..5 {
        talk.client(REQUEST).server(response(200, "hi"));
    }
    let mut bench = Bench::new(config);
    bench.records(&talk.records);
    assert_eq!(bench.notes.exchanges.len(), 2);
    bench.finish();
    assert_eq!(bench.notes.exchanges.len(), 5);
}

#[test]
fn without_a_socket_nothing_waits() {
    let mut talk = Talk { cookie: 0, ..Talk::midway(Side::Server) };
    talk.handshake();
    talk.client(REQUEST).server(response(200, "hi"));
    let mut bench = Bench::new(Config::default());
    bench.records(&talk.records);
    assert_eq!(bench.notes.exchanges.len(), 1);
}

#[test]
fn a_read_before_the_cookie_is_known_is_found_again() {
    let mut talk = Talk::midway(Side::Server);
    talk.client(REQUEST);
    let read = talk.now;
    talk.pod_read(19).server(response(200, "hi"));
    let wrote = talk.now;
    talk.pod_wrote(40);
    assert_eq!(apps(&talk), [app(read, wrote, 102)]);
}

#[test]
fn the_socket_event_tells_the_cookie() {
    let mut talk = Talk { cookie: 0, ..Talk::midway(Side::Server) };
    talk.handshake();
    talk.cookie = 77;
    talk.sock_event(sock_event::ESTABLISHED_PASSIVE).client(REQUEST);
    let read = talk.now;
    talk.pod_read(19).server(response(200, "hi"));
    let wrote = talk.now;
    talk.pod_wrote(40);
    assert_eq!(apps(&talk), [app(read, wrote, 102)]);
}

#[test]
fn ranges_of_other_sockets_are_not_taken() {
    let mut talk = Talk::new(Side::Server);
    talk.client(REQUEST);
    talk.cookie = 1234;
    talk.pod_read(19);
    talk.cookie = 99;
    talk.server(response(200, "hi"));
    assert_eq!(apps(&talk), [App::default()]);
}

#[test]
fn a_connections_life_is_told() {
    let mut talk = Talk::midway(Side::Client);
    talk.sock_event(sock_event::CONNECT).handshake();
    talk.sock_event(sock_event::ESTABLISHED_ACTIVE)
        .sock_event(sock_event::RETRANSMIT)
        .sock_event(sock_event::CLOSED);
    let mut bench = Bench::new(Config::default());
    bench.records(&talk.records);
    let netns = talk.netns;
    assert_eq!(
        bench.notes.connections,
        [
            ConnectionEvent::Connected { netns, latency_ns: 3000 },
            ConnectionEvent::Retransmitted { netns, segments: 2 },
            ConnectionEvent::Closed { netns, srtt_us: 120, retransmitted_segments: 3 },
        ]
    );
}

/// Where the kernel tells of no calls (before 6.3), or a program splices, nobody ever asks for those who waited.
#[test]
fn a_connection_whose_calls_never_come_keeps_nothing_of_its_exchanges() {
    let mut talk = Talk::new(Side::Server);
    let mut bench = Bench::new(Config::default());
    for _ in 0..2000 {
        talk.client(REQUEST).server(response(200, "hi"));
        bench.records(&talk.records);
        talk.records.clear();
        talk.now += 10_000_000;
    }
    assert!(bench.notes.exchanges.len() > 1990);
    let kept = bench.wire.table.peek(0).unwrap().kept().map_or(0, Sockets::waiting);
    assert!(kept < 10, "{kept}");
}

//! What the pod's sockets say of streams that share a connection.
use super::{super::Bench, peers::*};
use crate::{App, Config, Side};

fn app(bench: &Bench, stream: u32) -> App {
    let of = |joined: &&crate::JoinedExchange| joined.exchange.stream_id == stream;
    bench.notes.exchanges.iter().find(of).unwrap().app
}

#[test]
fn each_stream_has_its_own_calls() {
    for count in [1, 3, 300] {
        let streams: Vec<u32> = (0..count).map(|index| index * 2 + 1).collect();
        let mut peers = Peers::new(Side::Server);
        let mut read = Vec::new();
        for stream in &streams {
            let request = peers.request(*stream, "GET", "/a", END_STREAM);
            let len = request.len() as u32;
            peers.talk.client(request).pod_read(len);
            read.push(peers.talk.now - 1000);
        }
        let mut wrote = Vec::new();
        for stream in streams.iter().rev() {
            let answer = peers.response(*stream, "200", END_STREAM);
            let len = answer.len() as u32;
            peers.talk.server(answer).pod_wrote(len);
            wrote.push(peers.talk.now - 1000);
        }
        let bench = peers.run();
        for (index, stream) in streams.iter().enumerate() {
            let app = app(&bench, *stream);
            assert_eq!(app.read.map(|time| time.0), Some(read[index]), "{stream} of {count}");
            assert_eq!(app.write_returned.map(|time| time.0), wrote.iter().rev().nth(index).copied());
            assert!(app.goid.is_some() && app.pid == Some(10));
        }
    }
}

#[test]
fn a_long_stream_beside_short_ones_keeps_nothing_for_ever() {
    let mut peers = Peers::new(Side::Server);
    let long = peers.request(1, "POST", "/long", 0);
    peers.talk.client(&long).pod_read(long.len() as u32);
    let mut bench = Bench::new(Config::default());
    for stream in (3..4003).step_by(2) {
        let request = peers.request(stream, "GET", "/a", END_STREAM);
        let len = request.len() as u32;
        peers.talk.client(request).pod_read(len);
        let answer = peers.response(stream, "200", END_STREAM);
        let len = answer.len() as u32;
        peers.talk.server(answer).pod_wrote(len);
        bench.records(&std::mem::take(&mut peers.talk.records));
        assert!(app(&bench, stream).read.is_some() && app(&bench, stream).write_returned.is_some());
    }
    assert!(bench.wire.table.peek(0).unwrap().kept().is_some_and(|kept| kept.ranges() <= 2 * 64));
}

#[test]
fn a_client_reads_responses_and_writes_requests() {
    let mut peers = Peers::new(Side::Client);
    let requests = [peers.request(1, "GET", "/1", 1), peers.request(3, "GET", "/3", 1)].concat();
    peers.talk.client(&requests).pod_wrote(requests.len() as u32);
    let wrote = peers.talk.now - 1000;
    let answers = [peers.response(3, "200", 1), peers.response(1, "200", 1)];
    let (first, second) = (answers[0].len() as u32, answers[1].len() as u32);
    peers.talk.server(answers.concat()).pod_read(second);
    let second_read = peers.talk.now - 1000;
    let bench = peers.run();
    assert_eq!(app(&bench, 1).read.map(|time| time.0), Some(second_read));
    assert_eq!(app(&bench, 3).read, None, "the call that read {first} bytes is not there");
    assert_eq!(app(&bench, 1).write_returned.map(|time| time.0), Some(wrote));
}

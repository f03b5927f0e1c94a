//! How much a connection costs, and what happens when there are too many.
use super::{
    super::{conversation::Conversation, flow::Flow, table::Table, tls::Hellos},
    Bench, Talk, response,
};
use crate::{Anomaly, Config, Side};

/// A connection of this port, as far as its handshake.
fn silent(index: u32) -> Talk {
    let mut talk = Talk::midway(Side::Server);
    talk.client_port = index as u16;
    talk.netns = 1 + u64::from(index >> 16);
    talk.cookie = u64::from(index) + 1;
    talk.handshake();
    talk
}

#[test]
fn an_idle_connection_costs_at_most_a_kibibyte() {
    // The box, the slot, and the byte and word of two indexes at their lowest load.
    let cost = size_of::<Flow>() + size_of::<Conversation>() + 2 * 16 + Table::SLOT + 2 * 2 * (1 + 4);
    assert!(cost <= 1024, "{cost}");
    // Of TLS what its hellos said is kept too: the names in use have a few dozen bytes.
    let tls = cost + size_of::<Hellos>() + 48;
    assert!(tls <= 1024, "{tls}");
    println!("an idle connection costs {cost} bytes, of which {} are the connection", size_of::<Flow>());
}

#[test]
fn an_idle_connection_keeps_no_buffers() {
    let mut talk = Talk::new(Side::Server);
    talk.client_in(5, "POST /a HTTP/1.1\r\nContent-Length: 4\r\n\r\n").client("ab").client("cd").swapped();
    talk.pod_read(42).server(response(200, "hi")).pod_wrote(40);
    let mut bench = Bench::new(Config::default());
    bench.records(&talk.records);
    assert_eq!(bench.lines(), ["POST /a 200 4/2 [out_of_order]"]);
    let flow = bench.wire.table.peek(0).unwrap();
    assert_eq!(flow.buffers(), 0);
}

#[test]
fn a_hundred_thousand_silent_connections_disturb_nobody() {
    let mut config = Config::default();
    config.limits.flows = 50_000;
    let mut bench = Bench::new(config);
    let mut good = Talk { netns: 99, ..Talk::midway(Side::Server) };
    good.handshake();
    good.client("POST /good HTTP/1.1\r\nContent-Length: 4\r\n\r\nab");
    let records: Vec<_> = good.records.drain(..).collect();
    bench.records(&records);
    for index in 0..100_000 {
        silent(index).records.iter().for_each(|record| bench.wire.record(record, &mut bench.notes));
    }
    good.client("cd").server(response(200, "hi"));
    bench.records(&good.records);
    assert_eq!(bench.wire.table.len(), 50_000);
    assert_eq!(bench.counted(Anomaly::Evicted), 50_001);
    bench.finish();
    assert_eq!(bench.lines(), ["POST /good 200 4/2"]);
}

#[test]
fn the_connection_that_was_silent_for_longest_gives_way() {
    let mut config = Config::default();
    config.limits.flows = 2;
    let mut bench = Bench::new(config);
    let mut talks: Vec<_> = (1..=3).map(|port| Talk::from_port(Side::Server, port)).collect();
    for (index, talk) in talks.iter_mut().enumerate() {
        talk.client(format!("GET /{index} HTTP/1.1\r\n\r\n"));
    }
    for index in [0, 1] {
        bench.records(&talks[index].records);
    }
    talks[0].records.clear();
    talks[0].server(response(200, "")).client("GET /again HTTP/1.1\r\n\r\n");
    bench.records(&talks[0].records);
    bench.records(&talks[2].records);
    bench.finish();
    let mut lines = bench.lines();
    lines.sort();
    assert_eq!(
        lines,
        [
            "GET /0 200 0/0",
            "GET /1 - 0/- incomplete [request_without_response,evicted]",
            "GET /2 - 0/- incomplete [request_without_response]",
            "GET /again - 0/- incomplete [request_without_response]",
        ]
    );
}

#[test]
fn idle_and_closed_connections_are_forgotten() {
    let mut bench = Bench::new(Config::default());
    let mut open = Talk::from_port(Side::Server, 1);
    open.client("GET /a HTTP/1.1\r\n\r\n");
    let mut closed = Talk::from_port(Side::Server, 2);
    closed.client_fin().server_fin();
    bench.records(open.records.iter().chain(&closed.records));
    assert_eq!(bench.wire.table.len(), 2);
    bench.tick(closed.now + 2_000_000_000);
    assert_eq!(bench.wire.table.len(), 1);
    bench.tick(open.now + 600_000_000_000);
    assert_eq!(bench.wire.table.len(), 0);
    assert_eq!(bench.wire.next_deadline().map(|deadline| deadline.0 > open.now), Some(true));
    bench.finish();
    assert_eq!(bench.lines(), ["GET /a - 0/- incomplete [request_without_response]"]);
}

#[test]
fn vantages_beyond_the_limit_share_an_account() {
    let mut config = Config::default();
    config.limits.vantages = 2;
    let mut bench = Bench::new(config);
    for netns in 1..=4 {
        let mut talk = Talk { netns, ..Talk::midway(Side::Server) };
        talk.handshake();
        talk.client("GET /a HTTP/1.1\r\n\r\n").server(response(200, ""));
        bench.records(&talk.records);
    }
    bench.finish();
    let accounts = bench.wire.accounts();
    assert_eq!(accounts.iter().map(|account| account.netns).collect::<Vec<_>>(), [0, 1, 2]);
    assert_eq!(accounts[0].directions[0].recorded, 2 * accounts[1].directions[0].recorded);
    assert_eq!(bench.notes.exchanges.len(), 4);
}

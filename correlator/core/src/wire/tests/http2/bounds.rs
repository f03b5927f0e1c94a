//! How much a connection costs.
use super::{
    super::{super::http2::Connection, Bench},
    peers::*,
};
use crate::{Config, Side, wire::flow::Flow, wire::table::Table};

#[test]
fn an_idle_connection_costs_at_most_a_kibibyte_and_its_header_tables() {
    let cost = size_of::<Flow>() + size_of::<Connection>() + 2 * 16 + Table::SLOT + 2 * 2 * (1 + 4);
    assert!(cost <= 1024, "{cost}");
}

#[test]
fn an_idle_connection_keeps_no_buffers() {
    let mut peers = Peers::new(Side::Server);
    for stream in (1..41).step_by(2) {
        let request = [peers.call(stream, "/s.S/M"), data(stream, END_STREAM, message(10))].concat();
        let len = request.len() as u32;
        peers.talk.client_in(7, request).pod_read(len);
        let answer = [peers.answer(stream), data(stream, 0, message(5)), peers.status(stream, "0")].concat();
        let len = answer.len() as u32;
        peers.talk.server_in(11, answer).pod_wrote(len);
    }
    let mut bench = Bench::new(Config::default());
    bench.records(&peers.talk.records);
    assert_eq!(bench.notes.exchanges.len(), 20);
    assert_eq!(bench.wire.table.peek(0).unwrap().buffers(), 0);
}

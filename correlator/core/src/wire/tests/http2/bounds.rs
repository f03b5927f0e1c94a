//! How much a connection costs.
use super::{
    super::{super::http2::Connection, Bench},
    peers::*,
};
use crate::{Config, Side, wire::flow::Flow, wire::table::Table};

#[test]
fn an_idle_connection_costs_at_most_a_kibibyte_and_its_header_tables() {
    let cost = size_of::<Flow>() + size_of::<Connection>() + 2 * 16 + Table::SLOT + 2 * (1 + 4) + 2 * (1 + 16);
    assert!(cost <= 1024, "{cost}");
}

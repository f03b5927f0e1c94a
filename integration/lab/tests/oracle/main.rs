//! weft against tshark, on what real programs say to each other. Needs root, Go, and installs Debian's packages of the
//! programs. What is known to differ, and why, is in docs/ORACLE.md.

mod clients;
mod grpc;
mod h2_crate;
mod http1;
mod http1_odd;
mod http2;
mod http2_odd;

use anyhow::Result;
use weft_lab::oracle::{Bench, Scenario, Server, check, port};

const TABLES: &[&[Scenario]] =
    &[http1::SCENARIOS, http1_odd::SCENARIOS, http2::SCENARIOS, http2_odd::SCENARIOS, grpc::SCENARIOS];
const EXPLANATIONS: &str = include_str!("../../../../docs/ORACLE.md");

#[test]
fn every_difference_that_is_let_pass_is_explained() {
    let explained = TABLES.iter().flat_map(|table| table.iter()).flat_map(|scenario| scenario.explained);
    for name in explained.map(|explained| explained.name) {
        assert!(EXPLANATIONS.contains(&format!("| `{name}` |")), "docs/ORACLE.md has no row {name}");
    }
}

#[test]
fn http1_of_real_programs() -> Result<()> {
    use Server::{Go, Haproxy, Nginx, Node, Python, Python10};
    let bench = Bench::open(&[Nginx, Haproxy, Python, Python10, Node, Go], &[Nginx])?;
    check(bench, &[http1::SCENARIOS, http1_odd::SCENARIOS].concat(), &[])
}

#[test]
fn http2_of_real_programs() -> Result<()> {
    use Server::{GoH2, GoUpgrade, Haproxy, Nginx, NodeH2, NodePadded};
    let bench = Bench::open(&[Nginx, Haproxy, NodeH2, NodePadded, GoH2, GoUpgrade], &[Nginx])?;
    check(bench, &[http2::SCENARIOS, http2_odd::SCENARIOS, h2_crate::SCENARIOS].concat(), port::HTTP2)
}

#[test]
fn grpc_of_real_programs() -> Result<()> {
    use Server::{Grpc, Haproxy};
    let bench = Bench::open(&[Grpc, Haproxy], &[Grpc])?;
    check(bench, grpc::SCENARIOS, port::HTTP2)
}

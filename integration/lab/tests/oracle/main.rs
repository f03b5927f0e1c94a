//! weft against tshark, on what real programs say to each other. Needs root, Go, and installs Debian's packages of the
//! programs. What is known to differ, and why, is in docs/ORACLE.md.

mod clients;
mod http1;
mod http1_odd;

use anyhow::Result;
use weft_lab::oracle::{Bench, Scenario, Server, check};

const TABLES: &[&[Scenario]] = &[http1::SCENARIOS, http1_odd::SCENARIOS];
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

//! Whole traces of a mesh of Go services against the services' own logs. Needs root and Go.

use anyhow::Result;
use serde_json::json;
use weft_lab::tools;
use weft_lab::topology::{Mesh, USUAL};

#[test]
fn no_trace_is_wrong() -> Result<()> {
    let mut mesh = Mesh::open(&tools::rust_binaries()?, USUAL, json!({}))?;
    for workload in mesh.catalogue.workloads.clone() {
        let verdict = mesh.run(&workload, 1, 100)?;
        assert_eq!((verdict.wrong, verdict.unseen), (0, 0), "{}: {verdict:?}", workload.name);
        eprintln!("{}: {verdict:?}", workload.name);
    }
    Ok(())
}

//! `cargo xtask bench metrics`: 1,000 pods with 20 routes and 5 statuses each.
use anyhow::Result;
use clap::Args;
use serde_json::Value;

use super::{build, measure, print, say};

#[derive(Args)]
pub struct Options {
    /// Print one JSON document at the end; everything else goes to stderr.
    #[arg(long)]
    json: bool,
}

pub fn execute(options: &Options) -> Result<()> {
    build()?;
    let result = measure(&["metrics"])?;
    say(&format!(
        "{} series in {} MiB, {} ns for an exchange, {} ns under the names of all profiles",
        result["series"], result["registry_mib"], result["record_ns"], result["record_all_profiles_ns"]
    ));
    for (format, page) in result["scrape_ms"].as_object().into_iter().flatten() {
        let Value::Object(page) = page else { continue };
        say(&format!("a page of {format}: {} ms of a processor, {} MiB", page["ms"], page["mib"]));
    }
    if options.json { print(&result) } else { Ok(()) }
}

//! The per-pod table while the load runs.
use std::io::{IsTerminal as _, Write as _};

use anyhow::Result;
use weft_lab::{Agent, Observed};

/// Writes to stdout: the one document that was asked for.
pub fn stdout(text: &str) {
    // Nobody reads it any more: nothing to do about that.
    let _ = writeln!(std::io::stdout().lock(), "{text}");
}

/// Shows the table; on a terminal in the place of the last one.
pub fn show(agent: &Agent) -> Result<()> {
    let observed = Observed::now(agent)?;
    let mut text = format!(
        "{:<18} {:>11} {:>11} {:>9} {:>9} {:>9}\n",
        "POD", "AS SERVER", "AS CLIENT", "P50 ms", "P90 ms", "P99 ms"
    );
    for (name, sides) in &observed.exchanges {
        let latency = observed.latency.get(name).copied().unwrap_or_default();
        text += &format!(
            "{name:<18} {:>11} {:>11} {:>9.3} {:>9.3} {:>9.3}\n",
            sides.server, sides.client, latency.p50, latency.p90, latency.p99
        );
    }
    let lines = text.lines().count();
    eprint!("{text}");
    if std::io::stderr().is_terminal() {
        // The next table is written over this one.
        eprint!("\u{1b}[{lines}A");
    } else {
        eprintln!();
    }
    Ok(())
}

/// Leaves the last table where it is.
pub fn keep(pods: usize) {
    if std::io::stderr().is_terminal() {
        eprint!("\u{1b}[{}B", pods + 1);
    }
}

//! Clients that do what TCP allows and few do: reuse of ports, resets, closed windows, half-closed connections, Fast Open.

use std::collections::BTreeMap;
use std::fs;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use serde::Deserialize;

use crate::service::mesh;
use crate::{Pod, Process};

/// More than each of them takes.
const LIMIT: Duration = Duration::from_secs(60);

/// What one kind of client counted itself.
#[derive(Clone, Debug, Deserialize)]
pub struct Outcome {
    /// Its name, as `mesh odd` has it.
    pub kind: String,
    /// Requests that it sent, or began to.
    pub asked: u64,
    /// Requests that were answered to the last byte.
    pub answered: u64,
    /// Why it went no further.
    #[serde(default)]
    pub error: String,
}

/// Runs every kind of them in `pod` against `target` (`host:port`), side by side.
///
/// # Errors
/// When the program fails, or one of them could not do what it is for.
pub fn run(pod: &Pod, target: &str) -> Result<BTreeMap<String, Outcome>> {
    #[derive(Deserialize)]
    struct Report {
        oddities: Vec<Outcome>,
    }
    let path = pod.lab().file("reports", &format!("{:08x}.json", crate::lab::random()?))?;
    let mut command = mesh(pod.lab(), "odd");
    command.args(["-target", target, "-json"]).arg(&path);
    let mut process = Process::start(pod.lab(), Some(pod.netns()), "odd", &mut command)?;
    let status = process.wait(LIMIT)?;
    ensure!(status.success(), "odd failed ({status}): {}", process.stderr());
    let report = fs::read(&path).with_context(|| format!("no report at {}", path.display()))?;
    let Report { oddities } = serde_json::from_slice(&report).context("the report is none")?;
    for odd in &oddities {
        ensure!(odd.error.is_empty(), "{odd:?}");
    }
    Ok(oddities.into_iter().map(|odd| (odd.kind.clone(), odd)).collect())
}

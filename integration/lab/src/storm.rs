//! Peers that send in order to cost whoever reads it as much as possible.

use std::fs;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use serde::Deserialize;

use crate::service::mesh;
use crate::{Pod, Process};

const START: Duration = Duration::from_secs(10);
/// No storm takes longer, on whatever machine.
const LIMIT: Duration = Duration::from_secs(400);

/// What the peer counted itself.
#[derive(Clone, Debug, Deserialize)]
pub struct Storm {
    /// Its name, as `mesh storm` has it.
    pub kind: String,
    /// Requests whose last byte was written.
    pub requests: u64,
    /// Bytes that were written.
    pub bytes: u64,
    /// Heads of answers that came.
    pub answers: u64,
    /// How it ended, where the server ended it.
    #[serde(default)]
    pub error: String,
}

/// Starts a server in `pod` that speaks HTTP/1 and, where the client begins with it, HTTP/2.
///
/// # Errors
/// When it does not start to listen.
pub fn serve(pod: &Pod, port: u16) -> Result<Process> {
    let mut command = mesh(pod.lab(), "inventory");
    command.args(["-h2c", "-listen", &format!(":{port}")]);
    let mut process = Process::start(pod.lab(), Some(pod.netns()), "h2c", &mut command)?;
    process.wait_listening(port, START)?;
    Ok(process)
}

/// Sends one kind of storm from `pod` to `target` (`host:port`).
///
/// # Errors
/// When the program fails; what the server did about it is in the report.
pub fn send(pod: &Pod, target: &str, kind: &str) -> Result<Storm> {
    #[derive(Deserialize)]
    struct Report {
        storms: Vec<Storm>,
    }
    let path = pod.lab().file("reports", &format!("{:08x}.json", crate::lab::random()?))?;
    let mut command = mesh(pod.lab(), "storm");
    command.args(["-target", target, "-kind", kind, "-json"]).arg(&path);
    let mut process = Process::start(pod.lab(), Some(pod.netns()), "storm", &mut command)?;
    let status = process.wait(LIMIT)?;
    ensure!(status.success(), "storm failed ({status}): {}", process.stderr());
    let report = fs::read(&path).with_context(|| format!("no report at {}", path.display()))?;
    let Report { storms } = serde_json::from_slice(&report).context("the report is none")?;
    storms.into_iter().next().with_context(|| format!("there is no storm {kind}"))
}

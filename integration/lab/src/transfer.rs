//! Large bodies over HTTP/1.1 and HTTP/2 without TLS: the client's own count is the truth.

use std::fs::{self, File};
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use serde::Deserialize;

use crate::service::{PORT, mesh};
use crate::{Pod, Process, Site};

const START: Duration = Duration::from_secs(10);
/// No transfer of a test takes longer, on whatever machine.
const LIMIT: Duration = Duration::from_secs(300);

/// A server of bodies of any size. Dropping it ends it.
#[derive(Debug)]
pub struct Bodies {
    /// Its process.
    pub process: Process,
}

impl Bodies {
    /// `GET /bytes/{n}`, `POST /discard` and the test routes, over HTTP/1.1 and HTTP/2.
    ///
    /// # Errors
    /// When it does not start to listen.
    pub fn serve(pod: &Pod) -> Result<Self> {
        let mut command = mesh(pod.lab(), "bodies");
        command.args(["-listen", &format!(":{PORT}")]);
        let mut process = Process::start(pod.lab(), Some(pod.netns()), "bodies", &mut command)?;
        process.wait_listening(PORT, START)?;
        Ok(Self { process })
    }
}

/// What to ask of [`Bodies`].
#[derive(Clone, Debug)]
pub struct Transfer {
    /// `http://host:port/path`.
    pub url: String,
    /// Bytes of the request's body; 0: a GET without one.
    pub upload: u64,
    /// How often, one after the other on one connection.
    pub times: u32,
    /// HTTP/2 with prior knowledge.
    pub http2: bool,
    /// Without a Content-Length.
    pub unknown_length: bool,
}

/// What the client counted of one request.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
pub struct Transferred {
    /// The response's status.
    pub status: u16,
    /// Bytes of the request's body.
    pub sent: u64,
    /// Bytes of the response's body.
    pub received: u64,
}

impl Transfer {
    /// Asks for a body of so many bytes.
    pub fn download(from: &Pod, bytes: u64) -> Self {
        let url = from.url(&format!("/bytes/{bytes}"));
        Self { url, upload: 0, times: 1, http2: false, unknown_length: false }
    }

    /// Sends a body of so many bytes.
    pub fn upload(to: &Pod, bytes: u64) -> Self {
        Self { url: to.url("/discard"), upload: bytes, ..Self::download(to, 0) }
    }

    /// The same over HTTP/2.
    #[must_use]
    pub fn http2(self) -> Self {
        Self { http2: true, ..self }
    }

    /// The same so often.
    #[must_use]
    pub fn times(self, times: u32) -> Self {
        Self { times, ..self }
    }

    /// Runs the client in a pod or on the host to its end.
    ///
    /// # Errors
    /// When a request fails: with what the client said.
    pub fn run<'a>(&self, at: impl Into<Site<'a>>) -> Result<Vec<Transferred>> {
        let site = at.into();
        let report = site.lab().file("reports", &format!("transfer-{:08x}.json", crate::lab::random()?))?;
        let mut command = site.mesh("transfer");
        command.args(["-url", &self.url, "-upload", &self.upload.to_string()]);
        command.args(["-times", &self.times.to_string(), &format!("-http2={}", self.http2)]);
        command.arg(format!("-unknown-length={}", self.unknown_length)).stdout(File::create(&report)?);
        let mut process = site.start("transfer", &mut command)?;
        let status = process.wait(LIMIT)?;
        ensure!(status.success(), "transfer failed ({status}): {}", process.stderr());
        let lines = fs::read_to_string(&report)?;
        lines.lines().map(|line| serde_json::from_str(line).context("a line of the report")).collect()
    }
}

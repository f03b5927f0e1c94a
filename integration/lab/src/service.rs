//! The services that run in pods.

use std::net::SocketAddr;
use std::process::Command;
use std::time::Duration;

use anyhow::Result;

use crate::{Lab, Pod, Process, Site};

/// The port that every service listens on, in both families.
pub const PORT: u16 = 8080;

const START: Duration = Duration::from_secs(10);

/// A running service: gateway asks orders, orders asks inventory.
#[derive(Debug)]
pub struct Service {
    /// Its process.
    pub process: Process,
}

impl Service {
    /// `GET /stock/{id}`.
    ///
    /// # Errors
    /// When it does not start to listen.
    pub fn inventory(pod: &Pod) -> Result<Self> {
        Self::start(pod, "inventory", None)
    }

    /// `GET /orders/{id}`; asks `inventory`.
    ///
    /// # Errors
    /// When it does not start to listen.
    pub fn orders(pod: &Pod, inventory: SocketAddr) -> Result<Self> {
        Self::start(pod, "orders", Some(inventory))
    }

    /// `GET /checkout/{id}`; asks `orders`.
    ///
    /// # Errors
    /// When it does not start to listen.
    pub fn gateway(pod: &Pod, orders: SocketAddr) -> Result<Self> {
        Self::start(pod, "gateway", Some(orders))
    }

    /// The test routes over HTTP/1.1 and over HTTP/2 without TLS (h2c), on `port`.
    ///
    /// # Errors
    /// When it does not start to listen.
    pub fn h2c(pod: &Pod, port: u16) -> Result<Self> {
        Self::listen(pod, "inventory", port, &["-h2c"])
    }

    /// The test routes over TLS on `port`, with a certificate for `tls.lab.test` that nobody trusts.
    ///
    /// # Errors
    /// When it does not start to listen.
    pub fn tls(pod: &Pod, port: u16) -> Result<Self> {
        Self::listen(pod, "tlsserver", port, &[])
    }

    /// What overhead is measured with: `GET /hello`, `GET /work` (200 us of CPU time), and `GET /calls`, which asks
    /// `upstream` for `/hello` twice at the same time.
    ///
    /// # Errors
    /// When it does not start to listen.
    pub fn bench(pod: &Pod, upstream: SocketAddr) -> Result<Self> {
        Self::start(pod, "bench", Some(upstream))
    }

    /// The same on the host, where nothing traces it: for `upstream`.
    ///
    /// # Errors
    /// When it does not start to listen.
    pub fn bench_on_host(lab: &Lab, listen: SocketAddr) -> Result<Self> {
        let mut command = mesh(lab, "bench");
        command.args(["-listen", &listen.to_string()]);
        let mut process = Process::start(lab, None, "bench", &mut command)?;
        process.wait_listening(listen.port(), START)?;
        Ok(Self { process })
    }

    fn listen(pod: &Pod, kind: &str, port: u16, how: &[&str]) -> Result<Self> {
        let mut command = mesh(pod.lab(), kind);
        command.args(["-listen", &format!(":{port}")]).args(how);
        let mut process = Process::start(pod.lab(), Some(pod.netns()), kind, &mut command)?;
        process.wait_listening(port, START)?;
        Ok(Self { process })
    }

    fn start(pod: &Pod, kind: &str, upstream: Option<SocketAddr>) -> Result<Self> {
        let mut command = mesh(pod.lab(), kind);
        command.args(["-listen", &format!(":{PORT}")]);
        if let Some(upstream) = upstream {
            command.args(["-upstream", &upstream.to_string()]);
        }
        let mut process = Process::start(pod.lab(), Some(pod.netns()), kind, &mut command)?;
        process.wait_listening(PORT, START)?;
        Ok(Self { process })
    }
}

/// A command of the `mesh` binary; its stdout goes nowhere unless the caller says otherwise.
pub(crate) fn mesh<'a>(at: impl Into<Site<'a>>, subcommand: &str) -> Command {
    at.into().mesh(subcommand)
}

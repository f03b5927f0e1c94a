//! The servers that scenarios talk to.

use std::fs;
use std::net::Ipv4Addr;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Duration;

use anyhow::{Context, Result};

use crate::{Pod, Process, service, tools};

/// Ports of the servers, of which each pod may have any.
pub mod port {
    /// nginx, HTTP/1.
    pub const NGINX: u16 = 8081;
    /// nginx, HTTP/2 without TLS.
    pub const NGINX_H2: u16 = 8181;
    /// The same with at most five requests a connection: then it says GOAWAY.
    pub const NGINX_FEW: u16 = 8182;
    /// haproxy, HTTP/1 on both sides.
    pub const HAPROXY: u16 = 8082;
    /// haproxy, HTTP/2 on both sides.
    pub const HAPROXY_H2: u16 = 8282;
    /// Python's http.server as HTTP/1.1.
    pub const PYTHON: u16 = 8083;
    /// The same as it is by default: HTTP/1.0.
    pub const PYTHON_1_0: u16 = 8183;
    /// node's http.
    pub const NODE: u16 = 8084;
    /// node's http2.
    pub const NODE_H2: u16 = 8184;
    /// The same with as much padding as there can be.
    pub const NODE_PADDED: u16 = 8284;
    /// Go's net/http.
    pub const GO: u16 = crate::service::PORT;
    /// The same as HTTP/2 without TLS.
    pub const GO_H2: u16 = 8185;
    /// Go's x/net/http2/h2c: HTTP/1 until the client asks for an upgrade.
    pub const GO_UPGRADE: u16 = 8285;
    /// grpc-go.
    pub const GRPC: u16 = 8186;
    /// A peer that the test itself is: the `h2` crate.
    pub const H2: u16 = 8187;
    /// Of those, where HTTP/2 begins with the first byte.
    pub const HTTP2: &[u16] = &[NGINX_H2, NGINX_FEW, HAPROXY_H2, NODE_H2, NODE_PADDED, GO_H2, GRPC, H2];
}

const START: Duration = Duration::from_secs(10);
const NGINX_CONF: &str = include_str!("../../peers/nginx.conf");
const HAPROXY_CFG: &str = include_str!("../../peers/haproxy.cfg");
const NODE_HTTP1: &str = include_str!("../../peers/http1.js");
const NODE_HTTP2: &str = include_str!("../../peers/http2.js");

/// A server program.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Server {
    /// On [`port::NGINX`], [`port::NGINX_H2`] and [`port::NGINX_FEW`].
    Nginx,
    /// On [`port::HAPROXY`] and [`port::HAPROXY_H2`]; nginx in the backend's pod is behind it.
    Haproxy,
    /// On [`port::PYTHON`].
    Python,
    /// On [`port::PYTHON_1_0`].
    Python10,
    /// On [`port::NODE`].
    Node,
    /// On [`port::NODE_H2`].
    NodeH2,
    /// On [`port::NODE_PADDED`].
    NodePadded,
    /// On [`port::GO`].
    Go,
    /// On [`port::GO_H2`].
    GoH2,
    /// On [`port::GO_UPGRADE`].
    GoUpgrade,
    /// On [`port::GRPC`].
    Grpc,
}

impl Server {
    /// Starts it in `pod` and waits until it listens.
    pub(super) fn start(self, pod: &Pod, backend: Ipv4Addr) -> Result<Process> {
        let (mut command, listens) = match self {
            Self::Nginx => (nginx(pod)?, port::NGINX),
            Self::Haproxy => (haproxy(pod, backend)?, port::HAPROXY),
            Self::Python => (python(pod, port::PYTHON, "HTTP/1.1")?, port::PYTHON),
            Self::Python10 => (python(pod, port::PYTHON_1_0, "HTTP/1.0")?, port::PYTHON_1_0),
            Self::Node => (node(pod, NODE_HTTP1, port::NODE, "")?, port::NODE),
            Self::NodeH2 => (node(pod, NODE_HTTP2, port::NODE_H2, "")?, port::NODE_H2),
            Self::NodePadded => (node(pod, NODE_HTTP2, port::NODE_PADDED, "padded")?, port::NODE_PADDED),
            Self::Go => (go(pod, "inventory", port::GO, &[]), port::GO),
            Self::GoH2 => (go(pod, "inventory", port::GO_H2, &["-h2c"]), port::GO_H2),
            Self::GoUpgrade => (go(pod, "inventory", port::GO_UPGRADE, &["-upgrade"]), port::GO_UPGRADE),
            Self::Grpc => (go(pod, "grpcserver", port::GRPC, &[]), port::GRPC),
        };
        let name = format!("{self:?}").to_lowercase();
        let mut process = Process::start(pod.lab(), Some(pod.netns()), &name, command.stdout(Stdio::null()))?;
        process.wait_listening(listens, START)?;
        Ok(process)
    }
}

fn nginx(pod: &Pod) -> Result<Command> {
    let dir = folder(pod, "nginx")?;
    for below in ["logs", "www/upload", "www/listing"] {
        fs::create_dir_all(dir.join(below))?;
    }
    documents(&dir.join("www"))?;
    let dir_name = dir.display().to_string();
    let (http1, http2, few) =
        (port::NGINX.to_string(), port::NGINX_H2.to_string(), port::NGINX_FEW.to_string());
    let text = filled(NGINX_CONF, &[("DIR", &dir_name), ("HTTP1", &http1), ("HTTP2", &http2), ("FEW", &few)]);
    let conf = dir.join("nginx.conf");
    fs::write(&conf, text)?;
    let mut command = program("nginx")?;
    command.arg("-p").arg(&dir).arg("-c").arg(&conf).args(["-e", "stderr"]);
    Ok(command)
}

fn haproxy(pod: &Pod, backend: Ipv4Addr) -> Result<Command> {
    let conf = folder(pod, "haproxy")?.join("haproxy.cfg");
    let ports = [port::HAPROXY, port::HAPROXY_H2, port::NGINX, port::NGINX_H2, port::GRPC];
    let [http1, http2, nginx1, nginx2, grpc] = &ports.map(|port| port.to_string());
    let backend = backend.to_string();
    let behind = [("BACKEND", &backend), ("NGINX1", nginx1), ("NGINX2", nginx2), ("GRPC", grpc)];
    let text = filled(HAPROXY_CFG, &behind);
    fs::write(&conf, filled(&text, &[("HTTP1", http1), ("HTTP2", http2)]))?;
    let mut command = program("haproxy")?;
    command.args(["-db", "-q", "-f"]).arg(&conf);
    Ok(command)
}

fn python(pod: &Pod, port: u16, version: &str) -> Result<Command> {
    let dir = folder(pod, "python")?;
    documents(&dir)?;
    let mut command = program("python3")?;
    command.args(["-m", "http.server", "--protocol", version, "--directory"]).arg(&dir);
    command.arg(port.to_string());
    Ok(command)
}

fn node(pod: &Pod, script: &str, port: u16, how: &str) -> Result<Command> {
    let path = folder(pod, "node")?.join(format!("{port}.js"));
    fs::write(&path, script)?;
    let mut command = program("node")?;
    command.arg(&path).args([&port.to_string(), how]);
    Ok(command)
}

fn go(pod: &Pod, service: &str, port: u16, how: &[&str]) -> Command {
    let mut command = service::mesh(pod.lab(), service);
    command.args(["-listen", &format!(":{port}")]).args(how);
    command
}

/// The files that nginx and Python serve: compressible, and told apart by their lengths.
fn documents(dir: &Path) -> Result<()> {
    for (name, length) in [("file-0", 0), ("file-100", 100), ("file-5k", 5000), ("file-300k", 300_000)] {
        fs::write(dir.join(name), vec![b'x'; length])?;
    }
    Ok(())
}

/// A folder of the run's own for a server in this pod.
fn folder(pod: &Pod, name: &str) -> Result<PathBuf> {
    let dir = pod.lab().file(&format!("{}-{name}", pod.name()), "")?;
    fs::create_dir_all(&dir)?;
    Ok(dir)
}

fn filled(template: &str, names: &[(&str, &String)]) -> String {
    names.iter().fold(template.to_owned(), |text, (name, value)| text.replace(name, value))
}

fn program(name: &str) -> Result<Command> {
    Ok(Command::new(tools::find_program(name).with_context(|| format!("no {name}"))?))
}

//! The pods of the scenarios: one with every server, one behind its proxies, one with the clients; the agent; and a
//! capture of all that passes the servers' pod.

use std::fs::File;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use serde_json::json;

use super::peers::Server;
use super::replay;
use crate::{Agent, Capture, Lab, Pod, Process, Shop, apt, tools};

/// The namespace of the pods.
const NAMESPACE: &str = "oracle";
/// The most exchanges that the listener gives at once.
const EXCHANGES: &str = "/api/v1/exchanges?limit=10000&pod=";
/// No client of a scenario works longer.
const CLIENT: Duration = Duration::from_secs(60);

/// Everything that scenarios share.
#[derive(Debug)]
pub struct Bench {
    /// Where the clients are.
    pub client: Pod,
    /// Where the servers are: on its device weft and tcpdump look.
    pub server: Pod,
    /// Behind the proxies.
    pub backend: Pod,
    /// weft.
    pub agent: Agent,
    pub(super) capture: Capture,
    weft: PathBuf,
    _servers: Vec<Process>,
}

impl Bench {
    /// Installs the programs, opens a lab, and starts these servers in the servers' pod, and `backends` behind them.
    ///
    /// # Errors
    /// When something cannot be installed or does not start.
    pub fn open(servers: &[Server], backends: &[Server]) -> Result<Self> {
        apt::ensure_programs(&[apt::PEERS.as_slice(), &[apt::TSHARK, apt::TCPDUMP]].concat())?;
        let binaries = tools::rust_binaries()?;
        let lab = Lab::new(Shop::lab_options(&binaries))?;
        // A ring for all of a scenario: what a busy machine loses proves nothing here.
        let capture = json!({"ring_bytes": 64 << 20});
        let config = json!({"redact": {"query": false}, "capture": capture});
        let agent = Agent::start(&lab, &binaries.weft, config)?;
        let pod = |name| Pod::create(&lab, NAMESPACE, name);
        let (client, server, backend) = (pod("client")?, pod("server")?, pod("backend")?);
        let start = |pod: &Pod, what: &[Server]| -> Result<Vec<Process>> {
            what.iter().map(|server| server.start(pod, backend.ipv4())).collect()
        };
        let mut processes = start(&backend, backends)?;
        processes.extend(start(&server, servers)?);
        let capture = Capture::whole(&lab, None, server.host_veth())?;
        Ok(Self { client, server, backend, agent, capture, weft: binaries.weft, _servers: processes })
    }

    /// The lab.
    pub fn lab(&self) -> &Lab {
        self.client.lab()
    }

    /// `http://SERVER:PORT/path`.
    pub fn url(&self, port: u16, path: &str) -> String {
        format!("http://{}:{port}{path}", self.server.ipv4())
    }

    /// Runs a program in the clients' pod to its end, and gives what it printed.
    ///
    /// # Errors
    /// When it cannot be started, fails, or takes too long.
    pub fn client(&self, program: &str, arguments: &[&str]) -> Result<String> {
        let (printed, success, said) = self.attempt(program, arguments)?;
        ensure!(success, "{program} {arguments:?} failed: {said}");
        Ok(printed)
    }

    /// The same for a program that is expected to fail, or may.
    ///
    /// # Errors
    /// When it cannot be started or takes too long.
    pub fn failing_client(&self, program: &str, arguments: &[&str]) -> Result<String> {
        Ok(self.attempt(program, arguments)?.0)
    }

    fn attempt(&self, program: &str, arguments: &[&str]) -> Result<(String, bool, String)> {
        let path = tools::find_program(program).with_context(|| format!("no {program}"))?;
        let printed = self.lab().file("printed", &format!("{:08x}", crate::lab::random()?))?;
        let mut command = Command::new(&path);
        command.args(arguments).stdout(File::create(&printed)?).current_dir(self.lab().dir());
        let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
        self.run_command(&name, &mut command, &printed)
    }

    fn run_command(
        &self,
        name: &str,
        command: &mut Command,
        printed: &Path,
    ) -> Result<(String, bool, String)> {
        let mut process = Process::start(self.lab(), Some(self.client.netns()), name, command)?;
        let status = process.wait(CLIENT)?;
        let printed = String::from_utf8_lossy(&std::fs::read(printed)?).into_owned();
        Ok((printed, status.success(), process.stderr()))
    }

    /// What weft says of the capture.
    pub(super) fn replayed(&self) -> Result<Vec<serde_json::Value>> {
        replay::exchanges(&self.weft, self.agent.config(), self.capture.file())
    }

    /// What weft says of the servers' pod.
    pub(super) fn live(&self) -> Result<Vec<serde_json::Value>> {
        self.agent.json_lines(&format!("{EXCHANGES}{}", self.server))
    }
}

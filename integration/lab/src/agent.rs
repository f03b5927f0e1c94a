//! `weft agent` with a bpffs, a state folder and a listener of its own.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::fs;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::thread::sleep;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use nix::mount::{MsFlags, mount};
use nix::sys::signal::Signal;
use serde_json::{Map, Value, json};

use crate::http::{self, Response};
use crate::registry::{mount_points_below, unmount_below};
use crate::{Lab, Process};

/// How long an agent may take until it is ready.
const START: Duration = Duration::from_secs(30);
const POLL: Duration = Duration::from_millis(50);
/// How long the listener may be silent.
const ANSWER: Duration = Duration::from_secs(30);

/// An agent. Dropping it ends the process and takes everything that it pinned off the kernel.
#[derive(Debug)]
pub struct Agent {
    lab: Lab,
    weft: PathBuf,
    config: PathBuf,
    environment: BTreeMap<String, OsString>,
    process: Option<Process>,
}

/// Memory of a process in bytes (proc_pid_status(5)).
#[derive(Clone, Copy, Debug, Default)]
pub struct Memory {
    /// Everything resident: `anonymous` + `file` + `shared`.
    pub resident: u64,
    /// `RssAnon`.
    pub anonymous: u64,
    /// `RssFile`: program text, and the mapped ring of a BPF map, which counts twice.
    pub file: u64,
    /// `RssShmem`.
    pub shared: u64,
}

impl Agent {
    /// Starts the program `weft` as this lab's agent and waits until it is ready. `config` is merged over the
    /// lab's own configuration (paths, a listener on a free port of 127.0.0.1, no exporter).
    ///
    /// # Errors
    /// When the bpffs cannot be mounted, or the agent ends or is not ready in time: with what it said.
    pub fn start(lab: &Lab, weft: &Path, config: Value) -> Result<Self> {
        let mut agent = Self::prepare(lab, weft, config)?;
        agent.restart()?;
        Ok(agent)
    }

    /// The same without starting the process: pods that are created now are older than the agent.
    ///
    /// # Errors
    /// When the bpffs cannot be mounted or the configuration cannot be written.
    pub fn prepare(lab: &Lab, weft: &Path, config: Value) -> Result<Self> {
        mount_bpffs(&lab.bpffs())?;
        let path = lab.file("config", "agent.yaml")?;
        let agent = Self {
            lab: lab.clone(),
            weft: weft.to_owned(),
            config: path,
            environment: BTreeMap::new(),
            process: None,
        };
        agent.write_config(config)?;
        Ok(agent)
    }

    /// Writes the configuration anew, as an editor would: a new file that takes the old one's place. `config` is
    /// merged over the lab's own.
    ///
    /// # Errors
    /// When the file cannot be written.
    pub fn write_config(&self, config: Value) -> Result<()> {
        let next = self.config.with_extension("next");
        fs::write(&next, self.document(config)?)?;
        fs::rename(&next, &self.config).with_context(|| format!("cannot write {}", self.config.display()))
    }

    /// `config` merged over the lab's own, as text.
    ///
    /// # Errors
    /// When it is no JSON.
    pub fn document(&self, config: Value) -> Result<String> {
        let mut document = json!({
            "paths": {
                "bpffs": self.lab.bpffs(),
                "state_dir": self.lab.state_dir(),
                "cni_cache": self.lab.cni_cache(),
            },
            "metrics": {"listen": "127.0.0.1:0"},
        });
        merge(&mut document, config);
        // JSON is YAML.
        Ok(serde_json::to_string_pretty(&document)?)
    }

    /// Sets a variable of its environment, for when it is started next.
    pub fn set_env(&mut self, name: &str, value: impl Into<OsString>) {
        self.environment.insert(name.to_owned(), value.into());
    }

    /// The path of its configuration file.
    pub fn config(&self) -> &Path {
        &self.config
    }

    /// Ends the process if it runs (SIGTERM), starts it, and waits until it is ready.
    ///
    /// # Errors
    /// When it ends or is not ready in time: with what it said.
    pub fn restart(&mut self) -> Result<()> {
        self.process = None;
        self.spawn()?;
        self.wait_ready(START)
    }

    /// Starts the process and does not wait.
    ///
    /// # Errors
    /// When it cannot be started.
    pub fn spawn(&mut self) -> Result<()> {
        // What the agent before it wrote there would be taken for its own.
        let _ = fs::remove_file(self.listen_file());
        let mut command = Command::new(&self.weft);
        command.args(["agent", "--config"]).arg(&self.config).stdout(Stdio::null());
        // The machine's own cluster is none of the lab's business.
        command.env_remove("KUBECONFIG").env_remove("KUBERNETES_SERVICE_HOST").envs(&self.environment);
        self.process = Some(Process::start(&self.lab, None, "agent", &mut command)?);
        Ok(())
    }

    /// Waits until `/readyz` says 200.
    ///
    /// # Errors
    /// When the process ends, does not run, or `limit` passes.
    pub fn wait_ready(&mut self, limit: Duration) -> Result<()> {
        let listen_file = self.listen_file();
        let process = self.process.as_mut().context("the agent was not started")?;
        process.wait_until(limit, "to be ready", || {
            let ready =
                |address| http::get(address, "/readyz", &[], ANSWER).is_ok_and(|answer| answer.status == 200);
            read_address(&listen_file).is_ok_and(ready)
        })
    }

    /// Looks until something is so that it brings about by itself.
    ///
    /// # Errors
    /// When it is not for so long: what was waited for, and what the agent wrote.
    pub fn wait(&self, limit: Duration, what: &str, mut is: impl FnMut() -> Result<bool>) -> Result<()> {
        let end = Instant::now() + limit;
        while !is()? {
            ensure!(Instant::now() < end, "no {what}\n{}", self.stderr());
            sleep(POLL);
        }
        Ok(())
    }

    /// Waits until it knows these Go processes, and has decided on their probes.
    ///
    /// # Errors
    /// When it does not know them in time.
    pub fn wait_processes(&self, pids: &[u32]) -> Result<()> {
        let end = Instant::now() + START;
        loop {
            let pods = self.json("/api/v1/pods")?;
            let unknown: Vec<_> = pids.iter().filter(|pid| !is_known(&pods, **pid)).collect();
            if unknown.is_empty() {
                return Ok(());
            }
            ensure!(Instant::now() < end, "the agent does not know the processes {unknown:?}: {pods}");
            sleep(POLL);
        }
    }

    /// Kills the process with SIGKILL and waits for its end. What it pinned stays, as after a crash.
    ///
    /// # Errors
    /// When it does not run.
    pub fn kill(&mut self) -> Result<()> {
        let mut process = self.process.take().context("the agent does not run")?;
        process.signal(Signal::SIGKILL)?;
        process.wait(Duration::from_secs(10)).map(drop)
    }

    /// Ends the process and takes everything that it pinned off the kernel: nothing is traced until it is started again.
    pub fn detach(&mut self) {
        self.process = None;
        unpin_below(&self.lab.bpffs());
    }

    /// Its process.
    ///
    /// # Errors
    /// When it does not run.
    pub fn process(&mut self) -> Result<&mut Process> {
        self.process.as_mut().context("the agent does not run")
    }

    /// What it wrote to stderr since it was last started.
    pub fn stderr(&self) -> String {
        self.process.as_ref().map(Process::stderr).unwrap_or_default()
    }

    /// Where its listener is.
    ///
    /// # Errors
    /// Before it has written `<state_dir>/listen`.
    pub fn address(&self) -> Result<SocketAddr> {
        read_address(&self.listen_file())
    }

    /// The address for a browser.
    ///
    /// # Errors
    /// As [`Self::address`].
    pub fn dashboard(&self) -> Result<String> {
        Ok(format!("http://{}/", self.address()?))
    }

    /// Asks for a path and query.
    ///
    /// # Errors
    /// Without an answer; a status that is not 200 is an answer.
    pub fn get(&self, target: &str) -> Result<Response> {
        http::get(self.address()?, target, &[], ANSWER)
    }

    /// Asks for one JSON document.
    ///
    /// # Errors
    /// Without a 200, or when it is no JSON.
    pub fn json(&self, target: &str) -> Result<Value> {
        self.get(target)?.json().with_context(|| target.to_owned())
    }

    /// Asks for newline-delimited JSON.
    ///
    /// # Errors
    /// Without a 200, or when a line is no JSON.
    pub fn json_lines(&self, target: &str) -> Result<Vec<Value>> {
        self.get(target)?.json_lines().with_context(|| target.to_owned())
    }

    /// CPU time of the process so far, all its threads together, user and system, to a clock tick (10 ms).
    ///
    /// # Errors
    /// When it does not run.
    pub fn cpu_time(&mut self) -> Result<Duration> {
        self.process()?.cpu_time()
    }

    /// Resident bytes of mapped BPF maps: the ring, whose pages are mapped twice.
    ///
    /// # Errors
    /// When it does not run.
    pub fn ring_resident(&mut self) -> Result<u64> {
        Ok(ring_resident(&fs::read_to_string(format!("/proc/{}/smaps", self.process()?.pid()))?))
    }

    /// Its memory now.
    ///
    /// # Errors
    /// When it does not run.
    pub fn memory(&mut self) -> Result<Memory> {
        Ok(memory(&fs::read_to_string(format!("/proc/{}/status", self.process()?.pid()))?))
    }

    fn listen_file(&self) -> PathBuf {
        self.lab.state_dir().join("listen")
    }
}

impl Drop for Agent {
    fn drop(&mut self) {
        self.detach();
        unmount_below(&self.lab.bpffs());
    }
}

/// Mounts a bpffs of the lab's own: an instance that shares nothing with the host's.
fn mount_bpffs(dir: &Path) -> Result<()> {
    if !mount_points_below(dir).is_empty() {
        return Ok(());
    }
    fs::create_dir_all(dir)?;
    mount(Some("bpffs"), dir, Some("bpf"), MsFlags::empty(), Some("mode=0700"))
        .with_context(|| format!("cannot mount a bpffs on {} (root?)", dir.display()))
}

/// Removes every pin: links are detached and programs unloaded as soon as nobody else holds them.
fn unpin_below(dir: &Path) {
    // The kernel puts iterators of its own into every bpffs (`maps.debug`, `progs.debug`), and lets nobody remove them.
    let ours = |path: &PathBuf| path.extension().is_none_or(|extension| extension != "debug");
    for path in fs::read_dir(dir).into_iter().flatten().flatten().map(|entry| entry.path()).filter(ours) {
        let removed = if path.is_dir() { fs::remove_dir_all(&path) } else { fs::remove_file(&path) };
        if let Err(error) = removed {
            eprintln!("lab: cannot unpin {}: {error}", path.display());
        }
    }
}

/// Whether `/api/v1/pods` has the process, and none of its probes is still to come.
fn is_known(pods: &Value, pid: u32) -> bool {
    let pods = pods["pods"].as_array().into_iter().flatten();
    let mut processes = pods.flat_map(|pod| pod["processes"].as_array().into_iter().flatten());
    let waits = |process: &Value| {
        let probes = [&process["probes"], &process["functions"]].into_iter().filter_map(Value::as_object);
        probes.flatten().any(|(_, probe)| probe["state"] == "waiting")
    };
    processes.any(|process| process["pid"] == pid && !waits(process))
}

fn read_address(file: &Path) -> Result<SocketAddr> {
    let text = fs::read_to_string(file).with_context(|| format!("no address in {}", file.display()))?;
    text.trim().parse().with_context(|| format!("{} holds no address: {text:?}", file.display()))
}

/// Merges objects member by member; any other value takes the old one's place.
fn merge(into: &mut Value, from: Value) {
    match (into, from) {
        (Value::Object(into), Value::Object(from)) => merge_members(into, from),
        (into, from) => *into = from,
    }
}

fn merge_members(into: &mut Map<String, Value>, from: Map<String, Value>) {
    for (key, value) in from {
        match into.get_mut(&key) {
            Some(old) => merge(old, value),
            None => drop(into.insert(key, value)),
        }
    }
}

fn memory(status: &str) -> Memory {
    let bytes = |name: &str| {
        let line = status.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(':'));
        line.and_then(|rest| rest.trim().trim_end_matches(" kB").parse::<u64>().ok()).unwrap_or(0) * 1024
    };
    let [anonymous, file, shared] = ["RssAnon", "RssFile", "RssShmem"].map(bytes);
    Memory { resident: anonymous + file + shared, anonymous, file, shared }
}

/// Sum of `Rss` of the mappings of BPF maps (proc_pid_smaps(5)).
fn ring_resident(smaps: &str) -> u64 {
    let mut of_map = false;
    let mut kib = 0;
    for line in smaps.lines() {
        if let Some(rss) = line.strip_prefix("Rss:") {
            let rss = rss.trim().trim_end_matches(" kB").parse::<u64>().unwrap_or(0);
            kib += if of_map { rss } else { 0 };
        } else if line.split(' ').next().is_some_and(|range| range.contains('-')) {
            of_map = line.contains("bpf-map");
        }
    }
    kib * 1024
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn configuration_is_merged_by_member() {
        let mut document = json!({"paths": {"bpffs": "/a", "state_dir": "/b"}, "go": 1});
        merge(&mut document, json!({"paths": {"bpffs": "/c"}, "go": {"probes": "off"}}));
        assert_eq!(document, json!({"paths": {"bpffs": "/c", "state_dir": "/b"}, "go": {"probes": "off"}}));
    }

    #[test]
    fn the_ring_is_told_from_the_rest() {
        let smaps = "7f0-7f1 r--s 00000000 00:0e 1 anon_inode:bpf-map\nSize: 8 kB\nRss:    8 kB\n\
                     7f1-7f2 rw-p 00000000 00:00 0\nRss:   12 kB\n";
        assert_eq!(ring_resident(smaps), 8192);
    }

    #[test]
    fn resident_memory_is_the_sum_of_its_kinds() {
        let read = memory(
            "Name:\tweft\nVmRSS:\t  70 kB\nRssAnon:\t  40 kB\nRssFile:\t  20 kB\nRssShmem:\t  10 kB\n",
        );
        assert_eq!((read.resident, read.anonymous, read.file, read.shared), (71680, 40960, 20480, 10240));
    }
}

//! A pod with Go programs in it, and an agent that looks at it.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, ensure};
use serde_json::Value;
use weft_lab::load::{self, Load};
use weft_lab::{Agent, Lab, Observed, Pod, Process, Shop, prometheus, service, tools};

/// How long anything may take until it is seen. Most of it takes milliseconds, but for a machine that is busy.
const PATIENCE: Duration = Duration::from_secs(60);

/// An agent, a pod for the programs and a pod for their clients.
pub struct Node {
    pub pod: Pod,
    pub client: Pod,
    pub agent: Agent,
    pub lab: Lab,
    mesh: PathBuf,
}

impl Node {
    /// With this configuration of the agent.
    pub fn new(config: Value) -> Result<Self> {
        Self::with_weft(config, |_, weft| Ok(weft.to_owned()))
    }

    /// The same with another program in the place of `weft`.
    pub fn with_weft(config: Value, wrap: impl Fn(&Lab, &Path) -> Result<PathBuf>) -> Result<Self> {
        let binaries = tools::rust_binaries()?;
        let lab = Lab::new(Shop::lab_options(&binaries))?;
        let agent = Agent::start(&lab, &wrap(&lab, &binaries.weft)?, config)?;
        let [pod, client] = [Pod::create(&lab, "go", "server")?, Pod::create(&lab, "go", "client")?];
        let mesh = lab.file("programs", "mesh")?;
        std::fs::copy(&lab.binaries().mesh, &mesh)?;
        Ok(Self { pod, client, agent, lab, mesh })
    }

    /// The program of the lab's services.
    pub fn mesh(&self) -> &Path {
        &self.mesh
    }

    /// Starts a program in the pod.
    pub fn start(&self, program: &Path, arguments: &[&str]) -> Result<Process> {
        let mut command = Command::new(program);
        command.args(arguments).stdout(Stdio::null());
        Process::start(&self.lab, Some(self.pod.netns()), "program", &mut command)
    }

    /// Starts a service (`mesh inventory`, or a program that is made from it) and waits until it listens.
    pub fn serve(&self, program: &Path) -> Result<Process> {
        self.listen(program, "inventory", &[])
    }

    /// Starts a service that asks itself for `/hello`, twice for each request for `/calls`.
    pub fn serve_calls(&self) -> Result<Process> {
        self.listen(self.mesh(), "bench", &["-upstream", &self.pod.endpoint().to_string()])
    }

    fn listen(&self, program: &Path, kind: &str, how: &[&str]) -> Result<Process> {
        let listen = format!(":{}", service::PORT);
        let mut process = self.start(program, &[&[kind, "-listen", &listen], how].concat())?;
        process.wait_listening(service::PORT, PATIENCE)?;
        Ok(process)
    }

    /// What the agent says of the pod's Go processes.
    pub fn processes(&self) -> Result<Vec<Value>> {
        let answer = self.agent.json("/api/v1/pods")?;
        let pods = answer["pods"].as_array().context("no pods")?;
        let pod = pods.iter().find(|pod| pod["name"] == self.pod.name() && pod["namespace"] == "go");
        Ok(pod.and_then(|pod| pod["processes"].as_array()).cloned().unwrap_or_default())
    }

    /// Asks until what it says of the pod's Go processes is as expected.
    pub fn wait(&self, what: &str, done: impl Fn(&[Value]) -> bool) -> Result<Vec<Value>> {
        let end = Instant::now() + PATIENCE;
        loop {
            let processes = self.processes()?;
            if done(&processes) {
                return Ok(processes);
            }
            ensure!(
                Instant::now() < end,
                "waited in vain for {what}: {processes:?}\n{}",
                self.agent.stderr()
            );
            std::thread::sleep(Duration::from_millis(50));
        }
    }

    /// Asks until the process is known and nothing is to be attached any more.
    pub fn settled(&self, pid: u32) -> Result<Value> {
        let settled = |process: &Value| process["pid"] == pid && !has_probes(process, "waiting");
        let processes = self.wait("a process", |processes| processes.iter().any(settled))?;
        processes.into_iter().find(settled).context("it is gone")
    }

    /// Sends requests to the service from the other pod, and gives the exchanges of the service's pod once all were counted.
    pub fn ask(&self, requests: u32) -> Result<Vec<Value>> {
        self.ask_for("/stock/{id}", requests)
    }

    /// The same with another path.
    pub fn ask_for(&self, path: &str, requests: u32) -> Result<Vec<Value>> {
        let before = self.quiet()?;
        let load = Load::get(self.pod.url(path)).rate(requests).seconds(1).connections(4);
        let report = load::run(&self.client, &load)?;
        ensure!(report.ok == u64::from(requests), "the load itself failed: {report:?}");
        let expected = before + report.ok;
        let seen = Observed::wait(&self.agent, PATIENCE, |seen| {
            seen.pod("go/server").server == expected && seen.adds_up()
        })?;
        ensure!(seen.pod("go/server").server == expected, "{expected} expected: {seen:?}");
        let lines = self.agent.json_lines("/api/v1/exchanges?limit=10000&pod=go/server")?;
        Ok(lines.into_iter().rev().take(requests as usize).collect())
    }

    /// How many exchanges there were, once no more come.
    fn quiet(&self) -> Result<u64> {
        let mut before = None;
        loop {
            let now = Observed::now(&self.agent)?.pod("go/server").server;
            if before == Some(now) {
                return Ok(now);
            }
            before = Some(now);
            // The agent publishes twice in this time.
            std::thread::sleep(Duration::from_secs(1));
        }
    }

    /// One value of `/metrics`; nothing where there is no such line.
    pub fn metric(&self, series: &str) -> Result<Option<f64>> {
        let text = self.agent.get("/metrics")?.text();
        let value = prometheus::sample(&text, series);
        value.map(|value| value.parse().with_context(|| format!("{series} is {value}"))).transpose()
    }

    /// Asks until a counter has at least this value.
    pub fn counted(&self, series: &str, least: f64) -> Result<f64> {
        let end = Instant::now() + PATIENCE;
        loop {
            let value = self.metric(series)?;
            if let Some(value) = value.filter(|value| *value >= least) {
                return Ok(value);
            }
            ensure!(Instant::now() < end, "{series} is {value:?}\n{}", self.agent.stderr());
            std::thread::sleep(Duration::from_millis(50));
        }
    }

    /// Asks until a line of the log has all these words; gives how many lines have.
    pub fn logged(&self, words: &[&str]) -> Result<usize> {
        let end = Instant::now() + PATIENCE;
        loop {
            let log = self.agent.stderr();
            let lines = log.lines().filter(|line| words.iter().all(|word| line.contains(word))).count();
            if lines > 0 {
                return Ok(lines);
            }
            ensure!(Instant::now() < end, "no line with {words:?}:\n{log}");
            std::thread::sleep(Duration::from_millis(50));
        }
    }
}

/// Whether a process has probes in this state.
pub fn has_probes(process: &Value, state: &str) -> bool {
    process["probes"].as_object().into_iter().flatten().any(|(_, probes)| probes["state"] == state)
}

/// Whether a process's group of probes is in a state.
pub fn is_in(process: &Value, group: &str, state: &str) -> bool {
    process["probes"][group]["state"] == state
}

/// The goroutine that has read the request, where it is known.
pub fn goid(exchange: &Value) -> Option<u64> {
    exchange["app"]["goid"].as_u64()
}

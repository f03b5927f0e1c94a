//! Requests whose time is spent on purpose, and what weft says that it was spent on. The programs' own log is the truth.

use std::collections::HashMap;
use std::fs;
use std::path::PathBuf;
use std::process::Command;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use serde_json::{Value, json};

use crate::service::{PORT, mesh};
use crate::tools::RustBinaries;
use crate::{Agent, Lab, Pod, Process, Shop};

/// The port on which requests are read late.
pub const LATE_PORT: u16 = PORT + 1;

const START: Duration = Duration::from_secs(20);
const RUN: Duration = Duration::from_secs(60);
const SETTLE: Duration = Duration::from_secs(10);
const POLL: Duration = Duration::from_millis(200);

/// A pod that asks, one that spends the time, and one that the latter asks.
#[derive(Debug)]
pub struct Spending {
    /// It asks.
    pub client: Pod,
    /// It spends the time.
    pub server: Pod,
    /// The agent of all.
    pub agent: Agent,
    process: Process,
    log: PathBuf,
    _upstream: (Pod, Process),
}

/// A request's log: by the event's name, ns since the epoch, or a duration.
pub type Moments = HashMap<String, u64>;

/// A request: what its programs say, and what weft says of each side.
#[derive(Clone, Debug)]
pub struct Spent {
    /// Of client and server.
    pub moments: Moments,
    /// As the API has it.
    pub client: Value,
    /// As the API has it.
    pub server: Value,
}

impl Spent {
    /// From one moment to another, in ns.
    ///
    /// # Errors
    /// When one of them was not logged, or they are the other way round.
    pub fn between(&self, begin: &str, end: &str) -> Result<u64> {
        let at =
            |event: &str| self.moments.get(event).copied().with_context(|| format!("no {event}: {self:?}"));
        at(end)?.checked_sub(at(begin)?).with_context(|| format!("{end} before {begin}: {self:?}"))
    }
}

impl Spending {
    /// Starts everything; `environment` is for the server's process.
    ///
    /// # Errors
    /// When a part of it does not start.
    pub fn open(binaries: &RustBinaries, config: Value, environment: &[(&str, &str)]) -> Result<Self> {
        let lab = Lab::new(Shop::lab_options(binaries))?;
        let agent = Agent::start(&lab, &binaries.weft, config)?;
        let (client, server) =
            (Pod::create(&lab, "phases", "client")?, Pod::create(&lab, "phases", "server")?);
        let upstream = Pod::create(&lab, "phases", "upstream")?;
        let (asked, _) = start(&upstream, &upstream, &[])?;
        let (process, log) = start(&server, &upstream, environment)?;
        let spending = Self { client, server, agent, process, log, _upstream: (upstream, asked) };
        spending.agent.wait_processes(&[spending.process.pid()])?;
        Ok(spending)
    }

    /// Makes requests for `path` one after the other, with the options of the client (`mesh phaseload -h`), then ends the
    /// server, whose log is written then.
    ///
    /// # Errors
    /// When a request fails, or weft does not see both sides of each.
    pub fn run(mut self, path: &str, options: &[&str]) -> Result<Vec<Spent>> {
        let asked = self.ask(path, options)?;
        let sides = self.sides(&asked)?;
        self.process.stop()?;
        let served = read_moments(&self.log)?;
        let spent = |(id, moments): (String, Moments)| {
            let (client, server) = sides.get(&id).cloned().with_context(|| format!("{id} was not seen"))?;
            let own = served.get(&id).cloned().unwrap_or_default();
            Ok(Spent { moments: moments.into_iter().chain(own).collect(), client, server })
        };
        asked.into_iter().map(spent).collect()
    }

    fn ask(&self, path: &str, options: &[&str]) -> Result<HashMap<String, Moments>> {
        let lab = self.client.lab();
        let log = lab.file("moments", "client")?;
        let late = options.contains(&"-fresh");
        let target = format!("{}:{}", self.server.ipv4(), if late { LATE_PORT } else { PORT });
        let mut command = mesh(lab, "phaseload");
        command.args(["-target", &target, "-path", path, "-log"]).arg(&log).args(options);
        let mut process = Process::start(lab, Some(self.client.netns()), "phaseload", &mut command)?;
        let status = process.wait(RUN)?;
        ensure!(status.success(), "phaseload failed ({status}): {}", process.stderr());
        read_moments(&log)
    }

    /// Both sides of every request, by its id.
    fn sides(&self, asked: &HashMap<String, Moments>) -> Result<HashMap<String, (Value, Value)>> {
        let end = Instant::now() + SETTLE;
        loop {
            let client = self.exchanges(&self.client, "client")?;
            let mut server = self.exchanges(&self.server, "server")?;
            let pair = |(id, client)| server.remove(&id).map(|server| (id, (client, server)));
            let sides: HashMap<_, _> = client.into_iter().filter_map(pair).collect();
            if asked.keys().all(|id| sides.contains_key(id)) || Instant::now() >= end {
                return Ok(sides);
            }
            std::thread::sleep(POLL);
        }
    }

    fn exchanges(&self, pod: &Pod, side: &str) -> Result<HashMap<String, Value>> {
        let lines = self.agent.json_lines(&format!("/api/v1/exchanges?limit=10000&pod={pod}"))?;
        let named = |line: Value| Some((line["path"].as_str()?.to_owned(), line));
        Ok(lines.into_iter().filter(|line| line["side"] == side).filter_map(named).collect())
    }
}

fn start(pod: &Pod, upstream: &Pod, environment: &[(&str, &str)]) -> Result<(Process, PathBuf)> {
    let log = pod.lab().file("moments", pod.name())?;
    let mut command: Command = mesh(pod.lab(), "phases");
    command.args(["-listen", &format!(":{PORT}"), "-listen-late", &format!(":{LATE_PORT}")]);
    command.args(["-upstream", &upstream.endpoint().to_string(), "-log"]).arg(&log);
    command.envs(environment.iter().copied());
    let mut process = Process::start(pod.lab(), Some(pod.netns()), "phases", &mut command)?;
    process.wait_listening(PORT, START)?;
    process.wait_listening(LATE_PORT, START)?;
    Ok((process, log))
}

/// Lines of `ID EVENT NS`.
fn read_moments(path: &PathBuf) -> Result<HashMap<String, Moments>> {
    let text = fs::read_to_string(path).with_context(|| format!("no log at {}", path.display()))?;
    let mut moments: HashMap<String, Moments> = HashMap::new();
    for line in text.lines() {
        let words: Vec<&str> = line.split(' ').collect();
        let [id, event, ns] = words[..] else { continue };
        moments.entry(id.to_owned()).or_default().insert(event.to_owned(), ns.parse()?);
    }
    Ok(moments)
}

/// The configuration for phases that need probes on rare events and on goroutines.
pub fn all_probes() -> Value {
    json!({"go": {"probes": "all"}})
}

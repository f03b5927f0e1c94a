//! Two pods, of which one sends bodies to the other, and the agent.

use std::time::Duration;

use anyhow::{Context as _, Result, bail, ensure};
use nix::{
    sched::{CpuSet, sched_getaffinity, sched_setaffinity},
    unistd::Pid,
};
use serde_json::{Value, json};
use weft_lab::transfer::Bodies;
use weft_lab::{Agent, Lab, Observed, Pod, Shop, tools};

const SETTLE: Duration = Duration::from_secs(30);
/// How often a transfer may take more records than it should: until the agent has said what it needs, all is captured, and
/// on a busy machine it comes to say so late, or not before the transfer is over.
const TRIES: u32 = 5;

/// Two pods with a server of bodies, and the agent.
pub struct Bench {
    pub server: Pod,
    pub client: Pod,
    pub agent: Agent,
    _bodies: Bodies,
}

impl Bench {
    pub fn new() -> Result<Self> {
        let binaries = tools::rust_binaries()?;
        let lab = Lab::new(Shop::lab_options(&binaries))?;
        // Room for what passes before the agent is given a CPU: a test machine may be busy.
        let agent = Agent::start(&lab, &binaries.weft, json!({"capture": {"ring_bytes": 128 << 20}}))?;
        let server = Pod::create(&lab, "bodies", "server")?;
        let client = Pod::create(&lab, "bodies", "client")?;
        let bodies = on_one_cpu(|| Bodies::serve(&server))?;
        Ok(Self { server, client, agent, _bodies: bodies })
    }

    /// The server's exchanges, once there are so many and every byte is accounted for.
    pub fn settled(&self, exchanges: u64) -> Result<(Vec<Value>, Observed)> {
        let seen = Observed::wait(&self.agent, SETTLE, |seen| {
            seen.pod("bodies/server").server == exchanges && seen.adds_up()
        })?;
        ensure!(seen.pod("bodies/server").server == exchanges, "{seen:?}");
        ensure!(seen.adds_up() && seen.loss.bytes_lost == 0 && seen.loss.events_lost == 0, "{seen:?}");
        Ok((self.agent.json_lines("/api/v1/exchanges?limit=1000&pod=bodies/server")?, seen))
    }

    /// How many exchanges the server has had.
    pub fn exchanges(&self) -> Result<u64> {
        Ok(Observed::now(&self.agent)?.pod("bodies/server").server)
    }

    /// Records of segments and of runs so far, of both pods together.
    pub fn records(&self) -> Result<(u64, u64)> {
        let loss = self.agent.json("/api/v1/loss")?;
        let count = |kind: &str| loss["records"][kind].as_u64().context("no such count");
        Ok((count("segments")?, count("runs")?))
    }
}

/// Runs it, and what it starts, on the first CPU. Where those who send run on one CPU their segments stay in order, and the
/// agent has another one: what is to see is how much a program leaves out, not how often it has to begin anew.
pub fn on_one_cpu<T>(act: impl FnOnce() -> Result<T>) -> Result<T> {
    let all = sched_getaffinity(Pid::from_raw(0))?;
    let first = (0..CpuSet::count()).find(|cpu| all.is_set(*cpu).unwrap_or(false)).context("no CPU")?;
    let mut one = CpuSet::new();
    one.set(first)?;
    sched_setaffinity(Pid::from_raw(0), &one)?;
    let done = act();
    sched_setaffinity(Pid::from_raw(0), &all)?;
    done
}

/// Transfers until one took fewer records than it may; each says how many it took, and what they must be less than.
pub fn few(mut transfer: impl FnMut() -> Result<(u64, u64)>) -> Result<()> {
    let mut taken = Vec::new();
    for _ in 0..TRIES {
        let (records, most) = transfer()?;
        if records < most {
            return Ok(());
        }
        taken.push(format!("{records} records, less than {most} are allowed"));
    }
    bail!("{}", taken.join("; "))
}

//! What a segment costs in the kernel, by the kernel's own statistics of the TC programs, around real traffic. The pod's
//! peer is the host, where nothing is traced: so each program sees one direction, and in it one kind of segments.
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, ensure};
use serde_json::{Map, Value, json};
use weft_lab::{
    Agent, Lab, Pod, Shop,
    load::{self, Load},
    tools::RustBinaries,
    transfer::{Bodies, Transfer},
};
use weft_loader::{Pins, StatsGuard, program_stats};

/// Of which the median counts.
const ROUNDS: usize = 5;
const BODY: u64 = 1 << 30;
/// Every byte of these is copied, which takes longer.
const COPIED: u64 = 128 << 20;
const CHUNK: u64 = 100_000;
/// The agent publishes every half second.
const PUBLISHED: Duration = Duration::from_millis(1200);

/// The programs, by the direction that they see: what the pod sends, and what is for it.
const PROGRAMS: [(&str, &str); 2] = [("tc_ingress", "ingress"), ("tc_egress", "egress")];

/// What passed one program.
#[derive(Clone, Copy, Debug, Default)]
struct Passed {
    runs: f64,
    nanoseconds: f64,
    segments: f64,
    bytes: f64,
}

/// However busy the machine is.
const PATIENCE: Duration = Duration::from_secs(60);

/// By program, as [`PROGRAMS`].
type Both = [Passed; 2];

/// One round's figures of one program: ns a segment, and for people bytes a segment.
#[derive(Clone, Copy, Debug)]
struct Costs {
    /// An acknowledgement without payload.
    ack: f64,
    /// A message that is one segment: read whole.
    payload: f64,
    payload_bytes: f64,
    /// Within a body whose length is known: none of it is read.
    body: f64,
    body_bytes: f64,
    /// Within a body of unknown length: all of it is copied.
    copied: f64,
    copied_bytes: f64,
}

struct Bench {
    agent: Agent,
    pod: Pod,
    _bodies: Bodies,
    lab: Lab,
}

/// Gives `kernel_ns_per_segment` and what belongs to it.
pub fn measure(binaries: &RustBinaries) -> Result<Value> {
    let bench = Bench::open(binaries)?;
    let _stats = StatsGuard::enable()?;
    let rounds = (0..ROUNDS).map(|_| bench.round()).collect::<Result<Vec<_>>>()?;
    let mut programs = Map::new();
    for (at, (program, _)) in PROGRAMS.into_iter().enumerate() {
        let rounds: Vec<Costs> = rounds.iter().filter_map(|round| round.get(at).copied()).collect();
        programs.insert(program.into(), summary(&rounds));
    }
    Ok(Value::Object(programs))
}

impl Bench {
    fn open(binaries: &RustBinaries) -> Result<Self> {
        let lab = Lab::new(Shop::lab_options(binaries))?;
        let agent = Agent::start(&lab, &binaries.weft, json!({"capture": {"ring_bytes": 64 << 20}}))?;
        let pod = Pod::create(&lab, "bench", "server")?;
        let bodies = Bodies::serve(&pod)?;
        let bench = Self { agent, pod, _bodies: bodies, lab };
        // Until the pod is in what the agent publishes.
        let end = Instant::now() + PATIENCE;
        while bench.passed().is_err() && Instant::now() < end {
            std::thread::sleep(PUBLISHED);
        }
        Ok(bench)
    }

    fn round(&self) -> Result<[Costs; 2]> {
        let download = self.around(|| self.transfer(&Transfer::download(&self.pod, BODY)))?;
        let upload = self.around(|| self.transfer(&Transfer::upload(&self.pod, BODY)))?;
        // Chunks that are too small for the agent to tell the kernel where they end.
        let chunks = format!("/stream?chunks={}&bytes={CHUNK}", COPIED / CHUNK);
        let stream = Transfer { url: self.pod.url(&chunks), ..Transfer::download(&self.pod, 0) };
        let stream = self.around(|| self.transfer(&stream))?;
        let unknown = Transfer { unknown_length: true, ..Transfer::upload(&self.pod, COPIED) };
        let unknown = self.around(|| self.transfer(&unknown))?;
        let mut requests = 0.0;
        let messages = self.around(|| {
            requests = self.messages()?;
            Ok(())
        })?;
        // What one end sends in bulk the other end acknowledges.
        let one = |at: usize, body: &Both, acks: &Both, copied: &Both| -> Result<Costs> {
            costs(&acks[at], &messages[at], requests, &body[at], &copied[at])
        };
        Ok([one(0, &download, &upload, &stream)?, one(1, &upload, &download, &unknown)?])
    }

    fn transfer(&self, transfer: &Transfer) -> Result<()> {
        let done = transfer.run(&self.lab)?;
        ensure!(done.iter().all(|done| done.status == 200), "{done:?}");
        Ok(())
    }

    /// Requests and responses of one segment each; gives how many.
    #[expect(clippy::cast_precision_loss, reason = "far below 2^53")]
    fn messages(&self) -> Result<f64> {
        let load = Load::get(self.pod.url("/bytes/100")).seconds(2).connections(8);
        let report = load::run(&self.lab, &load)?;
        ensure!(report.ok == report.sent && report.sent > 0, "{report:?}");
        Ok(report.sent as f64)
    }

    /// What passed the programs during `traffic`.
    fn around(&self, traffic: impl FnOnce() -> Result<()>) -> Result<Both> {
        let before = self.passed()?;
        traffic()?;
        std::thread::sleep(PUBLISHED);
        let after = self.settled()?;
        Ok([difference(&before[0], &after[0]), difference(&before[1], &after[1])])
    }

    /// Waits until nothing passes any more.
    fn settled(&self) -> Result<Both> {
        let end = Instant::now() + PATIENCE;
        loop {
            let before = self.passed()?;
            std::thread::sleep(PUBLISHED);
            let now = self.passed()?;
            if before.iter().zip(&now).all(|(before, now)| before.runs + 10.0 > now.runs) {
                return Ok(now);
            }
            ensure!(Instant::now() < end, "the traffic never ends");
        }
    }

    #[expect(clippy::cast_precision_loss, reason = "far below 2^53")]
    fn passed(&self) -> Result<Both> {
        let stats = program_stats(&Pins::new(&self.lab.bpffs()))?;
        let loss = self.agent.json("/api/v1/loss")?;
        let pod = self.pod.to_string();
        let vantages = loss["bytes"]["vantages"].as_array().context("no vantages")?;
        let vantage = vantages.iter().find(|row| row["pod"] == pod && row["ifindex"] != 0);
        let vantage = vantage.context("the pod has no vantage")?;
        let mut both = Both::default();
        for (passed, (program, direction)) in both.iter_mut().zip(PROGRAMS) {
            let stats = stats.iter().find(|stats| stats.name == program).context("no such program")?;
            let count = |name: &str| vantage[direction][name].as_u64().context("no such count");
            *passed = Passed {
                runs: stats.runs as f64,
                nanoseconds: stats.nanoseconds as f64,
                segments: count("segments")? as f64,
                bytes: count("seen")? as f64,
            };
        }
        Ok(both)
    }
}

fn difference(before: &Passed, after: &Passed) -> Passed {
    Passed {
        runs: after.runs - before.runs,
        nanoseconds: after.nanoseconds - before.nanoseconds,
        segments: after.segments - before.segments,
        bytes: after.bytes - before.bytes,
    }
}

impl Passed {
    /// The mean of all segments.
    fn each(&self) -> f64 {
        self.nanoseconds / self.runs.max(1.0)
    }

    fn bytes_each(&self) -> f64 {
        self.bytes / self.segments.max(1.0)
    }
}

/// One program's, of one round.
fn costs(acks: &Passed, messages: &Passed, requests: f64, body: &Passed, copied: &Passed) -> Result<Costs> {
    ensure!(acks.segments > 1000.0 && acks.bytes_each() < 1.0, "these are no acknowledgements: {acks:?}");
    ensure!(messages.segments < 2.0 * requests, "most of these are no messages: {requests} of {messages:?}");
    let ack = acks.each();
    // The acknowledgements among the messages cost what acknowledgements cost.
    let payload = (messages.nanoseconds - (messages.runs - requests) * ack) / requests;
    Ok(Costs {
        ack,
        payload,
        payload_bytes: messages.bytes / requests,
        body: body.each(),
        body_bytes: body.bytes_each(),
        copied: copied.each(),
        copied_bytes: copied.bytes_each(),
    })
}

fn summary(rounds: &[Costs]) -> Value {
    #[expect(clippy::cast_possible_truncation, reason = "ns and bytes of a segment")]
    let figure = |of: fn(&Costs) -> f64| median(rounds.iter().map(of).collect()).round() as i64;
    json!({
        "ack": figure(|costs| costs.ack),
        "payload": figure(|costs| costs.payload),
        "payload_bytes": figure(|costs| costs.payload_bytes),
        "body": figure(|costs| costs.body),
        "body_bytes": figure(|costs| costs.body_bytes),
        "copied": figure(|costs| costs.copied),
        "copied_bytes": figure(|costs| costs.copied_bytes),
    })
}

fn median(mut figures: Vec<f64>) -> f64 {
    figures.sort_unstable_by(f64::total_cmp);
    figures.get(figures.len() / 2).copied().unwrap_or_default()
}

//! A client and a server, captures at their vantages, and what must hold whatever the link between them does.

use std::collections::BTreeSet;
use std::thread;
use std::time::Duration;

use anyhow::{Result, anyhow, ensure};
use serde_json::{Value, json};

use crate::grpc::{self, GrpcReport};
use crate::load::{self, Load, LoadReport};
use crate::observed::{Loss, Sides};
use crate::pcap::CapturedSegment;
use crate::shop::NAMESPACE;
use crate::{Agent, Capture, Lab, Observed, Pod, Process, Service, Shop, tools};

/// How long counts may take to be published; with loss, connections end late.
pub const SETTLE: Duration = Duration::from_secs(20);

/// Where the server answers gRPC.
pub const GRPC_PORT: u16 = 9090;

/// What the client does at once.
#[derive(Clone, Debug, Default)]
pub struct Traffic {
    /// Requests of HTTP/1.
    pub loads: Vec<Load>,
    /// Calls of gRPC: the options of each generator ([`grpc::call`]), with blanks between them.
    pub calls: Vec<&'static str>,
}

/// Two pods and what is between them.
#[derive(Debug)]
pub struct Pair {
    /// It asks.
    pub client: Pod,
    /// It answers: an inventory, and gRPC on [`GRPC_PORT`].
    pub server: Pod,
    _services: (Service, Process),
    /// The agent of both.
    pub agent: Agent,
}

impl Pair {
    /// An agent, a pod that asks and one that answers.
    ///
    /// # Errors
    /// When one of them does not start.
    pub fn open() -> Result<Self> {
        Self::open_after(|_, _| Ok(()))
    }

    /// The same, with something done to client and server before anything runs in them.
    ///
    /// # Errors
    /// As [`Self::open`], and those of `prepare`.
    pub fn open_after(prepare: impl FnOnce(&Pod, &Pod) -> Result<()>) -> Result<Self> {
        Self::start(json!({}), prepare)
    }

    /// The same with room in the ring for some seconds of whatever may come: a test machine may be busy.
    ///
    /// # Errors
    /// As [`Self::open`].
    pub fn with_large_ring() -> Result<Self> {
        Self::start(json!({"capture": {"ring_bytes": 128 << 20}}), |_, _| Ok(()))
    }

    fn start(config: Value, prepare: impl FnOnce(&Pod, &Pod) -> Result<()>) -> Result<Self> {
        let binaries = tools::rust_binaries()?;
        let lab = Lab::new(Shop::lab_options(&binaries))?;
        let agent = Agent::start(&lab, &binaries.weft, config)?;
        let client = Pod::create(&lab, NAMESPACE, "client")?;
        let server = Pod::create(&lab, NAMESPACE, "server")?;
        prepare(&client, &server)?;
        let _services = (Service::inventory(&server)?, grpc::serve(&server, GRPC_PORT)?);
        Ok(Self { client, server, _services, agent })
    }

    /// What the client asked and the server was asked, so far.
    pub fn counted(&self, seen: &Observed) -> (u64, u64) {
        let Sides { client, .. } = seen.pod(&self.client.to_string());
        let Sides { server, .. } = seen.pod(&self.server.to_string());
        (client, server)
    }

    /// Runs all of it side by side to its end; says how many requests were sent. Each must be answered.
    ///
    /// # Errors
    /// When a request is not answered.
    pub fn run(&self, traffic: &Traffic) -> Result<u64> {
        let running: Vec<_> =
            traffic.loads.iter().map(|load| load::start(&self.client, load)).collect::<Result<_>>()?;
        let called = self.call(&traffic.calls)?;
        let reports: Vec<LoadReport> =
            running.into_iter().map(|load| load.finish()).collect::<Result<_>>()?;
        for report in &reports {
            let whole = report.ok == report.sent && report.not_sent == 0 && report.errors.is_empty();
            ensure!(report.sent > 0 && whole, "the load itself failed: {report:?}");
        }
        Ok(called + reports.iter().map(|report| report.sent).sum::<u64>())
    }

    /// Makes calls side by side; says how many. Each must end well.
    fn call(&self, calls: &[&str]) -> Result<u64> {
        let target = format!("{}:{GRPC_PORT}", self.server.ipv4());
        let call = |options: &str| grpc::call(&self.client, &target, &options.split(' ').collect::<Vec<_>>());
        let reports: Vec<_> = thread::scope(|scope| {
            let running: Vec<_> = calls.iter().map(|options| scope.spawn(|| call(options))).collect();
            running
                .into_iter()
                .map(|call| call.join().map_err(|_| anyhow!("a thread panicked"))?)
                .collect::<Result<_>>()
        })?;
        for report in &reports {
            let GrpcReport { calls, by_status, .. } = report;
            ensure!(
                *calls > 0 && by_status.get("0") == Some(calls),
                "the calls themselves failed: {report:?}"
            );
        }
        Ok(reports.iter().map(|report| report.calls).sum())
    }

    /// Waits until both pods have counted `sent` requests more than `before`, and every byte has its place.
    ///
    /// # Errors
    /// Without an answer of the agent.
    pub fn settled(&self, before: &Observed, sent: u64) -> Result<Observed> {
        let (client, server) = self.counted(before);
        let expected = (client + sent, server + sent);
        Observed::wait(&self.agent, SETTLE, |seen| self.counted(seen) == expected && seen.adds_up())
    }

    /// Runs traffic over the link as it is now, and sees that nothing of it is lost or invented.
    ///
    /// # Errors
    /// When it does not hold, with all that was counted.
    pub fn counts_exactly(&self, case: &str, traffic: &Traffic) -> Result<Round> {
        let before = Observed::now(&self.agent)?;
        let sent = self.run(traffic)?;
        let seen = self.settled(&before, sent)?;
        let (client, server) = self.counted(&before);
        let (counted, loss, anomalies) =
            (self.counted(&seen), seen.loss.since(&before.loss), &seen.anomalies);
        ensure!(
            counted == (client + sent, server + sent),
            "{case}: {sent} were sent; counted at client and server: {counted:?}, before: {client}, {server}; {anomalies:?}, {loss:?}",
        );
        ensure!(seen.adds_up(), "{case}: {:?}", seen.unsettled);
        ensure!(loss.bytes_lost == 0 && loss.bytes_opaque == 0, "{case}: {loss:?}, {anomalies:?}");
        Ok(Round { sent, loss })
    }

    /// Captures at both vantages from now on.
    ///
    /// # Errors
    /// When tcpdump does not start.
    pub fn capture(&self) -> Result<[Capture; 2]> {
        let start = |pod: &Pod| Capture::start(pod.lab(), None, pod.host_veth());
        Ok([start(&self.client)?, start(&self.server)?])
    }

    /// The exchanges of the client's and the server's pod; rows of whole connections are none.
    ///
    /// # Errors
    /// Without an answer of the agent.
    pub fn exchanges(&self) -> Result<[Vec<Value>; 2]> {
        let of = |pod: &Pod| -> Result<Vec<Value>> {
            let mut rows = self.agent.json_lines(&format!("/api/v1/exchanges?limit=10000&pod={pod}"))?;
            rows.retain(|row| row["protocol"] != "tcp" && row["protocol"] != "tls");
            Ok(rows)
        };
        Ok([of(&self.client)?, of(&self.server)?])
    }
}

/// What came of a load.
#[derive(Clone, Copy, Debug)]
pub struct Round {
    /// Requests of all loads together.
    pub sent: u64,
    /// What this round added.
    pub loss: Loss,
}

/// Ends captures; in them nothing may be missing.
///
/// # Errors
/// When tcpdump dropped packets.
pub fn finish(captures: [Capture; 2]) -> Result<[Vec<CapturedSegment>; 2]> {
    let finish = |capture: Capture| -> Result<_> {
        let captured = capture.finish()?;
        ensure!(captured.dropped == 0, "tcpdump lost packets: it proves nothing");
        Ok(captured.segments)
    };
    let [one, other] = captures;
    Ok([finish(one)?, finish(other)?])
}

/// Every exchange of HTTP/1 has one id at both ends, and nothing else has it.
///
/// # Errors
/// When they do not.
pub fn ids_agree(exchanges: &[Vec<Value>; 2]) -> Result<()> {
    let alone = ids_of_one_end(exchanges, |row| row["protocol"] == "http/1.1")?;
    ensure!(alone == 0, "{alone} ids are at one end only");
    Ok(())
}

/// How many exchanges of a kind have an id that the other end does not know. Those whose request's first copy was lost
/// between the vantages may: what its second copy acknowledges is more, where answers came to other streams.
///
/// # Errors
/// When an id was given twice.
pub fn ids_of_one_end([client, server]: &[Vec<Value>; 2], kind: impl Fn(&Value) -> bool) -> Result<usize> {
    let ids = |rows: &[Value]| -> Result<BTreeSet<String>> {
        let own: Vec<String> =
            rows.iter().filter(|row| kind(row)).map(|row| row["exchange_id"].to_string()).collect();
        let ids: BTreeSet<String> = own.iter().cloned().collect();
        ensure!(ids.len() == own.len(), "an id was given twice");
        Ok(ids)
    };
    Ok(ids(client)?.symmetric_difference(&ids(server)?).count())
}

/// The complete exchanges whose times are not in the order in which things happen. Each time is when a byte first passed: where
/// the first part of a message came after its last, or was lost before the vantage, the first byte is the later one.
pub fn out_of_time(exchanges: &[Value]) -> Vec<&Value> {
    exchanges.iter().filter(|exchange| exchange["complete"] == true && !is_in_time(exchange)).collect()
}

fn is_in_time(exchange: &Value) -> bool {
    let at = |message: &str, byte: &str| exchange[message][byte].as_u64();
    let request = (at("request", "first_byte"), at("request", "last_byte"));
    let response = (at("response", "first_byte"), at("response", "last_byte"));
    // /echo and streams of gRPC answer while they still receive.
    let after = exchange["method"] == "POST" || request.1 <= response.0;
    request.0.is_some()
        && request.0 <= request.1
        && response.0 <= response.1
        && request.0 <= response.0
        && after
}

//! Bodies cost next to nothing: of a gigabyte each way the programs record a handful, and its exchange is exact to the
//! byte and to the segment. The client's own count and tcpdump are the truth. Needs root and Go.

use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use serde_json::{Value, json};
use weft_lab::transfer::{Bodies, Transfer, Transferred};
use weft_lab::{Agent, Capture, Lab, Observed, Pod, Shop, tools, wire_times};

const GIB: u64 = 1 << 30;
const SETTLE: Duration = Duration::from_secs(30);
/// tcpdump and the programs look at a packet one after the other; a host that takes the CPU away between them is no
/// defect of either.
const AS_CLOSE_US: f64 = 100.0;

/// What a segment may have with its headers, in the test of BIG TCP: three times as much as without it.
const BIG: u32 = 192 << 10;

/// Two pods with a server of bodies, and the agent.
struct Bench {
    server: Pod,
    client: Pod,
    _bodies: Bodies,
    agent: Agent,
}

impl Bench {
    fn new() -> Result<Self> {
        let binaries = tools::rust_binaries()?;
        let lab = Lab::new(Shop::lab_options(&binaries))?;
        // Room for what passes before the agent is given a CPU: a test machine may be busy.
        let agent = Agent::start(&lab, &binaries.weft, json!({"capture": {"ring_bytes": 64 << 20}}))?;
        let server = Pod::create(&lab, "bodies", "server")?;
        let client = Pod::create(&lab, "bodies", "client")?;
        let bodies = Bodies::serve(&server)?;
        Ok(Self { server, client, _bodies: bodies, agent })
    }

    /// The server's exchanges, once there are so many and every byte is accounted for.
    fn settled(&self, exchanges: u64) -> Result<(Vec<Value>, Observed)> {
        let seen = Observed::wait(&self.agent, SETTLE, |seen| {
            seen.pod("bodies/server").server == exchanges && seen.adds_up()
        })?;
        ensure!(seen.pod("bodies/server").server == exchanges, "{seen:?}");
        ensure!(seen.adds_up() && seen.loss.bytes_lost == 0 && seen.loss.events_lost == 0, "{seen:?}");
        Ok((self.agent.json_lines("/api/v1/exchanges?limit=1000&pod=bodies/server")?, seen))
    }

    /// Records of segments and of runs so far, of both pods together.
    fn records(&self) -> Result<(u64, u64)> {
        let loss = self.agent.json("/api/v1/loss")?;
        let count = |kind: &str| loss["records"][kind].as_u64().context("no such count");
        Ok((count("segments")?, count("runs")?))
    }
}

/// Transfers, looks at every exchange, and gives how many records it took for one pod.
fn transfer(what: impl Fn(&Bench) -> Transfer, expected: Transferred, most_records: u64) -> Result<()> {
    let bench = Bench::new()?;
    let transfer = what(&bench).times(2);
    let capture = Capture::start(bench.server.lab(), None, bench.server.host_veth())?;
    assert_eq!(transfer.run(&bench.client)?, [expected; 2]);
    let captured = capture.finish()?;
    ensure!(captured.dropped == 0, "tcpdump dropped {}", captured.dropped);
    let (lines, seen) = bench.settled(2)?;
    for line in &lines {
        assert_eq!(line["request"]["body_bytes"], expected.sent, "{line}");
        assert_eq!(line["response"]["body_bytes"].as_u64(), Some(expected.received), "{line}");
        assert_eq!((&line["complete"], &line["status"]), (&json!(true), &json!(200)), "{line}");
    }
    let times = wire_times::compare(&lines, &captured.segments)?;
    let (segments, runs) = bench.records()?;
    eprintln!(
        "{} packets at one pod; at both {segments} records of segments and {runs} of runs; {times:?}",
        captured.segments.len()
    );
    assert_eq!(times.compared, 8);
    ensure!(times.p50_us <= AS_CLOSE_US, "{times:?}");
    ensure!(segments + runs < most_records, "{segments} and {runs} records; {:?}", seen.anomalies);
    Ok(())
}

#[test]
fn a_gigabyte_downloaded_is_a_handful_of_records() -> Result<()> {
    let expected = Transferred { status: 200, sent: 0, received: GIB };
    transfer(|bench| Transfer::download(&bench.server, GIB), expected, 2000)
}

#[test]
fn a_gigabyte_uploaded_is_a_handful_of_records() -> Result<()> {
    let received = r#"{"bytes":1073741824}"#.len() as u64;
    let expected = Transferred { status: 200, sent: GIB, received };
    transfer(|bench| Transfer::upload(&bench.server, GIB), expected, 2000)
}

#[test]
fn a_gigabyte_downloaded_in_frames_is_few_records() -> Result<()> {
    let expected = Transferred { status: 200, sent: 0, received: GIB };
    transfer(|bench| Transfer::download(&bench.server, GIB).http2(), expected, 20_000)
}

#[test]
fn a_gigabyte_uploaded_in_frames_is_few_records() -> Result<()> {
    let received = r#"{"bytes":1073741824}"#.len() as u64;
    let expected = Transferred { status: 200, sent: GIB, received };
    transfer(|bench| Transfer::upload(&bench.server, GIB).http2(), expected, 20_000)
}

#[test]
fn a_gigabyte_uploaded_in_chunks_is_few_records() -> Result<()> {
    let received = r#"{"bytes":1073741824}"#.len() as u64;
    let expected = Transferred { status: 200, sent: GIB, received };
    let upload = |bench: &Bench| Transfer { unknown_length: true, ..Transfer::upload(&bench.server, GIB) };
    transfer(upload, expected, 20_000)
}

/// Segments of up to 192 KiB in one, both ways, both families: nothing of them is left out.
#[test]
fn big_tcp_is_read_whole() -> Result<()> {
    const BYTES: u64 = 4 << 20;
    let bench = Bench::new()?;
    for pod in [&bench.server, &bench.client] {
        pod.set_gso_max_size(BIG)?;
    }
    let capture = Capture::start(bench.server.lab(), None, bench.server.host_veth())?;
    let v6 = format!("http://[{}]:8080", bench.server.ipv6());
    for (url, upload) in [
        (bench.server.url("/bytes/4194304"), 0),
        (bench.server.url("/discard"), BYTES),
        (format!("{v6}/bytes/4194304"), 0),
        (format!("{v6}/discard"), BYTES),
        // In chunks, so that every byte is looked at.
        (bench.server.url("/stream?chunks=4&bytes=1048576"), 0),
        (format!("{v6}/stream?chunks=4&bytes=1048576"), 0),
    ] {
        let transfer = Transfer { url, upload, ..Transfer::download(&bench.server, 0) };
        let done = transfer.run(&bench.client)?;
        assert_eq!(done[0].status, 200, "{done:?}");
    }
    let captured = capture.finish()?;
    let (lines, seen) = bench.settled(6)?;
    let sizes: Vec<u64> = lines
        .iter()
        .map(|line| {
            line["request"]["body_bytes"].as_u64().max(line["response"]["body_bytes"].as_u64()).unwrap_or(0)
        })
        .collect();
    assert_eq!(sizes, [BYTES; 6], "{seen:?}");
    assert!(lines.iter().all(|line| line["complete"] == true), "{lines:?}");
    assert_eq!(seen.loss.bytes_opaque, 0, "{:?}", seen.anomalies);
    let longest = captured.segments.iter().map(|segment| segment.payload_len).max();
    ensure!(longest > Some(100_000), "the kernel made no BIG TCP: {longest:?}");
    eprintln!("the longest segment had {longest:?} bytes of payload");
    Ok(())
}

//! Bodies cost next to nothing: of a gigabyte each way the programs record a handful, and its exchange is exact to the
//! byte and to the segment. The client's own count and tcpdump are the truth. Needs root and Go.

mod bench;
mod framed;

use anyhow::{Result, ensure};
use serde_json::json;
use weft_lab::transfer::{Transfer, Transferred};
use weft_lab::{Capture, wire_times};

use bench::{Bench, few, on_one_cpu};

const GIB: u64 = 1 << 30;
/// Records of two transfers at two pods, of some 120,000 packets.
const HANDFUL: u64 = 2000;
/// tcpdump and the programs look at a packet one after the other; a host that takes the CPU away between them is no
/// defect of either.
const AS_CLOSE_US: f64 = 100.0;

/// What a segment may have with its headers, in the test of BIG TCP: three times as much as without it.
const BIG: u32 = 192 << 10;

/// Transfers, looks at every exchange, and gives how many records it took for both pods.
fn transfer(what: impl Fn(&Bench) -> Transfer, expected: Transferred) -> Result<u64> {
    let bench = Bench::new()?;
    let transfer = what(&bench).times(2);
    let capture = Capture::start(bench.server.lab(), None, bench.server.host_veth())?;
    assert_eq!(on_one_cpu(|| transfer.run(&bench.client))?, [expected; 2]);
    let captured = capture.finish()?;
    ensure!(captured.dropped == 0, "tcpdump dropped {}", captured.dropped);
    let (lines, _) = bench.settled(2)?;
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
    Ok(segments + runs)
}

#[test]
fn a_gigabyte_downloaded_is_a_handful_of_records() -> Result<()> {
    let expected = Transferred { status: 200, sent: 0, received: GIB };
    few(|| Ok((transfer(|bench| Transfer::download(&bench.server, GIB), expected)?, HANDFUL)))
}

#[test]
fn a_gigabyte_uploaded_is_a_handful_of_records() -> Result<()> {
    let received = r#"{"bytes":1073741824}"#.len() as u64;
    let expected = Transferred { status: 200, sent: GIB, received };
    few(|| Ok((transfer(|bench| Transfer::upload(&bench.server, GIB), expected)?, HANDFUL)))
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
        let done = on_one_cpu(|| transfer.run(&bench.client))?;
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

//! Bodies whose framing comes faster than anybody could say what is wanted of it: DATA of HTTP/2, and chunks. The programs read
//! the framing by themselves; what they say of it is as exact as if everything had been captured.

use std::fs;
use std::process::Command;
use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use serde_json::{Value, json};
use weft_lab::transfer::{Transfer, Transferred};
use weft_lab::{Capture, Process, tools, wire_times};

use crate::bench::{Bench, few, on_one_cpu};
use crate::{AS_CLOSE_US, GIB};

/// A body of which tcpdump can keep every byte.
const CAPTURED: u64 = 16 << 20;
const PATIENCE: Duration = Duration::from_secs(30);

/// What the client must have counted.
fn expected(transfer: &Transfer, body: u64) -> Transferred {
    let answer = format!("{{\"bytes\":{body}}}").len() as u64;
    match transfer.upload {
        0 => Transferred { status: 200, sent: 0, received: body },
        sent => Transferred { status: 200, sent, received: answer },
    }
}

/// What a busy host's TCP may do, and nothing that would be a doubt about what was read.
fn only_order(anomalies: &Value) -> bool {
    let order = [json!("retransmit"), json!("out_of_order")];
    anomalies.as_array().is_some_and(|anomalies| anomalies.iter().all(|anomaly| order.contains(anomaly)))
}

/// Transfers a body, and gives how many records that took, of segments and of runs, of both pods together.
fn transfer(bench: &Bench, transfer: &Transfer, body: u64) -> Result<(u64, u64)> {
    let (segments, runs) = bench.records()?;
    let before = bench.exchanges()?;
    let expected = expected(transfer, body);
    assert_eq!(on_one_cpu(|| transfer.run(&bench.client))?, vec![expected; transfer.times as usize]);
    let (lines, seen) = bench.settled(before + u64::from(transfer.times))?;
    for line in lines.iter().skip(before as usize) {
        assert_eq!(line["request"]["body_bytes"], expected.sent, "{line}");
        assert_eq!(line["response"]["body_bytes"].as_u64(), Some(expected.received), "{line}");
        assert_eq!((&line["complete"], &line["status"]), (&json!(true), &json!(200)), "{line}");
        assert!(only_order(&line["anomalies"]), "{line}");
    }
    assert_eq!(seen.loss.bytes_opaque, 0, "{:?}", seen.anomalies);
    let (segments, runs) = (bench.records()?.0 - segments, bench.records()?.1 - runs);
    eprintln!("{body} bytes: {segments} records of segments and {runs} of runs: {}", transfer.url);
    Ok((segments, runs))
}

/// A gigabyte, and what tcpdump can keep of it against its times.
fn in_frames(what: impl Fn(&Bench, u64) -> Transfer) -> Result<()> {
    let bench = Bench::new()?;
    few(|| {
        let (segments, runs) = transfer(&bench, &what(&bench, GIB).http2(), GIB)?;
        // Captured as a whole it would be 131,072 records of 16 KiB. Until the agent has found the place right where a program
        // began, and again where segments came in another order, all is captured.
        Ok((segments + runs, 50_000))
    })?;
    let before = bench.exchanges()?;
    let mut capture = Capture::in_full(bench.server.lab(), None, bench.server.host_veth())?;
    transfer(&bench, &what(&bench, CAPTURED).http2().times(2), CAPTURED)?;
    ensure!(capture.end()? == 0, "tcpdump dropped packets");
    let (lines, _) = bench.settled(before + 2)?;
    let times = wire_times::compare_http2(&lines[before as usize..], capture.file())?;
    eprintln!("{times:?}");
    assert_eq!(times.compared, 8);
    ensure!(times.p50_us <= AS_CLOSE_US, "{times:?}");
    Ok(())
}

#[test]
fn a_gigabyte_downloaded_in_frames_is_few_records() -> Result<()> {
    in_frames(|bench, bytes| Transfer::download(&bench.server, bytes))
}

#[test]
fn a_gigabyte_uploaded_in_frames_is_few_records() -> Result<()> {
    in_frames(|bench, bytes| Transfer::upload(&bench.server, bytes))
}

/// There is at most one record a segment at each pod. Times against tcpdump, which needs the segments' headers alone: where a message is says the sum of all before it.
fn in_chunks(bench: &Bench, what: &Transfer, body: u64) -> Result<(u64, u64)> {
    let before = bench.exchanges()? as usize;
    let capture = Capture::start(bench.server.lab(), None, bench.server.host_veth())?;
    let (segments, runs) = transfer(bench, what, body)?;
    let captured = capture.finish()?;
    ensure!(captured.dropped == 0, "tcpdump dropped {}", captured.dropped);
    let (lines, _) = bench.settled(bench.exchanges()?)?;
    let times = wire_times::compare(&lines[before..], &captured.segments)?;
    assert_eq!(times.compared, 4 * what.times as usize);
    ensure!(times.p50_us <= AS_CLOSE_US, "{times:?}");
    let with_payload = captured.segments.iter().filter(|segment| segment.payload_len > 0).count();
    eprintln!("{with_payload} segments at one pod; {times:?}");
    Ok((segments + runs, 2 * with_payload as u64))
}

#[test]
fn a_gigabyte_uploaded_in_chunks_is_few_records() -> Result<()> {
    let bench = Bench::new()?;
    let upload = Transfer { unknown_length: true, ..Transfer::upload(&bench.server, GIB) };
    few(|| in_chunks(&bench, &upload, GIB))
}

/// Chunks of 1, 4 and 64 KiB: as the server flushes them, one by one, and in large writes with extensions and a trailer. There
/// is at most one record a segment, and that one without payload.
#[test]
fn downloads_in_chunks_of_any_size_are_few_records() -> Result<()> {
    let bench = Bench::new()?;
    for kib in [1, 4, 64] {
        for (path, bytes) in [("stream?", 60 << 20), ("chunks?extension=%3Bname%3Dvalue&", 512 << 20)] {
            let chunks = bytes / (kib << 10);
            let url = bench.server.url(&format!("/{path}chunks={chunks}&bytes={}", kib << 10));
            let download = Transfer { url, ..Transfer::download(&bench.server, 0) };
            few(|| in_chunks(&bench, &download, bytes))?;
        }
    }
    Ok(())
}

/// What a recording says of them replays to what was said when they passed, redacted or not.
#[test]
fn a_recording_of_framed_bodies_replays_to_the_same() -> Result<()> {
    let binaries = tools::rust_binaries()?;
    let bench = Bench::new()?;
    let lab = bench.server.lab();
    for more in [&[][..], &["--redact"]] {
        let before = bench.exchanges()? as usize;
        let recording = lab.file("test", &format!("framed-{before}.weftrec"))?;
        let mut record = Command::new(&binaries.weft);
        record.arg("record").arg(&recording).args(["--seconds", "3600", "--state-dir"]).arg(lab.state_dir());
        let mut recorder = Process::start(lab, None, "record", record.args(more))?;
        recorder.wait_until(PATIENCE, "to record", || recording.exists())?;
        let from = |path: &str| {
            let url = bench.server.url(path);
            Transfer { url, ..Transfer::download(&bench.server, 0) }
        };
        let secret = from("/chunks?extension=%3Btoken%3Dsecret&chunks=512&bytes=16384");
        transfer(&bench, &secret, 8 << 20)?;
        // Recording costs the agent time; with pauses it comes to leave something out.
        let slow = from("/stream?chunks=1536&bytes=16384&pause=1ms");
        let (_, runs) = transfer(&bench, &slow, 24 << 20)?;
        let (_, more_runs) = transfer(&bench, &slow.http2(), 24 << 20)?;
        ensure!(runs > 0 && more_runs > 0, "nothing was left out");
        recorder.signal(nix::sys::signal::Signal::SIGINT)?;
        let status = recorder.wait(PATIENCE)?;
        ensure!(status.success(), "{}", recorder.stderr());
        let bytes = fs::read(&recording)?;
        let secret = bytes.windows(6).any(|window| window == b"secret");
        ensure!(
            secret == more.is_empty(),
            "{more:?}: the extension is {}there",
            if secret { "" } else { "not " }
        );
        let replayed = Command::new(&binaries.weft).arg("replay").arg(&recording).arg("--json").output()?;
        ensure!(replayed.status.success(), "{}", String::from_utf8_lossy(&replayed.stderr));
        let (lines, _) = bench.settled(before as u64 + 3)?;
        assert_eq!(told(&replayed.stdout)?, lines[before..].iter().map(word).collect::<Vec<_>>(), "{more:?}");
    }
    Ok(())
}

/// The server's exchanges of a replay.
fn told(stdout: &[u8]) -> Result<Vec<String>> {
    let lines = String::from_utf8_lossy(stdout).into_owned();
    let values: Vec<Value> =
        lines.lines().map(serde_json::from_str).collect::<Result<_, _>>().context("a line")?;
    Ok(values.iter().filter(|value| value["pod"] == "bodies/server").map(word).collect())
}

/// What is said of an exchange by the wire; times from its first byte on, because the clock's offset to the epoch moves by
/// nanoseconds.
fn word(line: &Value) -> String {
    let members = ["exchange_id", "method", "path", "status", "stream_id", "complete", "anomalies"];
    let first = line["request"]["first_byte"].as_u64().unwrap_or(0);
    let span = |name: &str| {
        let time = |time: &str| line[name][time].as_u64().map(|time| time.wrapping_sub(first));
        format!(
            "{} {} {:?} {:?}",
            line[name]["bytes"],
            line[name]["body_bytes"],
            time("first_byte"),
            time("last_byte")
        )
    };
    let messages = [span("request"), span("response")].join(" ");
    format!("{} {messages}", members.map(|name| line[name].to_string()).join(" "))
}

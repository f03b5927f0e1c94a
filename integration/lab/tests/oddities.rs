//! What TCP allows and few clients do, by real sockets through real pods: every exchange is there, exact, at both ends.
//! Needs root, Go and tcpdump.

use std::fs;
use std::time::Duration;

use anyhow::{Context, Result};
use serde_json::Value;
use weft_lab::pair::{self, Pair};
use weft_lab::{Observed, Pod, odd};

/// Client and server, for all listeners (linux/tcp.h, `TFO_CLIENT_ENABLE`, `TFO_SERVER_ENABLE`, `TFO_SERVER_WO_SOCKOPT1`).
const FAST_OPEN: &str = "1027";

/// What a client of one kind asks for, and what its exchanges must be.
struct Expected {
    kind: &'static str,
    /// Of the path.
    prefix: &'static str,
    complete: bool,
    /// Nothing about them is odd to HTTP.
    plain: bool,
}

const EXPECTED: [Expected; 8] = [
    Expected { kind: "reuse-reset", prefix: "/stock/reuse-reset-", complete: true, plain: true },
    Expected { kind: "reuse-close", prefix: "/close", complete: true, plain: true },
    Expected { kind: "reset-answer", prefix: "/bytes/2000000", complete: false, plain: false },
    Expected { kind: "reset-request", prefix: "/reset-request", complete: false, plain: false },
    Expected { kind: "zero-window", prefix: "/bytes/1048576", complete: true, plain: false },
    Expected { kind: "keepalive", prefix: "/stock/keepalive-", complete: true, plain: true },
    Expected { kind: "half-close", prefix: "/stock/half-close-", complete: true, plain: true },
    Expected { kind: "fast-open", prefix: "/stock/fast-open-", complete: true, plain: true },
];

#[test]
fn what_few_clients_do_is_counted_exactly() -> Result<()> {
    let link = Pair::open_after(|_, server| set(server, "net/ipv4/tcp_fastopen", FAST_OPEN))?;
    let begin = Observed::now(&link.agent)?;
    let outcomes = odd::run(&link.client, &link.server.endpoint().to_string())?;
    let asked = outcomes.values().map(|odd| odd.asked).sum();
    let seen = link.settled(&begin, asked)?;
    let exchanges = link.exchanges()?;
    for Expected { kind, prefix, complete, plain } in EXPECTED {
        let outcome = outcomes.get(kind).with_context(|| format!("no client is {kind}"))?;
        assert_eq!(outcome.answered, if complete { outcome.asked } else { 0 }, "{kind}");
        for exchanges in &exchanges {
            let of_kind =
                |exchange: &&Value| exchange["path"].as_str().is_some_and(|path| path.starts_with(prefix));
            let own: Vec<&Value> = exchanges.iter().filter(of_kind).collect();
            assert_eq!(own.len() as u64, outcome.asked, "{kind}");
            let exact = |exchange: &&Value| {
                exchange["complete"] == complete && (!plain || exchange["anomalies"] == Value::Array(vec![]))
            };
            assert_eq!(own.iter().find(|exchange| !exact(exchange)), None, "{kind}");
        }
    }
    pair::ids_agree(&exchanges)?;
    let out_of_time = exchanges.each_ref().map(|exchanges| pair::out_of_time(exchanges));
    assert_eq!(out_of_time, [vec![], Vec::<&Value>::new()]);
    waited_for_the_window(&exchanges)?;
    assert!(counter(&link.server, "TCPFastOpenPassive")? > 0, "no SYN carried a request");
    eprintln!("{asked} requests, {:?}, {:?}", seen.loss, seen.anomalies);
    assert_eq!(link.counted(&seen), (asked, asked), "{:?}", seen.anomalies);
    assert!(seen.adds_up() && seen.loss.bytes_lost == 0, "{:?}", seen.loss);
    Ok(())
}

/// An answer that its reader does not take for 3 s ends after them, and is whole.
fn waited_for_the_window(exchanges: &[Vec<Value>; 2]) -> Result<()> {
    for exchange in exchanges.iter().flatten().filter(|exchange| exchange["path"] == "/bytes/1048576") {
        let at = |message: &str, byte: &str| exchange[message][byte].as_u64().context("no time");
        let took = Duration::from_nanos(at("response", "last_byte")? - at("request", "first_byte")?);
        assert!(took >= Duration::from_secs(3), "{took:?}");
        assert_eq!(exchange["response"]["body_bytes"], 1_048_576);
    }
    Ok(())
}

/// Sets a kernel parameter of a pod's netns.
fn set(pod: &Pod, name: &str, value: &str) -> Result<()> {
    pod.netns()
        .run(|| fs::write(format!("/proc/sys/{name}"), value))?
        .with_context(|| format!("cannot set {name}"))
}

/// One of the pod's counters in /proc/net/netstat: names in a line, values in the next.
fn counter(pod: &Pod, name: &str) -> Result<u64> {
    let table = pod.netns().run(|| fs::read_to_string("/proc/thread-self/net/netstat"))??;
    let lines: Vec<Vec<&str>> = table.lines().map(|line| line.split_ascii_whitespace().collect()).collect();
    let value = lines.chunks(2).find_map(|pair| {
        let [names, values] = pair else { return None };
        values.get(names.iter().position(|found| *found == name)?)
    });
    value.with_context(|| format!("no {name}"))?.parse().context("no number")
}

//! Where the time of an exchange went, against programs that spend it on purpose and log how much that was. Needs root and
//! Go.

use std::process::Command;

use anyhow::{Context as _, Result, ensure};
use serde_json::{Value, json};
use weft_lab::phases::{Spending, Spent, all_probes};
use weft_lab::{Pod, apt, tools};

/// A phase is right within this share of the truth, or within [`CLOSE_NS`].
const SHARE: f64 = 0.05;
const CLOSE_NS: u64 = 100_000;
/// So many of the requests must be right; the machine has other things to do, too.
const MOST: f64 = 0.9;

fn open(config: Value, environment: &[(&str, &str)]) -> Result<Spending> {
    Spending::open(&tools::rust_binaries()?, config, environment)
}

/// Holds `told` (what weft says of a request) against `truth`, request by request.
fn compare(
    spent: &[Spent],
    told: impl Fn(&Spent) -> Option<u64>,
    truth: impl Fn(&Spent) -> Result<u64>,
) -> Result<()> {
    ensure!(!spent.is_empty(), "no request was made");
    let mut pairs = Vec::new();
    for request in spent {
        let told = told(request).with_context(|| format!("the phase is absent: {request:?}"))?;
        pairs.push((told, truth(request)?));
    }
    let right = pairs.iter().filter(|(told, truth)| is_close(*told, *truth)).count();
    pairs.sort_by_key(|(told, truth)| told.abs_diff(*truth));
    let (told, truth) = pairs[pairs.len() / 2];
    eprintln!(
        "{right} of {} right; at the median {told} ns told, {truth} ns true; at worst {:?}",
        pairs.len(),
        pairs.last()
    );
    ensure!(is_close(told, truth), "the median is off: {told} ns told, {truth} ns true");
    #[expect(clippy::cast_precision_loss, reason = "a share")]
    let share = right as f64 / pairs.len() as f64;
    ensure!(share >= MOST, "only {right} of {} are right: {pairs:?}", pairs.len());
    Ok(())
}

fn is_close(told: u64, truth: u64) -> bool {
    #[expect(clippy::cast_precision_loss, reason = "a share")]
    let within = told.abs_diff(truth) as f64 <= truth as f64 * SHARE;
    within || told.abs_diff(truth) <= CLOSE_NS
}

fn phase(exchange: &Value, name: &str) -> Option<u64> {
    exchange["phases_ns"][name].as_u64()
}

/// What goroutines do in a handler: waiting for a processor and for the garbage collector happens in it, too.
fn in_handler(spent: &Spent) -> Option<u64> {
    let beside = ["run_queue", "gc"].into_iter().filter_map(|name| phase(&spent.server, name));
    Some(phase(&spent.server, "handler")? + beside.sum::<u64>())
}

fn duration(exchange: &Value) -> Option<u64> {
    exchange["response"]["last_byte"].as_u64()?.checked_sub(exchange["request"]["first_byte"].as_u64()?)
}

/// What every exchange must keep, whatever it spent its time on.
fn add_up(spent: &[Spent]) -> Result<()> {
    for Spent { client, server, .. } in spent {
        let phases = server["phases_ns"].as_object().context("a server's side without phases")?;
        let sum: u64 = phases.values().filter_map(Value::as_u64).sum();
        ensure!(Some(sum) == duration(server), "the phases do not add up: {server}");
        let network = duration(client).zip(duration(server)).and_then(|(all, own)| all.checked_sub(own));
        ensure!(
            phase(client, "network") == network,
            "a client's network is what its server's side lacks: {client}"
        );
    }
    Ok(())
}

#[test]
#[ignore = "compares times: cargo xtask test --full"]
fn a_handler_that_sleeps() -> Result<()> {
    let spent = open(json!({}), &[])?.run("/sleep", &[])?;
    compare(&spent, in_handler, |request| request.between("begin", "end"))?;
    add_up(&spent)
}

#[test]
#[ignore = "compares times: cargo xtask test --full"]
fn a_handler_that_computes() -> Result<()> {
    let spent = open(json!({}), &[])?.run("/burn", &[])?;
    compare(&spent, in_handler, |request| request.between("begin", "end"))?;
    add_up(&spent)
}

#[test]
#[ignore = "compares times: cargo xtask test --full"]
fn a_goroutine_that_waits_for_the_only_processor() -> Result<()> {
    let spent = open(all_probes(), &[("GOMAXPROCS", "1")])?.run("/queue", &[])?;
    let truth = |request: &Spent| request.moments.get("queue").copied().context("no queue");
    compare(&spent, |request| phase(&request.server, "run_queue"), truth)?;
    add_up(&spent)
}

#[test]
#[ignore = "compares times: cargo xtask test --full"]
fn a_stopped_world() -> Result<()> {
    let spent =
        open(all_probes(), &[("GODEBUG", "asyncpreemptoff=1"), ("GOMAXPROCS", "2")])?.run("/gc", &[])?;
    let truth = |request: &Spent| request.moments.get("gc").copied().context("no gc");
    compare(&spent, |request| phase(&request.server, "gc"), truth)?;
    add_up(&spent)
}

#[test]
#[ignore = "compares times: cargo xtask test --full"]
fn a_server_that_reads_late() -> Result<()> {
    let spent = open(json!({}), &[])?.run("/late", &["-fresh"])?;
    compare(
        &spent,
        |request| phase(&request.server, "socket_wait"),
        |request| request.between("wrote", "read"),
    )?;
    add_up(&spent)
}

#[test]
#[ignore = "compares times: cargo xtask test --full"]
fn a_handler_that_reads_its_body_late() -> Result<()> {
    let spent = open(json!({}), &[])?.run("/body", &["-body", "65536"])?;
    compare(
        &spent,
        |request| phase(&request.server, "socket_wait"),
        |request| request.between("wrote", "read"),
    )?;
    add_up(&spent)
}

#[test]
#[ignore = "compares times: cargo xtask test --full"]
fn a_client_that_reads_late() -> Result<()> {
    // The answer comes after 20 ms. Weft waits a second for who reads it.
    let spent = open(json!({}), &[])?.run("/sleep", &["-late", "300ms"])?;
    compare(
        &spent,
        |request| phase(&request.client, "socket_wait"),
        |request| request.between("end", "first"),
    )?;
    add_up(&spent)
}

#[test]
#[ignore = "compares times: cargo xtask test --full"]
fn calls_that_overlap() -> Result<()> {
    let spent = open(json!({}), &[])?.run("/calls", &[])?;
    let truth = |request: &Spent| request.between("down_begin", "down_end");
    compare(&spent, |request| phase(&request.server, "downstream"), truth)?;
    add_up(&spent)
}

#[test]
#[ignore = "compares times: cargo xtask test --full"]
fn a_narrow_link() -> Result<()> {
    let spending = open(json!({}), &[])?;
    narrow(&spending.server)?;
    let spent = spending.run("/large", &["-requests", "10"])?;
    let truth = |request: &Spent| request.between("first", "last");
    compare(&spent, |request| phase(&request.server, "network"), truth)?;
    add_up(&spent)
}

/// Lets the pod send 40 Mbit/s, before its vantage: half a MiB takes 100 ms.
fn narrow(pod: &Pod) -> Result<()> {
    let program = apt::Program { binary: "tc", package: "iproute2", why: "to shape a link" };
    apt::ensure_programs(&[program])?;
    let mut command = Command::new(tools::find_program("tc").context("no tc")?);
    command.args(["qdisc", "add", "dev", "eth0", "root", "tbf"]);
    command.args(["rate", "40mbit", "burst", "16kb", "latency", "400ms"]);
    let status = pod.netns().run(|| command.status())??;
    ensure!(status.success(), "tc failed: {status}");
    Ok(())
}

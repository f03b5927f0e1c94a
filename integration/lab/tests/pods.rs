//! Pods of the real CNI chain, without weft: what every privileged test stands on. Needs root and Go.

use std::collections::BTreeSet;
use std::env;
use std::fs;
use std::net::SocketAddr;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, SystemTime};

use anyhow::{Result, ensure};
use nix::sys::signal::Signal;
use weft_lab::load::{self, Load};
use weft_lab::{Capture, Lab, LabOptions, Pod, Process, Service, Traces, http};

/// Three services in three pods behind each other, and a load generator in a fourth.
fn shop(options: LabOptions, rate: u32) -> Result<Traces> {
    let lab = Lab::new(options)?;
    let [client, gateway, orders, inventory] = ["client", "gateway", "orders", "inventory"]
        .map(|name| Pod::create(&lab, "shop", name))
        .into_iter()
        .collect::<Result<Vec<Pod>>>()?
        .try_into()
        .map_err(|_| anyhow::anyhow!("four pods"))?;
    let services = [
        Service::inventory(&inventory)?,
        Service::orders(&orders, inventory.endpoint())?,
        // The other family on the second leg.
        Service::gateway(&gateway, SocketAddr::from((orders.ipv6(), weft_lab::service::PORT)))?,
    ];
    let processes = services.each_ref().map(|service| service.process.pid());
    let traces = Traces::of(&lab, &[&client, &gateway, &orders, &inventory], &processes);
    ensure!(traces.found().len() > 10, "the test looks in the wrong places: {:?}", traces.found());

    let report =
        load::run(&client, &Load::get(gateway.url("/checkout/{id}")).rate(rate).seconds(1).connections(4))?;
    let rate = u64::from(rate);
    ensure!((report.planned, report.sent, report.ok) == (rate, rate, rate), "{report:?}");
    ensure!(report.sustained && report.errors.is_empty(), "{report:?}");
    gateway.check()?;
    Ok(traces)
}

#[test]
fn every_request_is_answered_and_nothing_is_left() -> Result<()> {
    let traces = shop(LabOptions::default(), 200)?;
    assert_eq!(traces.found(), Vec::<String>::new());
    Ok(())
}

#[test]
fn the_oldest_cni_version_works_too() -> Result<()> {
    let options = LabOptions { cni_version: "0.3.1".to_owned(), ..LabOptions::default() };
    // CHECK came with 0.4.0: libcni refuses it before it calls a plugin.
    let error = shop(options, 20).err().map(|error| error.to_string()).unwrap_or_default();
    assert!(error.contains("does not support the CHECK command"), "{error}");
    Ok(())
}

#[test]
fn a_capture_has_every_request_once() -> Result<()> {
    let lab = Lab::new(LabOptions::default())?;
    let [client, server] = [Pod::create(&lab, "a", "client")?, Pod::create(&lab, "a", "server")?];
    let _inventory = Service::inventory(&server)?;
    let begin = since_epoch()?;
    let capture = Capture::start(&lab, None, server.host_veth())?;
    let report =
        load::run(&client, &Load::get(server.url("/stock/{id}")).rate(500).seconds(1).connections(8))?;
    let captured = capture.finish()?;
    assert_eq!(captured.dropped, 0);
    let to_server = captured.segments.iter().filter(|segment| segment.destination == server.endpoint());
    let requests =
        to_server.filter(|segment| segment.payload_len > 0).map(|segment| (segment.source, segment.seq));
    assert_eq!(requests.collect::<BTreeSet<_>>().len() as u64, report.sent);
    let run = begin..=since_epoch()?;
    assert!(captured.segments.iter().all(|segment| run.contains(&Duration::from_nanos(segment.time))));
    Ok(())
}

fn since_epoch() -> Result<Duration> {
    Ok(SystemTime::now().duration_since(SystemTime::UNIX_EPOCH)?)
}

#[test]
fn hostile_peers_do_what_they_say() -> Result<()> {
    let lab = Lab::new(LabOptions::default())?;
    let [client, server] = [Pod::create(&lab, "a", "client")?, Pod::create(&lab, "a", "server")?];
    let _inventory = Service::inventory(&server)?;
    let report = load::hostile(&client, &server.endpoint().to_string(), "garbage,one-byte,half", 2)?;
    let answers = |attack: usize, answer: &str| report["attacks"][attack]["answers"][answer].as_u64();
    assert_eq!(answers(0, "HTTP/1.1 400 Bad Request"), Some(2), "{report}");
    assert_eq!(answers(1, "silence"), Some(2), "{report}");
    assert_eq!(answers(2, "HTTP/1.1 200 OK"), Some(2), "{report}");

    let mut sink = load::sink(&server, 9000, 2000)?;
    let silence =
        load::silence(&client, &format!("{}:9000", server.ipv4()), 2000, &[client.ipv4().to_string()])?;
    assert_eq!(silence.opened, 2000, "{}", silence.report);
    let established =
        |table: &str| table.lines().filter(|line| line.contains(":2328 ") && line.contains(" 01 ")).count();
    let table = fs::read_to_string(format!("/proc/{}/net/tcp", silence.process.pid()))?;
    assert_eq!(established(&table), 2000);
    sink.stop()?;
    Ok(())
}

#[test]
fn the_host_reaches_a_pod() -> Result<()> {
    let lab = Lab::new(LabOptions::default())?;
    let server = Pod::create(&lab, "a", "server")?;
    let _inventory = Service::inventory(&server)?;
    let answer = http::get(server.endpoint(), "/stock/7", &[], Duration::from_secs(10))?;
    assert_eq!(answer.json()?["item"], "7");
    let slow = http::get(server.endpoint(), "/stream?chunks=3&bytes=5", &[], Duration::from_secs(10))?;
    assert_eq!(slow.text(), "abcdeabcdeabcde");
    Ok(())
}

#[test]
fn two_labs_at_once_share_nothing() -> Result<()> {
    let labs = [Lab::new(LabOptions::default())?, Lab::new(LabOptions::default())?];
    let pods = [Pod::create(&labs[0], "a", "x")?, Pod::create(&labs[1], "a", "x")?];
    assert_ne!(pods[0].ipv4(), pods[1].ipv4());
    assert_ne!(pods[0].netns().cookie()?, pods[1].netns().cookie()?);
    let [first, second] = [Traces::of(&labs[0], &[&pods[0]], &[]), Traces::of(&labs[1], &[&pods[1]], &[])];
    let [lab, other] = labs;
    let [pod, other_pod] = pods;
    drop((lab, pod));
    assert_eq!(first.found(), Vec::<String>::new());
    other_pod.check()?;
    drop((other, other_pod));
    assert_eq!(second.found(), Vec::<String>::new());
    Ok(())
}

#[test]
fn a_panic_leaves_nothing() -> Result<()> {
    let (sender, receiver) = std::sync::mpsc::channel();
    let panicked = std::thread::spawn(move || -> Result<()> {
        let lab = Lab::new(LabOptions::default())?;
        let pod = Pod::create(&lab, "a", "x")?;
        let service = Service::inventory(&pod)?;
        sender.send(Traces::of(&lab, &[&pod], &[service.process.pid()]))?;
        panic!("as a failed assertion would");
    });
    assert!(panicked.join().is_err());
    assert_eq!(receiver.recv()?.found(), Vec::<String>::new());
    Ok(())
}

/// Names the file in which the process that [`the_next_lab_removes_a_killed_one`] kills says that it is ready.
const VICTIM: &str = "WEFT_LAB_TEST_VICTIM";

#[test]
fn the_next_lab_removes_a_killed_one() -> Result<()> {
    if let Some(ready) = env::var_os(VICTIM) {
        return victim(Path::new(&ready));
    }
    let lab = Lab::new(LabOptions::default())?;
    let ready = lab.file("test", "ready")?;
    let mut command = Command::new(env::current_exe()?);
    command.args(["--exact", "the_next_lab_removes_a_killed_one"]).env(VICTIM, &ready).stdout(Stdio::null());
    let mut process = Process::start(&lab, None, "victim", &mut command)?;
    process.wait_until(Duration::from_secs(60), "to be ready", || ready.exists())?;
    process.signal(Signal::SIGKILL)?;
    process.wait(Duration::from_secs(10))?;
    let mut traces: Traces = serde_json::from_slice(&fs::read(&ready)?)?;

    let _next = Lab::new(LabOptions::default())?;
    // The killed service's parent is gone: whoever inherits it reaps it at leisure.
    let alive =
        |pid: &u32| fs::read_to_string(format!("/proc/{pid}/stat")).is_ok_and(|stat| !stat.contains(") Z "));
    assert!(!traces.pids.iter().any(alive));
    traces.pids.clear();
    assert_eq!(traces.found(), Vec::<String>::new());
    Ok(())
}

fn victim(ready: &Path) -> Result<()> {
    let lab = Lab::new(LabOptions::default())?;
    let pod = Pod::create(&lab, "a", "x")?;
    let service = Service::inventory(&pod)?;
    let traces = serde_json::to_vec(&Traces::of(&lab, &[&pod], &[service.process.pid()]))?;
    fs::write(ready.with_extension("next"), traces)?;
    fs::rename(ready.with_extension("next"), ready)?;
    std::thread::sleep(Duration::from_secs(600));
    Ok(())
}

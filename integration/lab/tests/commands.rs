//! The commands of `weft` against a running agent, and what each says where it cannot do its work. Needs root and Go.

mod counting;
mod host;

use std::collections::BTreeSet;
use std::fs::{self, File};
use std::net::TcpListener;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, ensure};
use counting::{PODS, brief, counts_exactly, pods};
use host::{PATIENCE, device, instances};
use nix::sys::signal::Signal;
use serde_json::{Value, json};
use weft_lab::tools::{self, RustBinaries};
use weft_lab::{Agent, Lab, LabOptions, Process, Shop};
use weft_loader::Pins;

/// What ended, and what it said.
#[derive(Debug)]
struct Ended {
    code: Option<i32>,
    stdout: String,
    stderr: String,
}

/// Runs a program to its end.
fn run(lab: &Lab, command: &mut Command) -> Result<Ended> {
    let answer = tempfile(lab, "stdout")?;
    command.stdout(File::create(&answer)?);
    let mut process = Process::start(lab, None, "command", command)?;
    let code = process.wait(PATIENCE)?.code();
    Ok(Ended { code, stdout: fs::read_to_string(&answer)?, stderr: process.stderr() })
}

/// A new path of the run.
fn tempfile(lab: &Lab, name: &str) -> Result<PathBuf> {
    let taken = lab.file("test", "")?.read_dir()?.count();
    lab.file("test", &format!("{taken}-{name}"))
}

/// A program without these capabilities, all others kept; `all` takes every one.
fn without(capabilities: &str, program: &Path) -> Command {
    let mut command = Command::new("setpriv");
    let bounds: Vec<String> = capabilities.split(',').map(|name| format!("-{name}")).collect();
    command.arg(format!("--bounding-set={}", bounds.join(","))).arg(program);
    command
}

fn shop() -> Result<(RustBinaries, Shop)> {
    let binaries = tools::rust_binaries()?;
    let shop = Shop::open(&binaries, json!({"capture": {"ring_bytes": 1 << 20}}))?;
    Ok((binaries, shop))
}

#[test]
fn a_second_agent_is_refused() -> Result<()> {
    let (binaries, shop) = shop()?;
    let config = shop.agent.config().to_owned();
    let lab = shop.client.lab();
    let second = run(lab, Command::new(&binaries.weft).args(["agent", "--config"]).arg(config))?;
    ensure!(second.code == Some(1), "{second:?}");
    ensure!(second.stderr.contains("another weft agent is in charge here"), "{second:?}");
    for pod in pods(&shop) {
        ensure!(instances(&Pins::new(&lab.bpffs()), &device(pod)?)? == [1, 1], "{pod}");
    }
    counts_exactly(&shop, &brief(&shop))
}

/// What doctor calls missing.
fn missing(doctor: &Ended) -> Result<BTreeSet<String>> {
    let checks: Vec<Value> = serde_json::from_str(&doctor.stdout).context("doctor prints no JSON")?;
    let missing = checks.iter().filter(|check| check["verdict"] == "missing");
    let name = |check: &Value| Some(check["name"].as_str()?.to_owned());
    ensure!(missing.clone().all(|check| check["remedy"] != ""), "{checks:?}");
    Ok(missing.filter_map(name).collect())
}

#[test]
fn an_agent_without_a_capability_names_it_as_doctor_does() -> Result<()> {
    let binaries = tools::rust_binaries()?;
    let lab = Lab::new(LabOptions::default())?;
    let agent = Agent::prepare(&lab, &binaries.weft, json!({}))?;
    let all = ["CAP_BPF", "CAP_NET_ADMIN", "CAP_PERFMON", "CAP_SYS_ADMIN"];
    let cases = [
        ("bpf", &all[..1]),
        ("net_admin", &all[1..2]),
        ("perfmon", &all[2..3]),
        ("sys_admin", &all[3..]),
        ("bpf,perfmon", &["CAP_BPF", "CAP_PERFMON"]),
        ("all", &all[..]),
    ];
    for (taken, named) in cases {
        let command = |arguments: &[&str]| {
            let mut command = without(taken, &binaries.weft);
            command.args(arguments).arg("--config").arg(agent.config());
            command
        };
        let doctor = run(&lab, &mut command(&["doctor", "--json"]))?;
        let mut missing = missing(&doctor).with_context(|| format!("without {taken}: {doctor:?}"))?;
        ensure!(missing.remove("eBPF programs"), "what cannot be tried is not fine: {doctor:?}");
        ensure!(missing.iter().eq(named), "without {taken}: {missing:?}");
        let text = run(&lab, &mut command(&["doctor"]))?;
        let refused = run(&lab, &mut command(&["agent"]))?;
        ensure!([doctor.code, text.code, refused.code] == [Some(1); 3], "{doctor:?} {text:?} {refused:?}");
        for name in named {
            ensure!(text.stdout.contains(&format!("MISSING   {name}")), "without {taken}: {text:?}");
            let remedy = format!("capabilities.add: [{}]", name.trim_start_matches("CAP_"));
            let line = refused.stderr.lines().find(|line| line.contains(name));
            ensure!(line.is_some_and(|line| line.contains(&remedy)), "without {taken}: {refused:?}");
        }
        ensure!(!Pins::new(&lab.bpffs()).root().exists(), "without {taken} something was touched");
    }
    Ok(())
}

#[test]
fn a_wrong_configuration_is_named_by_file_line_and_key() -> Result<()> {
    let binaries = tools::rust_binaries()?;
    let lab = Lab::new(LabOptions::default())?;
    let file = lab.file("config", "wrong.yaml")?;
    let cases: [(&str, &[&str]); 7] = [
        ("capture:\n  ring_byte: 1\n", &["line 2", "ring_byte"]),
        ("metrics:\n\n  listen: localhost\n", &["line 3", "listen"]),
        ("capture:\n  ports: [80, 99999]\n", &["line 2", "ports"]),
        ("capture:\n  ring_bytes: 1000\n", &["capture.ring_bytes is 1000"]),
        ("sampling:\n  slower_than: { 5: 1.0 }\n", &["line 2", "\"5\" is no length of time"]),
        ("sampling:\n  per_pod: { orders: 1.0 }\n", &["line 2", "\"orders\" is no pod"]),
        ("paths: [\n", &["line 1", "paths"]),
    ];
    for (text, named) in cases {
        fs::write(&file, text)?;
        for command in ["agent", "doctor"] {
            let ended = run(&lab, Command::new(&binaries.weft).args([command, "--config"]).arg(&file))?;
            ensure!(ended.code == Some(2), "{text:?}: {ended:?}");
            ensure!(ended.stderr.contains(&file.display().to_string()), "{text:?}: {ended:?}");
            ensure!(named.iter().all(|name| ended.stderr.contains(name)), "{text:?}: {ended:?}");
        }
    }
    Ok(())
}

#[test]
fn a_port_in_use_is_named() -> Result<()> {
    let binaries = tools::rust_binaries()?;
    let lab = Lab::new(LabOptions::default())?;
    let taken = TcpListener::bind(("127.0.0.1", 0))?;
    let address = taken.local_addr()?.to_string();
    let agent = Agent::prepare(&lab, &binaries.weft, json!({"metrics": {"listen": address}}))?;
    let ended = run(&lab, Command::new(&binaries.weft).args(["agent", "--config"]).arg(agent.config()))?;
    ensure!(ended.code == Some(1), "{ended:?}");
    let says = format!("metrics.listen: cannot listen on {address}");
    ensure!(ended.stderr.contains(&says) && ended.stderr.contains("port 0"), "{ended:?}");
    ensure!(!lab.state_dir().join("listen").exists());
    Ok(())
}

#[test]
fn a_recording_of_the_running_agent_replays_to_the_same_bytes_without_privileges() -> Result<()> {
    let (binaries, shop) = shop()?;
    let lab = shop.client.lab();
    let recording = lab.file("test", "shop.weftrec")?;
    let load = shop.start(&shop.load().rate(200).connections(8).seconds(4))?;
    let mut record = Command::new(&binaries.weft);
    record.arg("record").arg(&recording).args(["--seconds", "2", "--state-dir"]).arg(lab.state_dir());
    let recorded = run(lab, &mut record)?;
    ensure!(recorded.code == Some(0), "{recorded:?}");
    ensure!(fs::metadata(&recording)?.permissions().mode() & 0o777 == 0o600);
    let report = load.finish()?;
    ensure!(report.ok == report.sent && report.errors.is_empty(), "{report:?}");
    let replay = || run(lab, without("all", &binaries.weft).arg("replay").arg(&recording).arg("--json"));
    let (first, second) = (replay()?, replay()?);
    ensure!(first.code == Some(0) && first.stdout == second.stdout, "{} {}", first.stderr, second.stderr);
    let lines = first.stdout.lines().map(serde_json::from_str::<Value>);
    let exchanges: Vec<Value> = lines.collect::<Result<_, _>>()?;
    for pod in PODS {
        ensure!(exchanges.iter().any(|exchange| exchange["pod"] == pod), "none of {pod}: {recorded:?}");
    }
    let again = run(lab, &mut record)?;
    ensure!(again.code == Some(1) && again.stderr.contains("not overwritten"), "{again:?}");
    Ok(())
}

#[test]
fn a_recording_that_is_stopped_is_kept_and_the_next_begins_at_once() -> Result<()> {
    let (binaries, shop) = shop()?;
    let lab = shop.client.lab();
    for (signal, more) in [(Signal::SIGINT, &["--redact"][..]), (Signal::SIGTERM, &[])] {
        let recording = tempfile(lab, "stopped.weftrec")?;
        let mut record = Command::new(&binaries.weft);
        record.arg("record").arg(&recording).args(["--seconds", "3600", "--state-dir"]).arg(lab.state_dir());
        let mut recorder = Process::start(lab, None, "record", record.args(more))?;
        recorder.wait_until(PATIENCE, "to record", || recording.exists())?;
        shop.run(&brief(&shop))?;
        // A debugger, or somebody's Ctrl-Z, interrupts its system calls, and nothing else.
        recorder.signal(Signal::SIGSTOP)?;
        recorder.signal(Signal::SIGCONT)?;
        recorder.signal(signal)?;
        let code = recorder.wait(PATIENCE)?.code();
        ensure!(code == Some(0), "{signal}: {}", recorder.stderr());
        let replayed = run(lab, Command::new(&binaries.weft).arg("replay").arg(&recording).arg("--json"))?;
        ensure!(replayed.code == Some(0), "{signal}: {replayed:?}");
        for pod in PODS {
            ensure!(replayed.stdout.contains(&format!("\"pod\":\"{pod}\"")), "{signal}: none of {pod}");
        }
    }
    Ok(())
}

#[test]
fn traces_are_printed_as_trees_and_the_command_says_when_there_is_no_agent() -> Result<()> {
    let (binaries, mut shop) = shop()?;
    let pids: Vec<_> = shop.services.iter().map(|service| service.process.pid()).collect();
    shop.agent.wait_processes(&pids)?;
    counts_exactly(&shop, &brief(&shop))?;
    let lab = shop.client.lab().clone();
    let traces = |arguments: &[&str]| {
        let mut command = Command::new(&binaries.weft);
        run(&lab, command.arg("traces").args(arguments).arg("--state-dir").arg(lab.state_dir()))
    };
    let printed = traces(&["--pod", "shop/inventory", "--limit", "3"])?;
    ensure!(printed.code == Some(0), "{printed:?}");
    for tree in printed.stdout.trim_end().split("\n\n") {
        let [head, spans @ ..] = &tree.lines().collect::<Vec<_>>()[..] else { panic!("{printed:?}") };
        ensure!(head.starts_with("trace ") && head.ends_with("6 spans"), "{tree}");
        let hops = ["client shop/client", "server shop/gateway", "client shop/gateway", "server shop/orders"];
        let hops = hops.into_iter().chain(["client shop/orders", "server shop/inventory"]);
        ensure!(spans.len() == 6 && spans.iter().zip(hops).all(|(span, hop)| span.contains(hop)), "{tree}");
        ensure!(spans.iter().all(|span| span.contains(" 200")), "{tree}");
    }
    ensure!(printed.stdout.matches("trace ").count() == 3, "{printed:?}");
    for none in [&["--errors"][..], &["--slower-than", "1h"], &["--pod", "shop/nobody"]] {
        let printed = traces(none)?;
        ensure!(printed.code == Some(0) && printed.stdout.contains("no such traces"), "{printed:?}");
    }
    let document: Value = serde_json::from_str(&traces(&["--json", "--limit", "2"])?.stdout)?;
    ensure!(document["traces"].as_array().is_some_and(|traces| traces.len() == 2), "{document}");
    let wrong = traces(&["--slower-than", "5"])?;
    ensure!(wrong.code == Some(2) && wrong.stderr.contains("no length of time"), "{wrong:?}");
    shop.agent.kill()?;
    let gone = traces(&[])?;
    ensure!(gone.code == Some(1) && gone.stderr.contains("is `weft agent` running"), "{gone:?}");
    Ok(())
}

#[test]
fn top_prints_the_pods_and_says_when_there_is_no_agent() -> Result<()> {
    let (binaries, mut shop) = shop()?;
    counts_exactly(&shop, &brief(&shop))?;
    let lab = shop.client.lab().clone();
    let top = || {
        run(&lab, Command::new(&binaries.weft).args(["top", "--once", "--state-dir"]).arg(lab.state_dir()))
    };
    let table = top()?;
    ensure!(table.code == Some(0), "{table:?}");
    for pod in PODS {
        ensure!(table.stdout.contains(pod), "{}", table.stdout);
    }
    shop.agent.kill()?;
    let table = top()?;
    ensure!(table.code == Some(1) && table.stderr.contains("is `weft agent` running"), "{table:?}");
    Ok(())
}

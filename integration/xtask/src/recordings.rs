//! Recordings of real traffic in the lab, committed with the exchanges that they must give: what a person looks at once,
//! and every later build is held against.
use std::{fs, path::Path, process::Command};

use anyhow::{Context as _, Result, ensure};
use clap::Args;
use serde_json::json;
use weft_lab::{
    Process, Service, Shop, grpc as calls,
    load::{self, Load},
    tools::{self, RustBinaries},
};

use crate::run::workspace;

/// A scenario: its file's name, and what happens while it is recorded.
type Scenario = (&'static str, fn(&Shop) -> Result<()>);

const SCENARIOS: [Scenario; 6] = [
    ("three_hops", three_hops),
    ("bodies", bodies),
    ("attacks", attacks),
    ("http2", http2),
    ("grpc", grpc),
    ("tls", tls),
];

/// Options of `cargo xtask recordings`.
#[derive(Args)]
pub struct Options {
    /// Only these, by their names; all by default.
    names: Vec<String>,
}

pub fn execute(options: &Options) -> Result<()> {
    let wanted = |name: &str| options.names.is_empty() || options.names.iter().any(|wanted| wanted == name);
    let binaries = tools::rust_binaries()?;
    let folder = workspace().join("correlator/agent/tests/recordings");
    fs::create_dir_all(&folder)?;
    for (name, scenario) in SCENARIOS.into_iter().filter(|(name, _)| wanted(name)) {
        let shop = Shop::open(&binaries, json!({}))?;
        let recording = folder.join(format!("{name}.weftrec"));
        record(&shop, &binaries, &recording, scenario)?;
        let replayed = Command::new(&binaries.weft).arg("replay").arg(&recording).arg("--json").output()?;
        ensure!(replayed.status.success(), "{}", String::from_utf8_lossy(&replayed.stderr));
        fs::write(folder.join(format!("{name}.jsonl")), replayed.stdout)?;
        eprintln!("xtask: {}", recording.display());
    }
    Ok(())
}

fn record(
    shop: &Shop,
    binaries: &RustBinaries,
    file: &Path,
    scenario: fn(&Shop) -> Result<()>,
) -> Result<()> {
    let _ = fs::remove_file(file);
    let lab = shop.client.lab();
    let mut command = Command::new(&binaries.weft);
    command.arg("record").arg(file).args(["--seconds", "6", "--state-dir"]).arg(lab.state_dir());
    let mut recorder = Process::start(lab, None, "record", &mut command)?;
    recorder.wait_until(std::time::Duration::from_secs(5), "to record", || file.exists())?;
    scenario(shop)?;
    let status = recorder.wait(std::time::Duration::from_secs(20))?;
    ensure!(status.success(), "{}", recorder.stderr());
    Ok(())
}

fn three_hops(shop: &Shop) -> Result<()> {
    shop.run(&shop.load().rate(20).seconds(1).connections(3)).map(drop)
}

fn bodies(shop: &Shop) -> Result<()> {
    for (method, path, body) in [
        ("GET", "/bytes/0", 0),
        ("GET", "/bytes/100000", 0),
        ("HEAD", "/bytes/1000", 0),
        ("GET", "/status/204", 0),
        ("GET", "/status/404", 0),
        ("POST", "/echo", 50_000),
        ("GET", "/stream?chunks=20&bytes=99", 0),
    ] {
        let load = Load { method: method.into(), body, ..Load::get(shop.inventory.url(path)) };
        load::run(
            &shop.client,
            &Load { duration: std::time::Duration::from_millis(100), ..load.rate(10).connections(1) },
        )?;
    }
    Ok(())
}

fn attacks(shop: &Shop) -> Result<()> {
    let kinds = "garbage,half,long-body,one-byte,bare-reset";
    load::hostile(&shop.client, &shop.inventory.endpoint().to_string(), kinds, 1).map(drop)
}

/// Streams beside each other, bodies both ways, heads in CONTINUATION frames, requests that the client gives up.
fn http2(shop: &Shop) -> Result<()> {
    const PORT: u16 = 8185;
    let _server = Service::h2c(&shop.inventory, PORT)?;
    let url = |path: &str| format!("http://{}:{PORT}{path}", shop.inventory.ipv4());
    let get = |options: &[&str], paths: &[&str]| {
        let urls: Vec<String> = paths.iter().map(|path| url(path)).collect();
        load::h2get(&shop.client, options, &urls.iter().map(String::as_str).collect::<Vec<_>>())
    };
    get(&["-requests", "8", "-concurrency", "8"], &["/stock/a?b=c", "/status/404", "/bytes/1000"])?;
    get(&["-requests", "2", "-concurrency", "2", "-method", "POST", "-body", "4000"], &["/echo"])?;
    get(&["-header", "17000"], &["/stock/large"])?;
    get(&["-requests", "2", "-concurrency", "2", "-cancel-after", "50ms"], &["/slow?ms=3000"]).map(drop)
}

/// Each kind of call, and each way to end.
fn grpc(shop: &Shop) -> Result<()> {
    const PORT: u16 = 8186;
    let _server = calls::serve(&shop.inventory, PORT)?;
    let target = format!("{}:{PORT}", shop.inventory.ipv4());
    for options in [
        &["-calls", "12", "-concurrency", "4"][..],
        &["-kind", "server", "-calls", "2", "-messages", "5", "-reply", "300"],
        &["-kind", "client", "-calls", "2", "-messages", "5"],
        &["-kind", "bidi", "-calls", "2", "-messages", "5"],
        &["-calls", "2", "-status", "5"],
        &["-calls", "2", "-status", "13", "-late"],
        &["-calls", "2", "-sleep", "3s", "-deadline", "50ms"],
        &["-kind", "bidi", "-calls", "2", "-sleep", "3s", "-cancel-after", "50ms"],
    ] {
        calls::call(&shop.client, &target, options)?;
    }
    Ok(())
}

/// Connections of which weft sees no more than that they are TLS, for whom, and for how long.
fn tls(shop: &Shop) -> Result<()> {
    const PORT: u16 = 8443;
    let _server = Service::tls(&shop.inventory, PORT)?;
    let resolve = format!("tls.lab.test:{PORT}:{}", shop.inventory.ipv4());
    let url = format!("https://tls.lab.test:{PORT}/bytes/2000");
    for how in [&["--http1.1"][..], &["--http2"], &["--http1.1", "--tls-max", "1.2"]] {
        let mut curl = Command::new(tools::find_program("curl").context("no curl: install it")?);
        curl.args(["--silent", "--insecure", "--output", "/dev/null", "--resolve", &resolve])
            .args(how)
            .arg(&url);
        let mut process = Process::start(shop.client.lab(), Some(shop.client.netns()), "curl", &mut curl)?;
        let status = process.wait(std::time::Duration::from_secs(20))?;
        ensure!(status.success(), "curl {how:?}: {}", process.stderr());
    }
    Ok(())
}

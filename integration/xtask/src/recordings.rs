//! Recordings of real traffic in the lab, committed with the exchanges that they must give: what a person looks at once,
//! and every later build is held against.
use std::{fs, path::Path, process::Command};

use anyhow::{Result, ensure};
use serde_json::json;
use weft_lab::{
    Process, Shop,
    load::{self, Load},
    tools::{self, RustBinaries},
};

use crate::run::workspace;

/// A scenario: its file's name, and what happens while it is recorded.
type Scenario = (&'static str, fn(&Shop) -> Result<()>);

const SCENARIOS: [Scenario; 3] = [("three_hops", three_hops), ("bodies", bodies), ("attacks", attacks)];

pub fn execute() -> Result<()> {
    let binaries = tools::rust_binaries()?;
    let folder = workspace().join("correlator/agent/tests/recordings");
    fs::create_dir_all(&folder)?;
    for (name, scenario) in SCENARIOS {
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

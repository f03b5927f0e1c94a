//! Recordings of real traffic between pods, as the benchmarks need them: larger than those that are committed.
use std::{fs, net::SocketAddr, path::PathBuf, process::Command, time::Duration};

use anyhow::{Result, ensure};
use serde_json::json;
use weft_lab::{Process, Shop, grpc, tools::RustBinaries};

const SECONDS: u64 = 6;
const CONNECTIONS: u32 = 32;
const GRPC_PORT: u16 = 9090;

/// Records the shop's HTTP/1.1 load; gives the file, which is in the target folder.
pub fn http1(binaries: &RustBinaries) -> Result<PathBuf> {
    let shop = Shop::open(binaries, json!({}))?;
    let file = recording("http1")?;
    let mut recorder = recorder(&shop, binaries, &file)?;
    let report = shop.run(&shop.load().rate(1500).connections(CONNECTIONS).seconds(SECONDS - 2))?;
    ensure!(report.failed == 0, "{} requests failed", report.failed);
    finish(&mut recorder)?;
    Ok(file)
}

/// Records unary gRPC calls between two pods; gives the file.
pub fn grpc(binaries: &RustBinaries) -> Result<PathBuf> {
    let shop = Shop::open(binaries, json!({}))?;
    let server = grpc::serve(&shop.inventory, GRPC_PORT)?;
    let file = recording("grpc")?;
    let mut recorder = recorder(&shop, binaries, &file)?;
    let target = SocketAddr::new(shop.inventory.endpoint().ip(), GRPC_PORT).to_string();
    let duration = format!("{}s", SECONDS - 2);
    let load = ["-rate", "3000", "-connections", "8", "-concurrency", "4", "-duration", &duration];
    let report = grpc::call(&shop.client, &target, &load)?;
    ensure!(report.by_status.get("0") == Some(&report.calls), "calls failed: {:?}", report.by_status);
    finish(&mut recorder)?;
    drop(server);
    Ok(file)
}

fn recording(name: &str) -> Result<PathBuf> {
    let folder = weft_lab::tools::target_dir().join("bench");
    fs::create_dir_all(&folder)?;
    let file = folder.join(format!("{name}.weftrec"));
    let _ = fs::remove_file(&file);
    Ok(file)
}

/// Starts `weft record`, and waits until it records.
fn recorder(shop: &Shop, binaries: &RustBinaries, file: &PathBuf) -> Result<Process> {
    let lab = shop.client.lab();
    let mut command = Command::new(&binaries.weft);
    command
        .arg("record")
        .arg(file)
        .args(["--seconds", &SECONDS.to_string(), "--state-dir"])
        .arg(lab.state_dir());
    let mut recorder = Process::start(lab, None, "record", &mut command)?;
    recorder.wait_until(Duration::from_secs(5), "to record", || file.exists())?;
    Ok(recorder)
}

fn finish(recorder: &mut Process) -> Result<()> {
    let status = recorder.wait(Duration::from_secs(SECONDS + 20))?;
    ensure!(status.success(), "{}", recorder.stderr());
    Ok(())
}

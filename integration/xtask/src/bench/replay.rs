//! `cargo xtask bench replay`: the pipeline alone, over recordings of real traffic.
use std::path::Path;

use anyhow::{Context as _, Result, bail};
use clap::Args;
use nix::unistd::geteuid;
use serde_json::{Value, json};
use weft_lab::{apt, tools};

use super::{build, kernel, measure, print, say, targets, traffic};

#[derive(Args)]
pub struct Options {
    /// Print one JSON document at the end; everything else goes to stderr.
    #[arg(long)]
    json: bool,
    /// Exit with 1 when a figure is not what it must be.
    #[arg(long)]
    check: bool,
}

pub fn execute(options: &Options) -> Result<()> {
    if !geteuid().is_root() {
        bail!("the traffic is recorded between pods: run it as root (sudo -E cargo xtask bench replay)");
    }
    apt::ensure_programs(&[apt::TCPDUMP])?;
    build()?;
    let binaries = tools::rust_binaries()?;
    say("recording HTTP/1.1 between four pods");
    let http1 = traffic::http1(&binaries)?;
    say("recording gRPC between two pods");
    let grpc = traffic::grpc(&binaries)?;
    say("moving bodies and messages between a pod and the host, for the kernel's statistics");
    let kernel = kernel::measure(&binaries)?;
    explain_kernel(&kernel);
    say("replaying both recordings");
    let result = results(&http1, &grpc, &kernel)?;
    targets::lines(&result).for_each(|line| say(&line));
    if options.json {
        print(&result)?;
    }
    if options.check { targets::check(&result) } else { Ok(()) }
}

fn results(http1: &Path, grpc: &Path, kernel: &Value) -> Result<Value> {
    let (http1, grpc) = (replay("HTTP/1.1", http1)?, replay("gRPC", grpc)?);
    let bytes = |of: &Value, name: &str| of["idle"][name].as_u64().unwrap_or(0);
    let (http2, tables) =
        (bytes(&grpc, "bytes_per_connection"), bytes(&grpc, "header_table_bytes_per_connection"));
    let mut result = json!({
        "http1_exchanges_per_s": http1["throughput"]["exchanges_per_s"],
        "grpc_calls_per_s": grpc["throughput"]["exchanges_per_s"],
        "idle_connection_bytes": http1["idle"]["bytes_per_connection"],
        "idle_http2_connection_bytes": http2,
        "idle_http2_connection_bytes_without_header_tables": http2.saturating_sub(tables),
        "open_http1_connections_mib": http1["idle"]["resident_mib"],
        "open_grpc_connections_mib": grpc["idle"]["resident_mib"],
        "kernel_ns_per_segment": kernel,
        "http1": http1,
        "grpc": grpc,
    });
    let targets = targets::json(&result);
    result["targets"] = targets;
    Ok(result)
}

fn replay(what: &str, recording: &Path) -> Result<Value> {
    let recording = recording.to_str().context("the target folder's name is no UTF-8")?;
    let throughput = measure(&["throughput", recording])?;
    let idle = measure(&["idle", recording])?;
    explain(what, &throughput, &idle);
    Ok(json!({ "throughput": throughput, "idle": idle }))
}

fn explain(what: &str, throughput: &Value, idle: &Value) {
    say(&format!(
        "{what}: {} exchanges a second of one core (best {}, worst {}), from {} segments",
        throughput["exchanges_per_s"],
        throughput["exchanges_per_s_best"],
        throughput["exchanges_per_s_worst"],
        throughput["segments"],
    ));
    say(&format!(
        "{what}: {} connections that have talked and are idle: {} bytes each, of which {} are header tables; the process has {} MiB \
         for them",
        idle["connections"],
        idle["bytes_per_connection"],
        idle["header_table_bytes_per_connection"],
        idle["resident_mib"],
    ));
}

fn explain_kernel(kernel: &Value) {
    for (program, ns) in kernel.as_object().into_iter().flatten() {
        say(&format!(
            "{program}: {} ns for a bare acknowledgement, {} for a message of {} bytes, {} for {} bytes of a body that nobody \
             reads, {} for {} that are copied",
            ns["ack"],
            ns["payload"],
            ns["payload_bytes"],
            ns["body"],
            ns["body_bytes"],
            ns["copied"],
            ns["copied_bytes"],
        ));
    }
}

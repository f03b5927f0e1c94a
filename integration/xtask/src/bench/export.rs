//! `cargo xtask bench export`: spans at a rate to a real Collector.
use std::time::{Duration, Instant};

use anyhow::{Result, ensure};
use clap::Args;
use serde_json::{Value, json};
use weft_lab::{Lab, LabOptions, otelcol::Collector};

use super::{build, measure, print, say};

/// How long the Collector may take to write down what it counted.
const PATIENCE: Duration = Duration::from_secs(30);

#[derive(Args)]
pub struct Options {
    /// Print one JSON document at the end; everything else goes to stderr.
    #[arg(long)]
    json: bool,
    /// Spans a second.
    #[arg(long, default_value_t = 10_000)]
    rate: u32,
    /// For how long.
    #[arg(long, default_value_t = 60)]
    seconds: u32,
    /// Fail where a span is lost, or costs more than 20 us of a processor.
    #[arg(long)]
    check: bool,
}

/// What a span may cost, in us.
const MOST_US: f64 = 20.0;

pub fn execute(options: &Options) -> Result<()> {
    build()?;
    let lab = Lab::new(LabOptions::default())?;
    let mut runs = Vec::new();
    for protocol in ["grpc", "http"] {
        let run = run(&lab, protocol, options)?;
        say(&format!(
            "{protocol}: {} of {} spans reached the Collector, {:.1} us of a processor for each",
            run["received"],
            run["spans"],
            run["cpu_us_per_span"].as_f64().unwrap_or(f64::NAN)
        ));
        runs.push(run);
    }
    if options.check {
        runs.iter().try_for_each(check)?;
    }
    if options.json {
        print(&json!({ "rate": options.rate, "seconds": options.seconds, "runs": runs }))
    } else {
        Ok(())
    }
}

fn run(lab: &Lab, protocol: &str, options: &Options) -> Result<Value> {
    let collector = Collector::counting(lab)?;
    let endpoint = if protocol == "http" { collector.http() } else { collector.grpc() };
    let (rate, seconds) = (options.rate.to_string(), options.seconds.to_string());
    let arguments =
        ["export", "--endpoint", &endpoint, "--protocol", protocol, "--rate", &rate, "--seconds", &seconds];
    let mut result = measure(&arguments)?;
    let sent = result["sent"].as_u64().unwrap_or(0);
    let end = Instant::now() + PATIENCE;
    let mut received = collector.counted()?;
    while received < sent && Instant::now() < end {
        std::thread::sleep(Duration::from_millis(200));
        received = collector.counted()?;
    }
    result["received"] = received.into();
    result["protocol"] = protocol.into();
    Ok(result)
}

fn check(run: &Value) -> Result<()> {
    let (spans, received) = (&run["spans"], &run["received"]);
    ensure!(spans == received, "{} spans, and the Collector has {}", spans, received);
    let cost = run["cpu_us_per_span"].as_f64().unwrap_or(f64::INFINITY);
    ensure!(cost <= MOST_US, "{cost:.1} us for a span, {MOST_US} are allowed");
    Ok(())
}

//! `cargo xtask demo`: the main job on real input, from nothing to the last figure, and nothing left behind.
mod live;
mod phase;
mod report;
mod trace;

use std::time::Duration;

use anyhow::{Result, bail};
use clap::Args;
use nix::unistd::geteuid;
use serde_json::json;
use weft_lab::{Shop, apt, interrupt::Interrupt, shop, tools};
use weft_loader::{Pins, StatsGuard};

use self::report::Report;

/// Of the steady phase, a second.
const RATE: u32 = 2000;
const CONNECTIONS: u32 = 32;

#[derive(Args)]
pub struct Options {
    /// Seconds of steady load (half as many at full speed follow), then end. Without it: 20, and then light load until
    /// Ctrl-C.
    #[arg(long, value_parser = clap::value_parser!(u64).range(1..=3600))]
    seconds: Option<u64>,
    /// Print one JSON document at the end; everything else goes to stderr.
    #[arg(long)]
    json: bool,
}

pub fn execute(options: &Options) -> Result<()> {
    if !geteuid().is_root() {
        bail!(
            "the demo makes network namespaces and loads eBPF programs: run it as root (sudo -E cargo xtask demo)"
        );
    }
    let interrupt = Interrupt::catch()?;
    say("building weft, weft-cni, the Go services, and the CNI plugins from their Go modules");
    apt::ensure_programs(&[apt::TCPDUMP])?;
    let binaries = tools::rust_binaries()?;
    say("starting the agent, and four pods through cnitool: bridge, host-local, weft-cni");
    let mut shop = Shop::open(&binaries, json!({}))?;
    say(&format!("dashboard and API: {}", shop.agent.dashboard()?));
    let report = run_phases(&mut shop, options, &interrupt)?;
    let Some(report) = report else {
        say("interrupted; everything is being removed");
        return Ok(());
    };
    if options.json {
        live::stdout(&serde_json::to_string_pretty(&report)?);
    }
    report.explain();
    if options.seconds.is_none() {
        linger(&shop, &interrupt)?;
    }
    report.verdict()
}

/// None when somebody interrupts.
fn run_phases(shop: &mut Shop, options: &Options, interrupt: &Interrupt) -> Result<Option<Report>> {
    let seconds = options.seconds.unwrap_or(20);
    let pins = Pins::new(&shop.client.lab().bpffs());
    let wire_times = report::wire_times(shop)?;
    let stats = StatsGuard::enable()?;
    let steady = shop.load().rate(RATE).seconds(seconds).connections(CONNECTIONS);
    let Some(steady) = phase::run(shop, "steady", &steady, interrupt)? else { return Ok(None) };
    let full = shop.load().rate(0).seconds(seconds.div_ceil(2)).connections(CONNECTIONS);
    let Some(full) = phase::run(shop, "full speed", &full, interrupt)? else { return Ok(None) };
    let programs = report::programs(&pins)?;
    drop(stats);
    let traces = trace::recent(&shop.agent)?;
    Report::new(shop, vec![steady, full], programs, wire_times, traces).map(Some)
}

/// Keeps a little load going, so that there is something to look at.
fn linger(shop: &Shop, interrupt: &Interrupt) -> Result<()> {
    say(&format!("50 requests/s until Ctrl-C; look at {}", shop.agent.dashboard()?));
    let load = shop.start(&shop.load().rate(50).seconds(0).connections(4))?;
    while !interrupt.sleep(Duration::from_secs(1)) {
        live::show(&shop.agent)?;
    }
    load.stop()?;
    say("everything is being removed");
    Ok(())
}

/// The pods whose server's and client's sides must equal what was sent.
pub fn expected(sent: u64) -> [(&'static str, weft_lab::observed::Sides); 4] {
    use weft_lab::observed::Sides;
    let [gateway, orders, inventory] = shop::SERVERS;
    [
        ("client", Sides { server: 0, client: sent }),
        (gateway, Sides { server: sent, client: sent }),
        (orders, Sides { server: sent, client: sent }),
        (inventory, Sides { server: sent, client: 0 }),
    ]
}

pub fn say(line: &str) {
    eprintln!("demo: {line}");
}

//! The path for kernels without TCX, forced on one that has it: filters of a clsact qdisc. Needs root and Go.

mod counting;
mod host;

use std::process::Command;
use std::thread::sleep;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use aya::programs::tc::{NlOptions, TcAttachOptions, TcHandle};
use aya::programs::{SchedClassifier, TcAttachType};
use counting::{brief, counts_exactly, pods};
use host::{PATIENCE, device, instances};
use serde_json::{Value, json};
use weft_lab::apt::{self, Program};
use weft_lab::plugin::Call;
use weft_lab::tools::{self, RustBinaries};
use weft_lab::{Agent, Lab, LabOptions, Pod, Shop, Traces, WeftCni};
use weft_loader::netlink::{filters, has_clsact};
use weft_loader::{Device, InstallOptions, Pins, attached_programs, install};

/// For a qdisc as the CNI bandwidth plugin adds it.
const TC: Program = Program { binary: "tc", package: "iproute2", why: "to add an ingress qdisc" };

/// Priority and handle of a filter that is somebody else's.
const FOREIGN: (u16, u32) = (10, 0x0001_0002);

fn clsact() -> Value {
    json!({"capture": {"attach": "clsact", "ring_bytes": 1 << 20}})
}

/// A chain that ends with weft-cni, told to attach by clsact.
fn options(binaries: &RustBinaries) -> LabOptions {
    let keys = [("attach".to_owned(), json!("clsact"))].into_iter().collect();
    let weft_cni = WeftCni { binary: binaries.weft_cni.clone(), keys };
    LabOptions { weft_cni: Some(weft_cni), ..LabOptions::default() }
}

fn both_directions(device: &Device) -> Result<[Vec<(u16, u32)>; 2]> {
    let mut found = [filters(device.ifindex, true)?, filters(device.ifindex, false)?];
    // A dump also has a line for each priority, with handle 0 (net/sched/cls_api.c, tcf_chain_dump).
    found.iter_mut().for_each(|filters| filters.retain(|(_, handle)| *handle != 0));
    Ok(found)
}

/// One filter each way on every pod's device, and no TCX.
fn filters_once_each(shop: &Shop) -> Result<()> {
    for pod in pods(shop) {
        let (pins, device) = (Pins::new(&pod.lab().bpffs()), device(pod)?);
        ensure!(instances(&pins, &device)? == [1, 1], "{pod}: {}", shop.agent.stderr());
        ensure!(both_directions(&device)?.iter().all(|filters| filters.len() == 1), "{pod}: no filters");
        ensure!(pins.tc_links()?.is_empty(), "{pod}: TCX links");
        ensure!(attached_programs(&pins, &device) == 2, "{pod}");
    }
    Ok(())
}

#[test]
fn filters_count_what_tcx_counts_also_after_a_restart() -> Result<()> {
    let binaries = tools::rust_binaries()?;
    let lab = Lab::new(options(&binaries))?;
    let agent = Agent::start(&lab, &binaries.weft, clsact())?;
    let mut shop = Shop::with_agent(&lab, agent)?;
    filters_once_each(&shop)?;
    counts_exactly(&shop, &brief(&shop))?;
    shop.agent.restart()?;
    filters_once_each(&shop)?;
    counts_exactly(&shop, &brief(&shop))?;
    let traces = Traces::of(&lab, &pods(&shop), &[]);
    drop((shop, lab));
    ensure!(traces.found().is_empty(), "{:?}", traces.found());
    Ok(())
}

#[test]
fn an_agent_that_changes_its_mind_attaches_nothing_twice() -> Result<()> {
    let binaries = tools::rust_binaries()?;
    let lab = Lab::new(options(&binaries))?;
    let agent = Agent::start(&lab, &binaries.weft, clsact())?;
    let mut shop = Shop::with_agent(&lab, agent)?;
    shop.agent.write_config(json!({"capture": {"attach": "auto", "ring_bytes": 1 << 20}}))?;
    shop.agent.restart()?;
    filters_once_each(&shop)?;
    counts_exactly(&shop, &brief(&shop))
}

/// A pod of a chain without weft-cni, the pinned programs, and the plugin to be called by hand.
struct Bench {
    // Before the bpffs goes.
    pod: Pod,
    agent: Agent,
    lab: Lab,
    binaries: RustBinaries,
}

impl Bench {
    fn new() -> Result<Self> {
        let binaries = tools::rust_binaries()?;
        let lab = Lab::new(LabOptions::default())?;
        let agent = Agent::prepare(&lab, &binaries.weft, clsact())?;
        let pod = Pod::create(&lab, "shop", "orders")?;
        Ok(Self { pod, agent, lab, binaries })
    }

    fn pins(&self) -> Pins {
        Pins::new(&self.lab.bpffs())
    }

    fn pin(&self, pins: &Pins) -> Result<()> {
        install(pins, &InstallOptions { ring_bytes: 64 << 10, cgroup: None })?;
        Ok(())
    }

    fn call(&self, command: &str, attach: &str) -> Call {
        let stdin = json!({
            "cniVersion": "1.1.0", "name": self.lab.id(), "type": "weft-cni", "attach": attach,
            "bpffs": self.lab.bpffs(), "stateDir": self.lab.state_dir(),
            "prevResult": {"cniVersion": "1.1.0", "x-unknown": [1]},
        });
        Call::new(&self.binaries.weft_cni, command, "by-hand", self.pod.netns().path(), &stdin)
            .env("CNI_ARGS", "K8S_POD_NAMESPACE=shop;K8S_POD_NAME=orders")
    }
}

/// A filter that is neither the loader's nor pinned.
fn attach_foreign(pins: &Pins, device: &Device) -> Result<()> {
    let (priority, handle) = (FOREIGN.0, TcHandle::new(1, 2));
    let mut program = SchedClassifier::from_pin(pins.program("tc_ingress"))?;
    let options = TcAttachOptions::Netlink(NlOptions { priority, handle, classid: None });
    let id = program.attach_with_options(&device.name, TcAttachType::Ingress, options)?;
    // It belongs to the qdisc; dropping the link would detach it.
    std::mem::forget(program.take_link(id)?);
    Ok(())
}

#[test]
fn del_leaves_the_filters_of_others() -> Result<()> {
    let bench = Bench::new()?;
    let (pins, veth) = (bench.pins(), device(&bench.pod)?);
    bench.pin(&pins)?;
    let answer = bench.call("ADD", "clsact").run()?;
    ensure!(answer.code == Some(0) && answer.stderr.contains("Clsact"), "{answer:?}");
    ensure!(instances(&pins, &veth)? == [1, 1]);
    attach_foreign(&pins, &veth)?;
    for time in ["the first", "the second"] {
        let answer = bench.call("DEL", "clsact").run()?;
        ensure!(answer.code == Some(0) && answer.stdout.is_empty(), "{time} DEL: {answer:?}");
        ensure!(instances(&pins, &veth)? == [0, 0], "{time} DEL left ours");
        ensure!(both_directions(&veth)? == [vec![FOREIGN], Vec::new()], "{:?}", both_directions(&veth)?);
        ensure!(has_clsact(veth.ifindex)?, "the qdisc is not ours to remove");
    }
    Ok(())
}

fn tc(arguments: &[&str]) -> Result<()> {
    apt::ensure_programs(&[TC])?;
    let program = tools::find_program("tc").context("no tc")?;
    let output = Command::new(program).args(arguments).output()?;
    ensure!(output.status.success(), "tc {arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
    Ok(())
}

#[test]
fn a_pod_with_an_ingress_qdisc_starts_and_the_log_says_why_it_is_not_traced() -> Result<()> {
    let bench = Bench::new()?;
    let (pins, veth) = (bench.pins(), device(&bench.pod)?);
    bench.pin(&pins)?;
    tc(&["qdisc", "add", "dev", &veth.name, "ingress"])?;
    let add = bench.call("ADD", "clsact");
    let answer = add.run()?;
    ensure!(answer.code == Some(0) && answer.stderr.lines().count() == 1, "{answer:?}");
    let (stdin, stdout): (Value, Value) =
        (serde_json::from_str(&add.stdin)?, serde_json::from_str(&answer.stdout)?);
    ensure!(stdout == stdin["prevResult"], "{answer:?}");
    let says = format!("{}: cannot add a clsact qdisc, another ingress qdisc is there", veth.name);
    ensure!(answer.stderr.contains(&says), "{answer:?}");
    ensure!(instances(&pins, &veth)? == [0, 0]);
    // TCX needs no qdisc.
    let answer = bench.call("ADD", "auto").run()?;
    ensure!(answer.code == Some(0) && answer.stderr.contains("Tcx"), "{answer:?}");
    ensure!(instances(&pins, &veth)? == [1, 1]);
    Ok(())
}

#[test]
fn the_agent_says_it_too_and_attaches_when_the_qdisc_is_gone() -> Result<()> {
    let mut bench = Bench::new()?;
    let veth = device(&bench.pod)?;
    tc(&["qdisc", "add", "dev", &veth.name, "ingress"])?;
    bench.agent.restart()?;
    let says = format!("{}: cannot add a clsact qdisc", veth.name);
    let log = bench.agent.stderr();
    ensure!(log.matches(&says).count() == 1 && log.contains("shop/orders"), "{log}");
    tc(&["qdisc", "del", "dev", &veth.name, "ingress"])?;
    let (pins, end) = (bench.pins(), Instant::now() + PATIENCE);
    while instances(&pins, &veth)? != [1, 1] {
        ensure!(Instant::now() < end, "{}", bench.agent.stderr());
        sleep(Duration::from_millis(100));
    }
    ensure!(both_directions(&veth)?.iter().all(|filters| filters.len() == 1));
    Ok(())
}

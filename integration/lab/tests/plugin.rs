//! weft-cni in the real chain, on the real kernel, with no agent running: whatever is attached, the plugin
//! attached. Needs root and Go.

mod host;
mod node;

use std::fs;
use std::path::Path;
use std::thread;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use host::{device, instances};
use nix::mount::{MntFlags, MsFlags, mount, umount2};
use node::{Node, pin, plain};
use serde_json::{Value, json};
use weft_abi::{VANTAGE_SOCKETS, VANTAGE_VETH};
use weft_lab::plugin::{Answer, Call};
use weft_lab::{LabOptions, Observed, Pod, Service, Traces, WeftCni};
use weft_loader::{
    AttachMode, Device, Pins, Vantages, attach, attached_programs, detach, host_vantage,
    netns::current_cookie, pod_sockets, remove_all,
};

/// Of the map `VANTAGES` (tc-probes/ebpf, maps.rs).
const MAX_VANTAGES: u64 = 16384;

fn is_entered(pins: &Pins, pod: &Pod) -> Result<[bool; 2]> {
    let vantages = Vantages::open(pins)?;
    let host = host_vantage(current_cookie()?, device(pod)?.ifindex);
    Ok([vantages.contains(host), vantages.contains(pod_sockets(pod.netns().cookie()?))])
}

fn traced_through_the_chain(cni_version: &str, has_check: bool) -> Result<()> {
    let node = Node::with_pins(cni_version)?;
    let pins = node.pins();
    let pod = Pod::create(&node.lab, "shop", "orders")?;
    ensure!(pod.result().cni_version == cni_version, "{:?}", pod.result());
    ensure!(instances(&pins, &device(&pod)?)? == [1, 1], "{}", pod.log());
    ensure!(attached_programs(&pins, &device(&pod)?) == 2);
    ensure!(is_entered(&pins, &pod)? == [true, true]);
    let kinds: Vec<u32> = Vantages::open(&pins)?.read().iter().map(|vantage| vantage.kind).collect();
    ensure!(kinds.contains(&u32::from(VANTAGE_VETH)) && kinds.contains(&u32::from(VANTAGE_SOCKETS)));
    let record = node.record(&pod)?.context("no record of the pod")?;
    ensure!((record.namespace.as_deref(), record.uid.as_deref()) == (Some("shop"), Some(pod.uid())));
    ensure!(record.netns_cookie == Some(pod.netns().cookie()?), "{record:?}");
    ensure!(record.netns_inode == Some(pod.netns().inode()?), "{record:?}");
    ensure!(record.host_ifindex == Some(device(&pod)?.ifindex), "{record:?}");
    ensure!(record.addresses == pod.addresses().collect::<Vec<_>>(), "{record:?}");
    ensure!(record.network.as_deref() == Some(node.lab.id()), "{record:?}");
    if has_check {
        pod.check()?;
    }
    for time in ["the first", "the second"] {
        pod.delete().with_context(|| format!("{time} DEL"))?;
        ensure!(pins.tc_links()?.is_empty(), "{:?}", pins.tc_links());
        ensure!(node.record(&pod)?.is_none());
    }
    let traces = Traces::of(&node.lab, &[&pod], &[]);
    drop((pod, node));
    ensure!(traces.found().is_empty(), "{:?}", traces.found());
    Ok(())
}

#[test]
fn every_version_of_the_specification_traces_a_pod_and_lets_it_go() -> Result<()> {
    // CHECK came with 0.4.0.
    for (version, has_check) in [("0.3.1", false), ("0.4.0", true), ("1.0.0", true), ("1.1.0", true)] {
        traced_through_the_chain(version, has_check).context(version)?;
    }
    Ok(())
}

#[test]
fn check_says_what_is_not_attached_where_that_is_a_failure() -> Result<()> {
    let node = Node::with_pins("1.1.0")?;
    let pod = Pod::create(&node.lab, "shop", "orders")?;
    let fail = WeftCni {
        binary: node.binaries.weft_cni.clone(),
        keys: [("failurePolicy".to_owned(), json!("Fail"))].into_iter().collect(),
    };
    node.lab.write_conflist(&LabOptions { weft_cni: Some(fail), ..LabOptions::default() })?;
    pod.check()?;
    detach(&node.pins(), &device(&pod)?, pod.netns().cookie()?)?;
    let error = pod.check().err().context("CHECK found nothing missing")?.to_string();
    ensure!(error.contains(&format!("the programs are not on {}", pod.host_veth())), "{error}");
    Ok(())
}

#[test]
fn del_undoes_it_all_whatever_is_left_of_the_netns() -> Result<()> {
    for (netns, path) in [("no word of it", ""), ("a path that leads nowhere", "/run/netns/weft-no-such")] {
        let node = Node::with_pins("1.0.0")?;
        let pod = Pod::create(&node.lab, "shop", "orders")?;
        let record = node.record(&pod)?.context("no record of the pod")?;
        let del = node.call_for("DEL", &record.container_id, &pod).env("CNI_NETNS", path);
        let answer = del.run()?;
        ensure!((answer.code, answer.stdout.as_str()) == (Some(0), ""), "{netns}: {answer:?}");
        ensure!(settle_at(&node.pins(), &device(&pod)?, [0, 0])?, "{netns}: still attached");
        ensure!(node.pins().tc_links()?.is_empty() && node.record(&pod)?.is_none(), "{netns}");
    }
    Ok(())
}

#[test]
fn the_chain_lets_a_pod_go_whose_netns_is_gone() -> Result<()> {
    let node = Node::with_pins("1.1.0")?;
    let pod = Pod::create(&node.lab, "shop", "orders")?;
    umount2(pod.netns().path(), MntFlags::MNT_DETACH)?;
    fs::remove_file(pod.netns().path())?;
    pod.delete()?;
    ensure!(node.pins().tc_links()?.is_empty() && node.record(&pod)?.is_none());
    Ok(())
}

#[test]
fn a_repeated_add_attaches_nothing_twice() -> Result<()> {
    let node = Node::with_pins("1.1.0")?;
    let pod = Pod::create(&node.lab, "shop", "orders")?;
    let record = node.record(&pod)?.context("no record of the pod")?;
    let answer = node.call_for("ADD", &record.container_id, &pod).run()?;
    ensure!(answer.code == Some(0) && answer.stderr.contains("already"), "{answer:?}");
    ensure!(instances(&node.pins(), &device(&pod)?)? == [1, 1]);
    ensure!(node.state().records()?.0.len() == 1);
    Ok(())
}

#[test]
fn somebody_elses_programs_stay() -> Result<()> {
    let node = Node::with_pins("1.1.0")?;
    // The programs once more, under another root: to the plugin they are as foreign as any.
    let foreign = Pins::new(&node.lab.bpffs().join("foreign"));
    pin(&foreign)?;
    plain(&node)?;
    let pod = Pod::create(&node.lab, "shop", "orders")?;
    let veth = device(&pod)?;
    attach(&foreign, &veth, pod.netns().cookie()?, AttachMode::Auto)?;
    for (command, ours) in [("ADD", [1, 1]), ("DEL", [0, 0]), ("DEL", [0, 0])] {
        let answer = node.call(command, &pod).run()?;
        ensure!(answer.code == Some(0), "{command}: {answer:?}");
        ensure!(settle_at(&node.pins(), &veth, ours)?, "{command}: {answer:?}");
        ensure!(instances(&foreign, &veth)? == [1, 1], "{command} touched what is not its own");
    }
    remove_all(&foreign)?;
    Ok(())
}

/// What is wrong with the node, or with what the plugin was told; and what the log has to say of it.
struct Trouble {
    name: &'static str,
    make: fn(&Node) -> Result<()>,
    /// CNI_NETNS, where it is not the pod's.
    netns: Option<&'static str>,
    says: &'static str,
    /// Whether the programs are on the pod's device all the same.
    attached: bool,
    /// How the log line goes on behind the pod's name.
    begins: &'static str,
}

const TROUBLES: [Trouble; 5] = [
    Trouble {
        name: "the netns is gone",
        make: |_| Ok(()),
        netns: Some("/run/netns/weft-no-such"),
        says: "cannot look into CNI_NETNS (/run/netns/weft-no-such",
        attached: false,
        begins: "not traced yet: ",
    },
    Trouble {
        name: "no bpffs",
        make: |node| Ok(umount2(&node.lab.bpffs(), MntFlags::MNT_DETACH)?),
        netns: None,
        says: "no weft programs are pinned here",
        attached: false,
        begins: "not traced yet: ",
    },
    Trouble {
        name: "no pinned programs",
        make: |node| Ok(remove_all(&node.pins())?),
        netns: None,
        says: "no weft programs are pinned here",
        attached: false,
        begins: "not traced yet: ",
    },
    Trouble {
        name: "a read-only state folder",
        make: |node| read_only(&node.lab.state_dir()),
        netns: None,
        says: "the pod's record cannot be written",
        attached: true,
        begins: "traced, but ",
    },
    Trouble {
        name: "the map of vantages is full",
        make: |node| fill_vantages(&node.pins()),
        netns: None,
        says: "VANTAGES is full",
        attached: true,
        begins: "not traced yet: ",
    },
];

/// Root ignores modes, but not a mount's.
fn read_only(folder: &Path) -> Result<()> {
    fs::create_dir_all(folder)?;
    mount(Some("tmpfs"), folder, Some("tmpfs"), MsFlags::MS_RDONLY, None::<&str>)?;
    Ok(())
}

/// With entries of devices that no netns has: cookies count up from boot.
fn fill_vantages(pins: &Pins) -> Result<()> {
    let mut vantages = Vantages::open(pins)?;
    for netns in 0..MAX_VANTAGES {
        insert(&mut vantages, netns)?;
    }
    Ok(())
}

/// The kernel makes pages for per-CPU values behind the scenes, and may be behind somebody who takes thousands at once.
fn insert(vantages: &mut Vantages, netns: u64) -> Result<()> {
    let mut insert = || vantages.insert(host_vantage(u64::MAX - netns, 1), u64::MAX, VANTAGE_VETH);
    for _ in 0..200 {
        if insert().is_ok() {
            return Ok(());
        }
        thread::sleep(Duration::from_millis(10));
    }
    insert().map(drop).map_err(Into::into)
}

/// Whether so many of the programs' instances are attached, at the latest in a moment: the kernel detaches those of a link
/// that was unlinked when nobody looks at it any more.
fn settle_at(pins: &Pins, device: &Device, expected: [usize; 2]) -> Result<bool> {
    for _ in 0..200 {
        if instances(pins, device)? == expected {
            return Ok(true);
        }
        thread::sleep(Duration::from_millis(10));
    }
    Ok(false)
}

/// ADD by hand for a pod that the chain made without weft-cni, on a node in trouble.
fn add_in(trouble: &Trouble) -> Result<()> {
    let node = Node::with_pins("1.1.0")?;
    plain(&node)?;
    let pod = Pod::create(&node.lab, "shop", "orders")?;
    (trouble.make)(&node)?;
    let mut add = node.call("ADD", &pod);
    if let Some(netns) = trouble.netns {
        add = add.env("CNI_NETNS", netns);
    }
    starts_all_the_same(&add, trouble)?;
    if node.pins().exist() {
        let expected = if trouble.attached { [1, 1] } else { [0, 0] };
        ensure!(instances(&node.pins(), &device(&pod)?)? == expected, "attached: not {expected:?}");
    }
    let mut stdin = node.stdin(&pod);
    stdin["failurePolicy"] = json!("Fail");
    fails_with(&add.stdin(stdin.to_string()).run()?, 100, trouble.says)
}

/// Exit 0, prevResult as it came, and one line in the log.
fn starts_all_the_same(add: &Call, trouble: &Trouble) -> Result<()> {
    let Trouble { begins, says, .. } = trouble;
    let answer = add.run()?;
    ensure!(answer.code == Some(0), "{answer:?}");
    let stdin: Value = serde_json::from_str(&add.stdin)?;
    ensure!(serde_json::from_str::<Value>(&answer.stdout)? == stdin["prevResult"], "{answer:?}");
    ensure!(answer.stderr.lines().count() == 1, "not one line: {answer:?}");
    ensure!(answer.stderr.starts_with(&format!("weft-cni: ADD shop/orders (eth0): {begins}")), "{answer:?}");
    ensure!(answer.stderr.contains(says), "not said: {says}: {answer:?}");
    Ok(())
}

/// The specification's error on stdout, and exit 1.
fn fails_with(answer: &Answer, code: u64, says: &str) -> Result<()> {
    ensure!(answer.code == Some(1) && answer.error_code() == Some(code), "{answer:?}");
    let error: Value = serde_json::from_str(&answer.stdout)?;
    ensure!(error["cniVersion"] == "1.1.0", "{error}");
    ensure!(error["msg"].as_str().is_some_and(|message| message.contains(says)), "{error}");
    Ok(())
}

#[test]
fn the_pod_starts_whatever_is_wrong_with_the_node() -> Result<()> {
    for trouble in &TROUBLES {
        add_in(trouble).context(trouble.name)?;
    }
    Ok(())
}

#[test]
fn what_the_specification_calls_an_error_is_one_and_touches_nothing() -> Result<()> {
    let node = Node::with_pins("1.1.0")?;
    plain(&node)?;
    let pod = Pod::create(&node.lab, "shop", "orders")?;
    let without = |key: &str, value: Value| {
        let mut stdin = node.stdin(&pod);
        stdin[key] = value;
        stdin.to_string()
    };
    let inputs = [
        ("empty stdin", String::new(), 6, "no JSON object"),
        ("no prevResult", without("prevResult", Value::Null), 7, "behind the plugin"),
        ("an unknown version", without("cniVersion", json!("9.9.9")), 1, "9.9.9"),
    ];
    for (name, stdin, code, says) in inputs {
        fails_with(&node.call("ADD", &pod).stdin(stdin).run()?, code, says).context(name)?;
        ensure!(instances(&node.pins(), &device(&pod)?)? == [0, 0], "{name}: attached");
        ensure!(is_entered(&node.pins(), &pod)? == [false, false], "{name}: entered");
        ensure!(node.state().records()?.0.is_empty(), "{name}: recorded");
    }
    Ok(())
}

#[test]
fn a_pod_that_started_untraced_is_traced_when_the_agent_comes() -> Result<()> {
    let mut node = Node::new("1.1.0")?;
    let pod = Pod::create(&node.lab, "shop", "orders")?;
    ensure!(pod.log().contains("not traced yet"), "{}", pod.log());
    let _service = Service::inventory(&pod)?;
    node.agent.restart()?;
    let name = pod.to_string();
    let seen = Observed::wait(&node.agent, host::PATIENCE, |seen| seen.exchanges.contains_key(&name))?;
    ensure!(seen.exchanges.contains_key(&name), "{seen:?}; {}", node.agent.stderr());
    ensure!(instances(&node.pins(), &device(&pod)?)? == [1, 1], "{}", node.agent.stderr());
    ensure!(attached_programs(&node.pins(), &device(&pod)?) == 2);
    Ok(())
}

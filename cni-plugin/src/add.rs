//! ADD: the pod's entries in the pinned map, its record, the programs on its device. Each part is tried whatever
//! came of the others, and the pod starts.
use weft_abi::{VANTAGE_SOCKETS, VANTAGE_VETH, VantageKey};
use weft_loader::{
    Attached, LoaderError, Pins, Vantages, attach, host_vantage,
    netns::current_cookie,
    pod_sockets,
    state::{PodRecord, StateDir},
};

use crate::{
    args::Args,
    config::Config,
    error::CniError,
    hint,
    log::{Level, Log},
    missed::{self, Missed},
    pod::{self, Pod},
    previous, rescue,
    steps::Steps,
};

/// Gives prevResult back as it came.
///
/// # Errors
/// Where the specification wants one; with failurePolicy Fail, when anything of it could not be done.
pub(crate) fn run(args: &Args, config: &Config, steps: Steps) -> Result<String, CniError> {
    let version = config.version()?;
    let prev_result = config.prev_result.as_deref().ok_or(CniError::NotChained)?;
    let log = Log::new(config.log_level, format!("ADD {}", args.subject()));
    rescue::with_answer(version, prev_result, config.failure_policy);
    for doubt in &config.doubts {
        log.line(Level::Warn, doubt);
    }
    let mut add = Add { args, config, missed: Vec::new(), steps };
    let attached = add.trace(prev_result);
    let Add { missed, mut steps, .. } = add;
    let hint = format!("ADD {}@{}", args.container_id, args.interface);
    hint::send(&StateDir::new(&config.state_dir), &hint, &log);
    steps.done("hint");
    log.line(Level::Debug, &steps.summary());
    match attached {
        Some(attached) if missed.is_empty() => log.line(Level::Info, &attached),
        _ => missed::settle(missed, config.failure_policy, &log)?,
    }
    Ok(prev_result.to_owned())
}

struct Add<'a> {
    args: &'a Args,
    config: &'a Config,
    missed: Vec<Missed>,
    steps: Steps,
}

impl Add<'_> {
    /// Everything that makes the pod traced, in this order: the map's entries before the programs, or its first
    /// packets would be nobody's; the record before the programs, which take longest, so that DEL knows what to
    /// undo even where this process is killed meanwhile.
    fn trace(&mut self, prev_result: &str) -> Option<String> {
        let (pod, missed) = pod::look(&self.args.netns, &self.args.interface);
        let host_netns = matches!(missed, Some(Missed::HostNetns));
        self.missed.extend(missed);
        self.steps.done("netns");
        if host_netns {
            return None;
        }
        let pins = Pins::new(&self.config.bpffs);
        let pinned = self.check_pinned(&pins);
        if pinned {
            self.enter_vantages(&pins, &pod);
            self.steps.done("vantages");
        }
        self.write_record(&pod, prev_result);
        self.steps.done("record");
        if pinned { self.attach(&pins, &pod) } else { None }
    }

    fn check_pinned(&mut self, pins: &Pins) -> bool {
        let pinned = pins.exist();
        if !pinned {
            self.missed.push(Missed::Programs(LoaderError::NotInstalled { path: pins.root().into() }));
        }
        pinned
    }

    fn enter_vantages(&mut self, pins: &Pins, pod: &Pod) {
        let Some(cookie) = pod.cookie else { return };
        self.missed.extend(enter(pins, cookie, pod).err().map(Missed::Vantages));
    }

    fn write_record(&mut self, pod: &Pod, prev_result: &str) {
        let record = record(self.args, self.config, pod, prev_result);
        let written = StateDir::new(&self.config.state_dir).write(&record);
        self.missed.extend(written.err().map(Missed::Record));
    }

    /// Says where and how.
    fn attach(&mut self, pins: &Pins, pod: &Pod) -> Option<String> {
        let (Some(cookie), Some(device)) = (pod.cookie, &pod.device) else { return None };
        let attached = attach(pins, device, cookie, self.config.attach.into());
        self.steps.done("attach");
        match attached {
            Ok(Attached::New(mechanism)) => Some(format!("traced at {} ({mechanism:?})", device.name)),
            Ok(Attached::Already) => Some(format!("traced at {} already", device.name)),
            Err(error) => {
                self.missed.push(Missed::Attach(error));
                None
            }
        }
    }
}

/// The entry of the pod's sockets needs no device: a pod without a veth has at least those.
fn enter(pins: &Pins, cookie: u64, pod: &Pod) -> Result<(), LoaderError> {
    let mut vantages = Vantages::open(pins)?;
    let mut insert = |key: VantageKey, kind| vantages.insert(key, cookie, kind).map(drop);
    let device = match &pod.device {
        Some(device) => insert(host_vantage(current_cookie()?, device.ifindex), VANTAGE_VETH),
        None => Ok(()),
    };
    insert(pod_sockets(cookie), VANTAGE_SOCKETS).and(device)
}

fn record(args: &Args, config: &Config, pod: &Pod, prev_result: &str) -> PodRecord {
    let Args { container_id, netns, interface, namespace, name, uid } = args.clone();
    PodRecord {
        container_id,
        interface,
        netns_path: netns,
        netns_inode: pod.inode,
        netns_cookie: pod.cookie,
        host_ifindex: pod.device.as_ref().map(|device| device.ifindex),
        namespace,
        name,
        uid,
        network: config.network.clone(),
        addresses: previous::addresses(prev_result),
    }
}

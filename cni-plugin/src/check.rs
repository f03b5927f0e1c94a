//! CHECK: whether the pod is traced. Under failurePolicy Ignore it only logs: an untraced pod is no broken pod.
use weft_loader::{
    Device, LoaderError, Pins, Vantages, attached_programs, host_vantage, netns::current_cookie, pod_sockets,
};

use crate::{
    args::Args,
    config::Config,
    error::CniError,
    log::Log,
    missed::{self, Missed},
    pod::{self, Pod},
    version::WITHOUT_CHECK,
};

/// Ingress and egress.
const PROGRAMS: usize = 2;

/// Gives what goes to stdout: nothing.
///
/// # Errors
/// Where the specification wants one; with failurePolicy Fail, when the pod is not in the map or the programs are not
/// on its device.
pub(crate) fn run(args: &Args, config: &Config) -> Result<String, CniError> {
    if config.version()? == WITHOUT_CHECK {
        return Err(CniError::NoCheck);
    }
    let missed = missing(args, config);
    if !missed.is_empty() {
        let log = Log::new(config.log_level, format!("CHECK {}", args.subject()));
        missed::settle(missed, config.failure_policy, &log)?;
    }
    Ok(String::new())
}

fn missing(args: &Args, config: &Config) -> Vec<Missed> {
    let (pod, missed) = pod::look(&args.netns, &args.interface);
    let mut missing: Vec<_> = missed.into_iter().collect();
    let pins = Pins::new(&config.bpffs);
    if !pins.exist() {
        missing.push(Missed::Programs(LoaderError::NotInstalled { path: pins.root().into() }));
    } else if let Pod { cookie: Some(cookie), device: Some(device), .. } = pod {
        missing.extend((!is_entered(&pins, cookie, &device)).then_some(Missed::NotEntered));
        let attached = attached_programs(&pins, &device) == PROGRAMS;
        missing.extend((!attached).then_some(Missed::NotAttached { device: device.name }));
    }
    missing
}

fn is_entered(pins: &Pins, cookie: u64, device: &Device) -> bool {
    let (Ok(vantages), Ok(host)) = (Vantages::open(pins), current_cookie()) else { return false };
    vantages.contains(pod_sockets(cookie)) && vantages.contains(host_vantage(host, device.ifindex))
}

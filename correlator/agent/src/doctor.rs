//! What this kernel, node and configuration allow, what is missing, and what to do about it. Each check looks at
//! the real thing: the programs are shown to the verifier.
mod cluster;

use std::{
    fs,
    path::{Path, PathBuf},
};

use anyhow::Result;
use rustix::system::uname;
use serde::Serialize;
use weft_loader::{KernelTypes, SocketSource, cgroup2_root, is_bpffs, netns, try_load};

use crate::{config::Config, output};

/// What a check found.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Verdict {
    /// As it should be.
    Ok,
    /// weft works, and lacks something.
    Degraded,
    /// The agent cannot run.
    Missing,
}

/// One thing that was looked at.
#[derive(Clone, Debug, Serialize)]
pub struct Check {
    /// What.
    pub name: String,
    /// How it is.
    pub verdict: Verdict,
    /// What was seen.
    pub seen: String,
    /// What to do about it; empty when there is nothing to do.
    pub remedy: String,
}

/// `weft doctor`: says it all; fails when the agent could not run.
pub fn run(config: &Config, json: bool) -> Result<()> {
    let mut checks = examine(config);
    checks.extend(programs(&checks));
    checks.extend(cluster::examine(&config.identity));
    if json {
        output::line(&serde_json::to_string_pretty(&checks)?);
    } else {
        checks.iter().for_each(|check| output::line(&check.to_string()));
    }
    match checks.iter().filter(|check| check.verdict == Verdict::Missing).count() {
        0 => Ok(()),
        missing => anyhow::bail!("{missing} of {} checks: the agent cannot run on this node", checks.len()),
    }
}

/// What the agent needs, but for what loading the programs tells by itself.
pub fn examine(config: &Config) -> Vec<Check> {
    let mut checks = capabilities();
    checks.push(kernel_release());
    checks.push(kernel_types());
    checks.push(netns_cookie());
    checks.push(tcx());
    checks.push(bpffs(&config.paths.bpffs));
    checks.push(cgroup(config));
    checks.push(state_dir(&config.paths.state_dir));
    checks
}

impl std::fmt::Display for Check {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let mark = match self.verdict {
            Verdict::Ok => "ok      ",
            Verdict::Degraded => "degraded",
            Verdict::Missing => "MISSING ",
        };
        write!(f, "{mark}  {:<22} {}", self.name, self.seen)?;
        if self.remedy.is_empty() { Ok(()) } else { write!(f, "\n          -> {}", self.remedy) }
    }
}

fn ok(name: &str, seen: impl Into<String>) -> Check {
    Check { name: name.into(), verdict: Verdict::Ok, seen: seen.into(), remedy: String::new() }
}

fn bad(verdict: Verdict, name: &str, seen: impl Into<String>, remedy: impl Into<String>) -> Check {
    Check { name: name.into(), verdict, seen: seen.into(), remedy: remedy.into() }
}

/// Bits of CapEff (include/uapi/linux/capability.h), and what the agent does with each.
const CAPABILITIES: [(&str, u32, &str); 4] = [
    ("CAP_BPF", 39, "loads programs and maps"),
    ("CAP_NET_ADMIN", 12, "attaches TC and sockops programs"),
    ("CAP_PERFMON", 38, "lets programs read kernel memory and sit on tracepoints"),
    ("CAP_SYS_ADMIN", 21, "enters the pods' network namespaces and mounts bpffs"),
];

fn capabilities() -> Vec<Check> {
    let effective =
        fs::read_to_string("/proc/self/status").ok().and_then(|status| effective_capabilities(&status));
    let Some(effective) = effective else {
        return vec![bad(Verdict::Missing, "capabilities", "/proc/self/status has no CapEff", "mount /proc")];
    };
    CAPABILITIES
        .iter()
        .map(|(name, bit, use_)| {
            if effective & (1 << bit) != 0 {
                ok(name, *use_)
            } else {
                bad(
                    Verdict::Missing,
                    name,
                    format!("not held; it {use_}"),
                    format!("run as root, or grant it (securityContext.capabilities.add: [{}])", &name[4..]),
                )
            }
        })
        .collect()
}

fn effective_capabilities(status: &str) -> Option<u64> {
    let line = status.lines().find_map(|line| line.strip_prefix("CapEff:"))?;
    u64::from_str_radix(line.trim(), 16).ok()
}

/// Major and minor number of the running kernel.
fn release() -> (String, (u32, u32)) {
    let name = uname().release().to_string_lossy().into_owned();
    let mut numbers = name.split(|c: char| !c.is_ascii_digit()).map_while(|number| number.parse().ok());
    let version = (numbers.next().unwrap_or(0), numbers.next().unwrap_or(0));
    (name, version)
}

fn kernel_release() -> Check {
    let (name, version) = release();
    if version >= (5, 14) {
        return ok("kernel", name);
    }
    bad(Verdict::Missing, "kernel", name, "5.14 or newer has what weft needs: ring buffers and netns cookies")
}

fn kernel_types() -> Check {
    match KernelTypes::from_kernel() {
        Ok(_) => ok("BTF", "/sys/kernel/btf/vmlinux"),
        Err(error) => {
            bad(Verdict::Missing, "BTF", error.to_string(), "run a kernel built with CONFIG_DEBUG_INFO_BTF=y")
        }
    }
}

fn netns_cookie() -> Check {
    match netns::current_cookie() {
        Ok(cookie) => ok("netns cookies", format!("this netns is {cookie}")),
        Err(error) => bad(Verdict::Missing, "netns cookies", error.to_string(), "run kernel 5.14 or newer"),
    }
}

/// What sockets and processes tell is an addition; the TC programs are the main job.
fn programs(so_far: &[Check]) -> Vec<Check> {
    const NAME: &str = "eBPF programs";
    if so_far.iter().any(|check| check.verdict == Verdict::Missing) {
        return vec![bad(Verdict::Missing, NAME, "not tried", "first mend what is missing above")];
    }
    match try_load() {
        Ok(tried) => {
            let programs = tried.programs.into_iter().map(|(name, result)| program(name, result));
            std::iter::once(sockets(tried.sockets)).chain(programs).collect()
        }
        Err(error) => vec![bad(Verdict::Missing, NAME, error.to_string(), "see the kernel's answer")],
    }
}

fn program(name: &str, result: weft_loader::Result<()>) -> Check {
    let label = format!("program {name}");
    let Err(error) = result else { return ok(&label, "the verifier takes it") };
    let optional = !name.starts_with("tc_");
    bad(
        if optional { Verdict::Degraded } else { Verdict::Missing },
        &label,
        first_line(&error),
        match name {
            _ if name.starts_with("sock_") || name.starts_with("tcp_") => "see socket I/O above",
            "process_exec" | "process_exit" => {
                "without it a new process is found at the next look at /proc only"
            }
            "go_call" | "go_status" => {
                "kernel 5.15 or newer has what it needs; without it calls between goroutines are not followed"
            }
            "go_count" => {
                "kernel 5.15 or newer has what it needs; without it metrics.custom has no metrics of Go functions"
            }
            "weft_sockops" => "without it connect latency, RTT and retransmissions stay unknown",
            _ => {
                "the kernel refused a program that weft cannot do without: report it with this kernel's version"
            }
        },
    )
}

/// Which programs listen to sends and receives.
fn sockets(source: Option<SocketSource>) -> Check {
    const NAME: &str = "socket I/O";
    match source {
        Some(SocketSource::Kprobes) => bad(
            Verdict::Degraded,
            NAME,
            SocketSource::Kprobes.name(),
            "kernel 6.3 or newer has tracepoints; here `app` stays unknown of other processes",
        ),
        Some(source) => ok(NAME, source.name()),
        None => bad(
            Verdict::Degraded,
            NAME,
            "nowhere",
            "kernel 6.3 or newer has tracepoints, older ones need fexit or kprobes; without them `app` stays unknown",
        ),
    }
}

fn first_line(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(error) = source {
        text = format!("{text}: {error}");
        source = error.source();
    }
    text.lines().next().unwrap_or_default().to_owned()
}

fn tcx() -> Check {
    if release().1 >= (6, 6) {
        return ok("TC attachment", "TCX links");
    }
    bad(
        Verdict::Degraded,
        "TC attachment",
        "no TCX before kernel 6.6: clsact filters are used",
        "the CNI bandwidth plugin cannot be used on the same pods: it and clsact exclude each other",
    )
}

fn bpffs(path: &Path) -> Check {
    let shown = path.display();
    if is_bpffs(path).unwrap_or(false) {
        return ok("bpffs", shown.to_string());
    }
    match existing_parent(path) {
        Some(parent) => {
            ok("bpffs", format!("{shown} is on none yet; the agent mounts one ({})", parent.display()))
        }
        None => bad(Verdict::Missing, "bpffs", format!("{shown} cannot be made"), "set paths.bpffs"),
    }
}

fn cgroup(config: &Config) -> Check {
    const REMEDY: &str =
        "mount cgroup2 or set paths.cgroup; without it connect latency, RTT and retransmissions stay unknown";
    if config.paths.cgroup == "off" {
        return bad(Verdict::Degraded, "cgroup2", "paths.cgroup is off: no socket events", "");
    }
    match config.cgroup() {
        Some(path) if path.join("cgroup.procs").exists() => ok("cgroup2", path.display().to_string()),
        Some(path) => {
            bad(Verdict::Degraded, "cgroup2", format!("{} is no cgroup v2 folder", path.display()), REMEDY)
        }
        None => bad(
            Verdict::Degraded,
            "cgroup2",
            cgroup2_root().map_or_else(|error| error.to_string(), |_| String::new()),
            REMEDY,
        ),
    }
}

fn state_dir(path: &Path) -> Check {
    let shown = path.display();
    let writable = existing_parent(path)
        .is_some_and(|parent| rustix::fs::access(&parent, rustix::fs::Access::WRITE_OK).is_ok());
    if writable {
        return ok("state folder", shown.to_string());
    }
    bad(
        Verdict::Missing,
        "state folder",
        format!("{shown} cannot be written"),
        "set paths.state_dir, or mount it writable",
    )
}

/// The path itself, or the nearest folder above it that exists.
fn existing_parent(path: &Path) -> Option<PathBuf> {
    path.ancestors().find(|path| path.exists()).map(Path::to_path_buf)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn capabilities_are_read_from_the_status() {
        assert_eq!(effective_capabilities("Name:\tx\nCapEff:\t000001fffeffffff\n"), Some(0x01ff_feff_ffff));
        assert_eq!(effective_capabilities("Name:\tx\n"), None);
    }

    #[test]
    fn every_remedy_is_said_where_something_is_wrong() {
        for check in examine(&Config::default()) {
            assert!(check.verdict != Verdict::Missing || !check.remedy.is_empty(), "{check:?}");
        }
    }
}

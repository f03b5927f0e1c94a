//! Programs from the distribution's packages.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::process::Command;
use std::sync::{Mutex, PoisonError};

use anyhow::{Context, Result, ensure};
use nix::unistd::geteuid;

use crate::tools::find_program;

/// A program that something needs, the Debian package that has it, and what it is for.
#[derive(Clone, Copy, Debug)]
pub struct Program {
    /// Name of the executable.
    pub binary: &'static str,
    /// Name of the package.
    pub package: &'static str,
    /// What it is for: `to capture packets`.
    pub why: &'static str,
}

/// What [`crate::Capture`] needs.
pub const TCPDUMP: Program = Program { binary: "tcpdump", package: "tcpdump", why: "to capture packets" };

/// What the decoding is held against.
pub const TSHARK: Program = Program { binary: "tshark", package: "tshark", why: "to decode captures" };

/// What scrapes metrics, and says what is wrong with them.
pub const PROMETHEUS: [Program; 2] = [
    Program { binary: "prometheus", package: "prometheus", why: "to scrape metrics" },
    Program { binary: "promtool", package: "prometheus", why: "to check metrics" },
];

/// What makes keys.
pub const OPENSSL: Program = Program { binary: "openssl", package: "openssl", why: "to make keys" };

/// What asks an API server.
pub const CURL: Program = Program { binary: "curl", package: "curl", why: "a client" };

/// The peers that speak in front of weft and tshark, but for those that are built here.
pub const PEERS: [Program; 7] = [
    Program { binary: "nginx", package: "nginx-light", why: "a server" },
    Program { binary: "haproxy", package: "haproxy", why: "a proxy" },
    Program { binary: "node", package: "nodejs", why: "a server" },
    Program { binary: "python3", package: "python3", why: "a server" },
    CURL,
    Program { binary: "nghttp", package: "nghttp2-client", why: "a client" },
    Program { binary: "wrk", package: "wrk", why: "a client" },
];

/// What decides on Debian whether a package's daemon may be started (invoke-rc.d(8)).
const POLICY: &str = "/usr/sbin/policy-rc.d";
/// "Action not allowed".
const NO_DAEMONS: &str = "#!/bin/sh\nexit 101\n";

/// While it lives no package starts a daemon: a server that a lab runs in a pod must not run on the host as well.
/// A policy of the host's own stays in force.
struct NoDaemons {
    ours: bool,
}

impl NoDaemons {
    fn new() -> Result<Self> {
        // Without root nothing is installed here, but by sudo, and where there is no Debian there is no policy.
        let ours = geteuid().is_root() && Path::new("/usr/sbin").is_dir() && !Path::new(POLICY).exists();
        if ours {
            fs::write(POLICY, NO_DAEMONS).with_context(|| format!("cannot write {POLICY}"))?;
            fs::set_permissions(POLICY, fs::Permissions::from_mode(0o755))?;
        }
        Ok(Self { ours })
    }
}

impl Drop for NoDaemons {
    fn drop(&mut self) {
        if self.ours {
            let _ = fs::remove_file(POLICY);
        }
    }
}

/// Installs the packages of those programs that are missing, after a line for each that says so. Returns what it
/// installed.
///
/// # Errors
/// Without apt-get, without the privileges, or when a program is still missing afterwards.
pub fn ensure_programs(programs: &[Program]) -> Result<Vec<&'static str>> {
    // Two tests at once: the second finds what the first has installed.
    static ONE: Mutex<()> = Mutex::new(());
    let _one = ONE.lock().unwrap_or_else(PoisonError::into_inner);
    let missing: Vec<&Program> =
        programs.iter().filter(|program| find_program(program.binary).is_none()).collect();
    if missing.is_empty() {
        return Ok(Vec::new());
    }
    for Program { binary, package, why } in &missing {
        eprintln!("installing the package {package}, for {binary}: {why}");
    }
    let packages: Vec<&'static str> = missing.iter().map(|program| program.package).collect();
    {
        let _no_daemons = NoDaemons::new()?;
        install(&packages)?;
    }
    for Program { binary, package, .. } in &missing {
        ensure!(
            find_program(binary).is_some(),
            "the package {package} has no {binary} on this system: install it"
        );
    }
    Ok(packages)
}

/// Installs, and only where that fails, which it does on a machine without package lists, updates them first.
fn install(packages: &[&str]) -> Result<()> {
    let arguments = [&["install", "--yes", "--no-install-recommends"], packages].concat();
    if apt_get(&arguments, true).is_ok() {
        return Ok(());
    }
    apt_get(&["update"], true)?;
    apt_get(&arguments, false)
}

fn apt_get(arguments: &[&str], quiet: bool) -> Result<()> {
    let mut command = if geteuid().is_root() {
        Command::new("apt-get")
    } else {
        let mut sudo = Command::new("sudo");
        sudo.arg("apt-get");
        sudo
    };
    command.args(arguments).arg("--quiet").env("DEBIAN_FRONTEND", "noninteractive");
    let output = command.output().context("cannot start apt-get: install the packages by hand")?;
    if !output.status.success() && !quiet {
        eprint!("{}", String::from_utf8_lossy(&output.stderr));
    }
    ensure!(output.status.success(), "apt-get {} failed", arguments.join(" "));
    Ok(())
}

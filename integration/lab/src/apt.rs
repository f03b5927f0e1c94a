//! Programs from the distribution's packages.

use std::process::Command;

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

/// Installs the packages of those programs that are missing, after a line for each that says so. Returns what it
/// installed.
///
/// # Errors
/// Without apt-get, without the privileges, or when a program is still missing afterwards.
pub fn ensure_programs(programs: &[Program]) -> Result<Vec<&'static str>> {
    let missing: Vec<&Program> =
        programs.iter().filter(|program| find_program(program.binary).is_none()).collect();
    if missing.is_empty() {
        return Ok(Vec::new());
    }
    for Program { binary, package, why } in &missing {
        eprintln!("installing the package {package}, for {binary}: {why}");
    }
    let packages: Vec<&'static str> = missing.iter().map(|program| program.package).collect();
    install(&packages)?;
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

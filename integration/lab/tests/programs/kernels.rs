//! The same on other kernels, in virtual machines: this very program runs there.

use std::env;
use std::fs;
use std::path::PathBuf;
use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use weft_lab::vm::{Guest, Kernel, PROGRAMS};
use weft_lab::{apt, tools};

use crate::goprogram::{Linked, build};

/// A machine is emulated.
const LIMIT: Duration = Duration::from_secs(1800);
/// Where the programs are.
const FOLDER: &str = "/built";
/// Everything loads; who reads and writes, who calls, and what goroutines and processes do is told as on this machine; and weft
/// itself, between real pods, names the goroutine of each request.
const SCRIPT: &str = "/built/weft doctor || exit 1
export RUST_BACKTRACE=0
/programs --test-threads 1 --include-ignored --skip whole goroutines processes gosched gocalls::a_call gocalls::nothing_is_left || exit 1
/programs --test-threads 1 --nocapture whole";

/// A folder of this test's own, gone at its end.
struct Folder(PathBuf);

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

/// What runs, even where its file has been built anew since it started. By its number: "self" is whoever reads it.
fn this_program() -> PathBuf {
    format!("/proc/{}/exe", std::process::id()).into()
}

fn works_on_the_kernel_of(debian: &str) -> Result<()> {
    apt::ensure_programs(&PROGRAMS)?;
    let folder = Folder(env::temp_dir().join(format!("weft-kernel-{debian}-{}", std::process::id())));
    fs::create_dir_all(&folder.0)?;
    let mut files = vec![(this_program(), "/programs".to_owned())];
    let (rust, go) = (tools::rust_binaries()?, tools::go_binaries()?);
    for program in
        [rust.weft, rust.weft_cni, go.cnitool, go.mesh, go.dir.join("bridge"), go.dir.join("host-local")]
    {
        let name = program.file_name().context("a program has a name")?.to_string_lossy();
        files.push((program.clone(), format!("{FOLDER}/{name}")));
    }
    for linked in [Linked::Statically, Linked::AsPie, Linked::WithC] {
        let program = folder.0.join(format!("{linked:?}"));
        build(linked, &program)?;
        files.push((program, format!("{FOLDER}/{linked:?}")));
    }
    let script = format!("export {}={FOLDER}\n{SCRIPT}\n", tools::BUILT);
    let kernel = Kernel::newest_of(debian)?;
    let said = Guest { script, files, limit: LIMIT }.run(&kernel, &folder.0)?;
    eprintln!("{}:\n{}", kernel.release, said.output);
    ensure!(said.status == 0, "{}: exit status {}", kernel.release, said.status);
    Ok(())
}

/// 6.1: before the tracepoints, and before TCX.
#[test]
#[ignore = "boots a virtual machine: cargo xtask test --full"]
fn of_bookworm() -> Result<()> {
    works_on_the_kernel_of("bookworm")
}

/// 6.12.
#[test]
#[ignore = "boots a virtual machine: cargo xtask test --full"]
fn of_trixie() -> Result<()> {
    works_on_the_kernel_of("trixie")
}

/// The newest.
#[test]
#[ignore = "boots a virtual machine: cargo xtask test --full"]
fn of_trixie_backports() -> Result<()> {
    works_on_the_kernel_of("trixie-backports")
}

//! The programs that a lab runs, built from the workspace's sources. What is up to date is not built again: Go
//! and cargo decide that themselves.

use std::env;
use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, ensure};

/// The Go programs.
#[derive(Clone, Debug)]
pub struct GoBinaries {
    /// Where they all are; `CNI_PATH` for bridge and host-local.
    pub dir: PathBuf,
    /// libcni's command line.
    pub cnitool: PathBuf,
    /// The services, the load generator and the hostile peers.
    pub mesh: PathBuf,
}

/// The project's own programs, as they are released.
#[derive(Clone, Debug)]
pub struct RustBinaries {
    /// `weft`.
    pub weft: PathBuf,
    /// `weft-cni`.
    pub weft_cni: PathBuf,
}

/// The variable with the folder of all these programs, where nothing can be built: in a virtual machine.
pub const BUILT: &str = "WEFT_BUILT";

/// That folder, where there is one.
pub fn built() -> Option<PathBuf> {
    env::var_os(BUILT).map(PathBuf::from)
}

/// The workspace's folder.
pub fn workspace() -> PathBuf {
    let lab = Path::new(env!("CARGO_MANIFEST_DIR"));
    lab.ancestors().nth(2).unwrap_or(lab).to_path_buf()
}

/// Cargo's target folder: `CARGO_TARGET_DIR`, else the workspace's.
pub fn target_dir() -> PathBuf {
    let named = env::var_os("CARGO_TARGET_DIR").and_then(|dir| std::path::absolute(dir).ok());
    named.unwrap_or_else(|| workspace().join("target"))
}

/// Builds cnitool, bridge, host-local and the workloads into `<target>/lab/bin`.
///
/// # Errors
/// Without a Go toolchain, or what the build said.
pub fn go_binaries() -> Result<GoBinaries> {
    if let Some(dir) = built() {
        return Ok(GoBinaries::of(dir));
    }
    let (dir, _lock) = bin_dir()?;
    go_build("integration/tools", "tool", &dir, |_| {})?;
    go_build("integration/workloads", ".", &dir.join("mesh"), |_| {})?;
    Ok(GoBinaries::of(dir))
}

impl GoBinaries {
    fn of(dir: PathBuf) -> Self {
        Self { cnitool: dir.join("cnitool"), mesh: dir.join("mesh"), dir }
    }
}

/// Builds kube-apiserver and etcd (`server`) into `<target>/lab/kubernetes`, which takes minutes the first time; says where.
///
/// # Errors
/// Without a Go toolchain, or what the build said.
pub fn kubernetes_binaries() -> Result<PathBuf> {
    let (bin, _lock) = bin_dir()?;
    let dir = bin.with_file_name("kubernetes");
    fs::create_dir_all(&dir).with_context(|| format!("cannot create {}", dir.display()))?;
    // What it says it is decides which of its features are on.
    let version = "-s -w -X k8s.io/component-base/version.gitVersion=v1.36.3 -X k8s.io/component-base/version.gitMajor=1 \
                   -X k8s.io/component-base/version.gitMinor=36";
    go_build("integration/kubernetes", "tool", &dir, |command| {
        command.args(["-ldflags", version]);
    })?;
    Ok(dir)
}

/// Where the Go programs are, and a lock on them: of two labs at once, the second must not start a program that the first
/// is writing.
///
/// # Errors
/// When the folder cannot be created.
pub(crate) fn bin_dir() -> Result<(PathBuf, File)> {
    let dir = target_dir().join("lab/bin");
    fs::create_dir_all(&dir).with_context(|| format!("cannot create {}", dir.display()))?;
    let lock = File::create(dir.with_extension("lock"))?;
    lock.lock()?;
    Ok((dir, lock))
}

/// Builds `weft` and `weft-cni` in release mode.
///
/// # Errors
/// What the build said.
pub fn rust_binaries() -> Result<RustBinaries> {
    if let Some(dir) = built() {
        return Ok(RustBinaries::of(&dir));
    }
    let cargo = env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let mut command = Command::new(cargo);
    command.args(["build", "--quiet", "--release", "-p", "weft", "-p", "weft-cni"]);
    command.current_dir(workspace()).env("CARGO_TARGET_DIR", target_dir());
    run(&mut command)?;
    Ok(RustBinaries::of(&target_dir().join("release")))
}

impl RustBinaries {
    fn of(dir: &Path) -> Self {
        Self { weft: dir.join("weft"), weft_cni: dir.join("weft-cni") }
    }
}

/// Builds one program of a module below `integration`, where it is not up to date; says where. Without symbols: it is a third
/// smaller.
///
/// # Errors
/// Without a Go toolchain, when the modules are not to be had, or what the build said.
pub(crate) fn go_program(module: &str, package: &str) -> Result<PathBuf> {
    if let Some(dir) = built() {
        return Ok(dir.join(module));
    }
    let (dir, _lock) = bin_dir()?;
    let program = dir.join(module);
    go_build(&format!("integration/{module}"), package, &program, |command| {
        command.arg("-ldflags=-s -w");
    })?;
    Ok(program)
}

/// Runs `go build` in a module of the workspace; `options` adds to the command.
///
/// # Errors
/// Without a Go toolchain, or what the build said.
pub(crate) fn go_build(
    module: &str,
    packages: &str,
    output: &Path,
    options: impl FnOnce(&mut Command),
) -> Result<()> {
    let go =
        go().context("no Go toolchain: install Go 1.26 or newer (go.dev/dl) and put `go` on the PATH")?;
    let mut command = Command::new(go);
    command.args(["build", "-trimpath", "-buildvcs=false", "-o"]).arg(output);
    // Static: the same program runs wherever a pod's file system is.
    command.current_dir(workspace().join(module)).env("CGO_ENABLED", "0").env_remove("GOFLAGS");
    options(&mut command);
    run(command.arg(packages))
}

/// The Go toolchain's command: on the PATH, or where Go's own archive puts it.
pub fn go() -> Option<PathBuf> {
    find_program("go").or_else(|| Some(PathBuf::from("/usr/local/go/bin/go")).filter(|go| go.exists()))
}

/// Finds a program on the PATH, or where Debian keeps those of root.
pub fn find_program(name: &str) -> Option<PathBuf> {
    let path = env::var_os("PATH").unwrap_or_default();
    let root = ["/usr/sbin", "/sbin"].map(PathBuf::from);
    env::split_paths(&path).chain(root).map(|dir| dir.join(name)).find(|program| program.is_file())
}

fn run(command: &mut Command) -> Result<()> {
    let status = command.status().with_context(|| format!("cannot start {command:?}"))?;
    ensure!(status.success(), "{command:?} failed ({status})");
    Ok(())
}

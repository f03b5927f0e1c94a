//! Builds the eBPF object, and proves that the committed one is what the sources give.
use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
};

use anyhow::{Context as _, Result, bail};
use clap::Args;

use crate::run::{cargo, output, run, workspace};

const LINKER_VERSION: &str = "0.10.3";
const TARGET: &str = "bpfel-unknown-none";
const PROFILE: &str = "ebpf";

#[derive(Args)]
pub struct Options {
    /// Compare with the committed object instead of replacing it.
    #[arg(long)]
    pub check: bool,
}

pub fn execute(options: &Options) -> Result<()> {
    let toolchain = Toolchain::ready()?;
    if options.check && toolchain.describe() != fs::read_to_string(compiler_file()).unwrap_or_default() {
        return cannot_compare(&toolchain);
    }
    let object = build(&toolchain)?;
    if options.check { compare(&object) } else { commit(&object, &toolchain) }
}

/// The compiler and the linker that the object is built with.
struct Toolchain {
    rustc: String,
    linker_dir: PathBuf,
}

impl Toolchain {
    /// Installs what is missing: the standard library's sources, and the linker.
    fn ready() -> Result<Self> {
        let rustc = output(nightly("rustc").arg("-V"))
            .context("the eBPF programs need a nightly compiler: rustup toolchain install nightly")?;
        ensure_std_sources()?;
        Ok(Self { rustc, linker_dir: ensure_linker()? })
    }

    /// What is written beside the object, to tell whether a rebuild can be the same.
    fn describe(&self) -> String {
        format!("{}\nbpf-linker {LINKER_VERSION}\n", self.rustc)
    }
}

fn nightly(tool: &str) -> Command {
    let mut command = Command::new("rustup");
    command.args(["run", "nightly", tool]);
    command
}

fn sysroot() -> Result<PathBuf> {
    Ok(output(nightly("rustc").args(["--print", "sysroot"]))?.into())
}

/// `-Z build-std` compiles core from the toolchain's own sources: from rustup, else from the archive or folder that
/// `WEFT_RUST_SRC` names.
fn ensure_std_sources() -> Result<()> {
    let target = sysroot()?.join("lib/rustlib/src/rust");
    if target.join("library/core/Cargo.toml").exists() {
        return Ok(());
    }
    let by_rustup =
        Command::new("rustup").args(["component", "add", "rust-src", "--toolchain", "nightly"]).output();
    if by_rustup.is_ok_and(|output| output.status.success()) {
        return Ok(());
    }
    let Some(sources) = std::env::var_os("WEFT_RUST_SRC") else {
        bail!(
            "the nightly toolchain has no standard library sources and rustup could not add them; \
             name a folder or .tar.xz that holds `library/` in WEFT_RUST_SRC"
        );
    };
    println_status(&format!("unpacking the standard library's sources into {}", target.display()));
    fs::create_dir_all(&target)?;
    if Path::new(&sources).is_dir() {
        run(Command::new("cp").arg("-r").arg(Path::new(&sources).join("library")).arg(&target))
    } else {
        run(Command::new("tar").arg("-xJf").arg(sources).arg("-C").arg(target))
    }
}

/// The folder with the right bpf-linker: the one in PATH if it is that version, else one built below target/.
fn ensure_linker() -> Result<PathBuf> {
    let wanted = format!("bpf-linker {LINKER_VERSION}");
    if output(Command::new("bpf-linker").arg("--version")).is_ok_and(|version| version == wanted) {
        return Ok(PathBuf::new());
    }
    let root = workspace().join("target/tools");
    let linker = root.join("bin/bpf-linker");
    if !output(Command::new(&linker).arg("--version")).is_ok_and(|version| version == wanted) {
        println_status("installing bpf-linker (about two minutes, once)");
        run(cargo()
            .args(["install", "bpf-linker", "--version", LINKER_VERSION, "--locked", "--root"])
            .arg(&root)
            // The linker links against the LLVM of the compiler it is built with: nightly's, the programs' own.
            .env_remove("RUSTC"))?;
    }
    Ok(root.join("bin"))
}

fn build(toolchain: &Toolchain) -> Result<Vec<u8>> {
    let target = workspace().join("target/ebpf");
    let mut path = toolchain.linker_dir.clone().into_os_string();
    path.push(":");
    path.push(std::env::var_os("PATH").unwrap_or_default());
    run(nightly("cargo")
        .args([
            "build",
            "-p",
            "weft-ebpf",
            "--profile",
            PROFILE,
            "--locked",
            "--target",
            TARGET,
            "-Z",
            "build-std=core",
        ])
        .current_dir(workspace())
        .env("CARGO_TARGET_DIR", &target)
        .env("CARGO_ENCODED_RUSTFLAGS", rustflags()?.join("\u{1f}"))
        .env("PATH", path)
        // Of the cargo that runs us: they name another compiler.
        .env_remove("RUSTC")
        .env_remove("RUSTUP_TOOLCHAIN"))?;
    let object = target.join(TARGET).join(PROFILE).join("weft-ebpf");
    strip(&object)?;
    fs::read(&object).with_context(|| object.display().to_string())
}

/// BTF is made, and nobody needs what it was made from: four fifths of the file. By the toolchain's own tool, which finds its
/// libraries only where it is told to look.
fn strip(object: &Path) -> Result<()> {
    let sysroot = sysroot()?;
    let host = output(nightly("rustc").args(["--print", "host-tuple"]))?;
    let tool = sysroot.join("lib/rustlib").join(host).join("bin/rust-objcopy");
    run(Command::new(tool).env("LD_LIBRARY_PATH", sysroot.join("lib")).arg("--strip-debug").arg(object))
}

/// The same bytes wherever it is built: no path of this machine goes into the debug information that BTF is made from.
fn rustflags() -> Result<Vec<String>> {
    let home = std::env::var("CARGO_HOME")
        .or_else(|_| std::env::var("HOME").map(|home| format!("{home}/.cargo")))
        .context("neither CARGO_HOME nor HOME is set")?;
    let remap = |from: &Path, to: &str| format!("--remap-path-prefix={}={to}", from.display());
    Ok(vec![
        "-Cdebuginfo=2".into(),
        "-Clink-arg=--btf".into(),
        remap(&workspace(), "/weft"),
        remap(Path::new(&home), "/cargo"),
        remap(&sysroot()?, "/rust"),
    ])
}

fn object_file() -> PathBuf {
    workspace().join("tc-probes/prebuilt/weft.bpf.o")
}

fn compiler_file() -> PathBuf {
    workspace().join("tc-probes/prebuilt/COMPILER")
}

fn commit(object: &[u8], toolchain: &Toolchain) -> Result<()> {
    fs::write(object_file(), object)?;
    fs::write(compiler_file(), toolchain.describe())?;
    println_status(&format!("{}: {} bytes", object_file().display(), object.len()));
    Ok(())
}

fn compare(object: &[u8]) -> Result<()> {
    if fs::read(object_file())? != object {
        bail!(
            "the committed eBPF object is not what the sources give: run `cargo xtask ebpf` and commit the result"
        );
    }
    println_status("the committed eBPF object is what the sources give");
    Ok(())
}

fn cannot_compare(toolchain: &Toolchain) -> Result<()> {
    let says = format!(
        "cannot compare the eBPF object: it was built with another compiler ({}) than this one ({})",
        fs::read_to_string(compiler_file()).unwrap_or_default().trim().replace('\n', ", "),
        toolchain.describe().trim().replace('\n', ", ")
    );
    if std::env::var_os("CI").is_some() {
        bail!(says);
    }
    println_status(&says);
    Ok(())
}

fn println_status(line: &str) {
    eprintln!("xtask: {line}");
}

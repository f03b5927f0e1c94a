//! `cargo xtask fuzz`: what any bytes whatever must not do to the pipeline (`correlator/fuzz`), by libFuzzer. It is built
//! with the project's own stable compiler; the fuzzer's sources come with its crate, and need a C++ compiler.
use std::{
    env::consts::ARCH,
    fs::{self, File},
    path::{Path, PathBuf},
    process::Command,
    sync::Mutex,
    thread,
};

use anyhow::{Context as _, Result, bail};
use clap::Args;
use weft_lab::{apt, tools};

use crate::run::{cargo, run, workspace};

const TARGETS: [&str; 7] = ["http2", "http1", "reassembly", "record", "pcap", "hpack", "gobin"];
const CXX: apt::Program = apt::Program { binary: "g++", package: "g++", why: "to build libFuzzer" };
/// What libFuzzer steers by: a counter at each branch, and the operands of comparisons.
const RUSTFLAGS: [&str; 7] = [
    "-Cpasses=sancov-module",
    "-Cllvm-args=-sanitizer-coverage-level=4",
    "-Cllvm-args=-sanitizer-coverage-inline-8bit-counters",
    "-Cllvm-args=-sanitizer-coverage-pc-table",
    "-Cllvm-args=-sanitizer-coverage-trace-compares",
    "-Cllvm-args=-simplifycfg-branch-fold-threshold=0",
    "--cfg=fuzzing",
];
/// How long one input may take, in s, and how much memory, in MiB.
const BOUNDS: [&str; 2] = ["-timeout=10", "-rss_limit_mb=1024"];

/// Inputs that are committed of a target: a beginning, not a record.
const MOST_KEPT: usize = 48;

#[derive(Args)]
pub struct Options {
    /// The targets; all of them if none is named.
    #[arg(value_parser = TARGETS)]
    targets: Vec<String>,
    /// How long each target runs; libFuzzer would take 0 for ever.
    #[arg(long, default_value_t = 60, value_parser = clap::value_parser!(u64).range(1..))]
    seconds: u64,
    /// Afterwards, make the committed corpora anew, of the inputs that reached most.
    #[arg(long)]
    keep: bool,
}

pub fn execute(options: &Options) -> Result<()> {
    let all = TARGETS.map(str::to_owned).to_vec();
    let names = if options.targets.is_empty() { &all } else { &options.targets };
    let targets: Vec<Target> = names.iter().map(|name| Target::new(name)).collect();
    build()?;
    run_all(&targets, options.seconds)?;
    if options.keep { targets.iter().try_for_each(Target::keep) } else { Ok(()) }
}

/// Every target for so many seconds: a stage of `cargo xtask test`.
pub fn briefly() -> Result<()> {
    execute(&Options { targets: Vec::new(), seconds: 30, keep: false })
}

/// The targets' workspace.
pub fn folder() -> PathBuf {
    workspace().join("correlator/fuzz")
}

/// Where it is built, and what it leaves: working corpora, logs, findings.
fn output() -> PathBuf {
    tools::target_dir().join("fuzz")
}

/// Build scripts are not built with the flags of a named target.
fn host() -> String {
    format!("{ARCH}-unknown-linux-gnu")
}

fn build() -> Result<()> {
    apt::ensure_programs(&[CXX])?;
    run(cargo()
        .args(["build", "--quiet", "--release", "--target", &host()])
        .current_dir(folder())
        .env("CARGO_TARGET_DIR", output())
        .env("CARGO_ENCODED_RUSTFLAGS", RUSTFLAGS.join("\u{1f}")))
}

/// As many at a time as there are cores. All of them run, whatever the others find.
fn run_all(targets: &[Target], seconds: u64) -> Result<()> {
    let (queue, failures) = (Mutex::new(targets.iter()), Mutex::new(Vec::new()));
    let next = || queue.lock().ok()?.next();
    let work = || {
        while let Some(target) = next() {
            if let (Err(error), Ok(mut failures)) = (target.run(seconds), failures.lock()) {
                failures.push(format!("{error:#}"));
            }
        }
    };
    thread::scope(|scope| {
        for _ in 0..thread::available_parallelism().map_or(1, usize::from) {
            scope.spawn(work);
        }
    });
    let failures = failures.into_inner().unwrap_or_default();
    if failures.is_empty() { Ok(()) } else { bail!("{}", failures.join("\n")) }
}

/// One fuzz target and its folders.
struct Target {
    name: String,
    program: PathBuf,
    /// In the repository.
    committed: PathBuf,
    /// What the runs on this machine added to it.
    working: PathBuf,
    /// Inputs that broke a promise.
    findings: PathBuf,
    log: PathBuf,
}

impl Target {
    fn new(name: &str) -> Self {
        let output = output();
        Self {
            name: name.to_owned(),
            program: output.join(host()).join("release").join(name),
            committed: folder().join("corpus").join(name),
            working: output.join("corpus").join(name),
            findings: output.join("findings").join(name),
            log: output.join(format!("{name}.log")),
        }
    }

    fn run(&self, seconds: u64) -> Result<()> {
        for folder in [&self.committed, &self.working, &self.findings] {
            fs::create_dir_all(folder).with_context(|| folder.display().to_string())?;
        }
        let status = self
            .fuzzer(&[&self.working, &self.committed])?
            .arg(format!("-max_total_time={seconds}"))
            .arg(format!("-artifact_prefix={}/", self.findings.display()))
            .args(BOUNDS)
            .status()
            .with_context(|| self.program.display().to_string())?;
        let log = String::from_utf8_lossy(&fs::read(&self.log)?).into_owned();
        if !status.success() {
            bail!("{}: {}", self.name, finding(&log).unwrap_or_else(|| self.log.display().to_string()));
        }
        let done = log.lines().rfind(|line| line.starts_with("Done ")).unwrap_or("Done");
        eprintln!("xtask: fuzz {}: {done}, nothing found", self.name);
        Ok(())
    }

    /// libFuzzer over these folders: new inputs go to the first.
    fn fuzzer(&self, folders: &[&Path]) -> Result<Command> {
        let log = File::create(&self.log).with_context(|| self.log.display().to_string())?;
        let mut command = Command::new(&self.program);
        command.args(folders).stdout(log.try_clone()?).stderr(log);
        Ok(command)
    }

    /// Of the inputs that reach every branch that the committed and the working corpus reach, those that reach most.
    fn keep(&self) -> Result<()> {
        let fewest = self.working.with_extension("fewest");
        let _ = fs::remove_dir_all(&fewest);
        fs::create_dir_all(&fewest)?;
        let folders = [fewest.as_path(), &self.committed, &self.working];
        run(self.fuzzer(&folders)?.args(["-set_cover_merge=1", "-use_counters=0"]))?;
        fs::remove_dir_all(&self.committed)?;
        fs::create_dir_all(&self.committed)?;
        for input in oldest_first(&fewest)?.iter().take(MOST_KEPT) {
            let name = input.file_name().context("an input without a name")?;
            fs::copy(input, self.committed.join(name))?;
        }
        Ok(())
    }
}

/// libFuzzer writes the input first that adds most.
fn oldest_first(folder: &Path) -> Result<Vec<PathBuf>> {
    let mut inputs = Vec::new();
    for input in fs::read_dir(folder)? {
        let input = input?;
        inputs.push((input.metadata()?.modified()?, input.path()));
    }
    inputs.sort();
    Ok(inputs.into_iter().map(|(_, path)| path).collect())
}

/// What a log says of a finding: the panic, and where the input is.
fn finding(log: &str) -> Option<String> {
    let panic = log.lines().skip_while(|line| !line.contains("panicked at")).take(2);
    let libfuzzer =
        log.lines().filter(|line| line.contains("SUMMARY:") || line.contains("Test unit written"));
    let said: Vec<&str> = panic.chain(libfuzzer).collect();
    (!said.is_empty()).then(|| said.join("\n  "))
}

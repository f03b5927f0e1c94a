//! `cargo xtask go-offsets`: the table of members for Go binaries without debugging information
//! (`correlator/gobin/data/offsets.json`), from the debugging information of small programs that each release built.
use std::{
    collections::BTreeMap,
    fs,
    path::{Path, PathBuf},
};

use anyhow::{Context as _, Result, ensure};
use clap::Args;
use weft_gobin::{GO, Members, Offsets, Release};

use self::program::{GRPC, HTTP, HTTP2, Program};
use crate::run::workspace;

mod program;

/// The oldest releases that are looked at: Go since it has told goroutines' parents, modules since about that time.
const MODULES: [(&Program, Release); 3] =
    [(&HTTP, Release(1, 21)), (&HTTP2, Release(0, 10)), (&GRPC, Release(1, 56))];

/// Options of `cargo xtask go-offsets`.
#[derive(Args)]
pub struct Options {
    /// Only these modules (`go`, `golang.org/x/net`, `google.golang.org/grpc`): the rest of the table stays. All by default.
    modules: Vec<String>,
}

pub fn execute(options: &Options) -> Result<()> {
    let wanted =
        |module: &str| options.modules.is_empty() || options.modules.iter().any(|name| name == module);
    let file = workspace().join("correlator/gobin/data/offsets.json");
    let before = fs::read_to_string(&file).map_or(Ok(Vec::new()), |text| serde_json::from_str(&text))?;
    let mut rows: Vec<Offsets> = before.into_iter().filter(|row: &Offsets| !wanted(&row.module)).collect();
    for (program, oldest) in MODULES.into_iter().filter(|(program, _)| wanted(program.module)) {
        rows.extend(joined(releases(program, oldest)?));
    }
    write(&file, &rows)
}

fn write(file: &Path, rows: &[Offsets]) -> Result<()> {
    fs::write(file, serde_json::to_string_pretty(rows)? + "\n")
        .with_context(|| format!("cannot write {}", file.display()))?;
    eprintln!("xtask: {}: {} rows", file.display(), rows.len());
    Ok(())
}

/// A row for each release.
fn releases(program: &Program, oldest: Release) -> Result<Vec<Offsets>> {
    let mut rows = Vec::new();
    for (release, versions) in program.versions(oldest)? {
        let members = same_in_all(program, release, &versions)?;
        eprintln!("xtask: {} {release}: {} members", program.module, members.len());
        rows.push(Offsets { module: program.module.to_owned(), from: release, to: release, members });
    }
    Ok(rows)
}

/// The members in the last version of a release, built by the newest Go, and in the first, built by the oldest Go that can:
/// both must agree.
fn same_in_all(program: &Program, release: Release, versions: &[String]) -> Result<Members> {
    let [first, .., last] = versions else {
        let only = versions.first().context("a release without a version")?;
        return members(program, only, &program.toolchains(only, only).1);
    };
    let (old, new) = program.toolchains(first, last);
    let members = members(program, last, &new)?;
    ensure!(
        members == self::members(program, first, &old)?,
        "{} {first} built by {old} and {last} built by {new} differ: rows of {release} would be wrong",
        program.module
    );
    Ok(members)
}

fn members(program: &Program, version: &str, toolchain: &str) -> Result<Members> {
    let binary: PathBuf = program.build(version, toolchain)?;
    let bytes = fs::read(&binary)?;
    let described = weft_gobin::described(&bytes)?.context("it has no debugging information")?;
    let mut members = described;
    members.retain(|name| program.has(name));
    fs::remove_file(&binary)?;
    ensure!(!members.is_empty(), "{} {version} has none of the structures", program.module);
    Ok(members)
}

/// Releases that follow one another and are the same become one row.
fn joined(rows: Vec<Offsets>) -> Vec<Offsets> {
    let mut joined: Vec<Offsets> = Vec::new();
    for row in rows {
        match joined.last_mut().filter(|last| last.members == row.members) {
            Some(last) => last.to = row.to,
            None => joined.push(row),
        }
    }
    joined
}

/// Versions by their release, in order.
type Versions = BTreeMap<Release, Vec<String>>;

/// `go` is a module like any other to the commands that list versions.
fn is_go(module: &str) -> bool {
    module == GO
}

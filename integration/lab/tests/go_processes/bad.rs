//! Programs with which something is wrong. Each is one line of the log and one more in a counter, and its exchanges are traced as
//! those of any program.

use std::fs::{self, OpenOptions};
use std::os::unix::fs::{FileExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context as _, Result, ensure};
use object::{Object as _, ObjectSection as _};
use serde_json::{Value, json};
use weft_lab::{Lab, Process, tools};

use crate::node::{Node, goid};

/// A program of the pod's own.
struct Program {
    path: PathBuf,
    bytes: Vec<u8>,
}

impl Program {
    /// The services, as they are built for the lab.
    fn usual(node: &Node) -> Result<Self> {
        let path = node.lab.file("programs", "usual")?;
        fs::copy(node.mesh(), &path)?;
        Ok(Self { bytes: fs::read(&path)?, path })
    }

    /// The same without symbols and debugging information.
    fn stripped(node: &Node) -> Result<Self> {
        let path = node.lab.file("programs", "stripped")?;
        let mut command = Command::new(tools::go().context("no Go toolchain")?);
        command.current_dir(tools::workspace().join("integration/workloads"));
        command.args(["build", "-trimpath", "-buildvcs=false", "-ldflags=-s -w", "-o"]).arg(&path).arg(".");
        let status = command.env("CGO_ENABLED", "0").env_remove("GOFLAGS").status()?;
        ensure!(status.success(), "{command:?} failed");
        Ok(Self { bytes: fs::read(&path)?, path })
    }

    /// Where a section lies in the file.
    fn section(&self, name: &str) -> Result<std::ops::Range<usize>> {
        let file = object::File::parse(&*self.bytes)?;
        let section = file.section_by_name(name).with_context(|| format!("no section {name}"))?;
        let (start, length) = section.file_range().with_context(|| format!("{name} is not in the file"))?;
        Ok(start as usize..(start + length) as usize)
    }

    /// Writes over a place in the file.
    fn overwrite(&mut self, place: usize, with: &[u8]) -> Result<()> {
        self.bytes[place..place + with.len()].copy_from_slice(with);
        OpenOptions::new().write(true).open(&self.path)?.write_all_at(with, place as u64)?;
        Ok(())
    }

    /// The place of Go's version in the build information.
    fn version(&self) -> Result<usize> {
        let section = self.section(".go.buildinfo")?;
        let start = section.start;
        let found = self.bytes[section].windows(4).position(|bytes| bytes == b"go1.");
        Ok(start + found.context("no version in the build information")?)
    }
}

fn count(node: &Node, outcome: &str) -> Result<Option<f64>> {
    node.metric(&format!("weft_go_binaries_total{{outcome=\"{outcome}\"}}"))
}

/// Its exchanges are there, but for what only a goroutine could tell.
fn traced_without_goroutines(node: &Node) -> Result<()> {
    let exchanges = node.ask(20)?;
    assert!(exchanges.iter().all(|exchange| goid(exchange).is_none()), "{}", exchanges[0]);
    assert!(exchanges.iter().all(|exchange| exchange["app"]["tid"].as_u64().is_some()), "{}", exchanges[0]);
    Ok(())
}

/// One line and one count, and no Go process.
fn refused(node: &Node, program: &Path, outcome: &str, says: &str) -> Result<()> {
    let _service = node.serve(program)?;
    node.counted(&format!("weft_go_binaries_total{{outcome=\"{outcome}\"}}"), 1.0)?;
    assert_eq!(node.logged(&["WARN", says])?, 1);
    assert_eq!(node.processes()?, Vec::<Value>::new());
    traced_without_goroutines(node)?;
    assert_eq!(count(node, outcome)?, Some(1.0), "once is enough");
    Ok(())
}

#[test]
fn a_program_that_only_looks_like_go() -> Result<()> {
    let node = Node::new(json!({}))?;
    let mut program = Program::usual(&node)?;
    let version = program.version()?;
    program.overwrite(version, b"no1.xyz")?;
    refused(&node, &program.path, "refused", "not traced as a Go program")
}

#[test]
fn a_program_that_is_too_large() -> Result<()> {
    let node = Node::new(json!({}))?;
    let program = Program::usual(&node)?;
    // The kernel executes it all the same; on the disk it takes no room.
    OpenOptions::new().write(true).open(&program.path)?.set_len((512 << 20) + 1)?;
    refused(&node, &program.path, "too_large", "are read")
}

#[test]
fn a_program_that_may_not_be_read() -> Result<()> {
    let wrap = |lab: &Lab, weft: &Path| {
        let script = lab.file("programs", "weft-without")?;
        let without = "-dac_override,-dac_read_search";
        fs::write(
            &script,
            format!(
                "#!/bin/sh\nexec setpriv --bounding-set {without} --inh-caps {without} {} \"$@\"\n",
                weft.display()
            ),
        )?;
        fs::set_permissions(&script, fs::Permissions::from_mode(0o755))?;
        Ok(script)
    };
    let node = Node::with_weft(json!({}), wrap)?;
    let program = Program::usual(&node)?;
    // Only to be executed: root without these capabilities may not read it.
    fs::set_permissions(&program.path, fs::Permissions::from_mode(0o111))?;
    refused(&node, &program.path, "unreadable", "cannot be read")
}

/// Of what is said of it some is missing: a line says what, and its requests are traced.
fn partly_known(node: &Node, service: &Process, says: &str) -> Result<Value> {
    let process = node.settled(service.pid())?;
    let missing = process["missing"].to_string();
    assert!(missing.contains(says), "{process}");
    assert_eq!(node.logged(&["WARN", "not all is known", says])?, 1);
    assert_eq!(count(node, "go")?, Some(1.0));
    let exchanges = node.ask(20)?;
    assert_eq!(exchanges.len(), 20);
    Ok(process)
}

#[test]
fn debugging_information_that_is_damaged() -> Result<()> {
    let node = Node::new(json!({}))?;
    let mut program = Program::usual(&node)?;
    for name in [".debug_info", ".debug_abbrev"] {
        let section = program.section(name)?;
        program.overwrite(section.start, &vec![0xa5; section.len()])?;
    }
    // The table of Go's releases says what it would have said.
    let service = node.serve(&program.path)?;
    let process = node.settled(service.pid())?;
    assert_eq!(process["missing"], Value::Null, "{process}");
    let exchanges = node.ask(20)?;
    assert!(exchanges.iter().all(|exchange| goid(exchange).is_some()), "{}", exchanges[0]);
    Ok(())
}

#[test]
fn a_function_table_without_names() -> Result<()> {
    let node = Node::new(json!({}))?;
    let mut program = Program::stripped(&node)?;
    // runtime/symtab.go, pcHeader: the offsets of the names and of what follows them.
    let table = program.section(".gopclntab")?;
    let word = |place: usize| {
        let bytes = program.bytes[table.start + place..][..8].try_into()?;
        Ok::<_, anyhow::Error>(u64::from_le_bytes(bytes) as usize)
    };
    let (names, behind) = (word(32)?, word(40)?);
    program.overwrite(table.start + names, &vec![b'?'; behind - names])?;
    partly_known(&node, &node.serve(&program.path)?, "function table").map(drop)
}

#[test]
fn a_version_that_nobody_has_looked_at() -> Result<()> {
    let node = Node::new(json!({}))?;
    let mut program = Program::stripped(&node)?;
    let version = program.version()?;
    program.overwrite(version, b"go1.99")?;
    let service = node.serve(&program.path)?;
    let process = partly_known(&node, &service, "1.99")?;
    assert!(process["go_version"].as_str().is_some_and(|version| version.starts_with("1.99")), "{process}");
    traced_without_goroutines(&node)
}

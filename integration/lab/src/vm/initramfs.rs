//! What a virtual machine has in its memory when it starts: a shell, modules, a script and files.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, ensure};

use super::cpio::Archive;
use super::kernel::{Kernel, unpacked_module};
use crate::tools::find_program;

const INIT: &str = include_str!("init.sh");
/// Pods' devices and network, and the filters of kernels before TCX.
const MODULES: [&str; 4] = ["veth", "bridge", "sch_ingress", "cls_bpf"];
const FOLDERS: [&str; 7] = ["bin", "dev", "proc", "sys", "tmp", "run", "modules"];

/// Packs it. `files`: the host's path, and where it goes.
pub fn pack(kernel: &Kernel, script: &str, files: &[(PathBuf, String)]) -> Result<Vec<u8>> {
    let mut packed = Packed { archive: Archive::new(Vec::new()), there: BTreeSet::new() };
    for folder in FOLDERS {
        packed.folders(&format!("{folder}/x"))?;
    }
    let busybox = find_program("busybox").context("no busybox: install busybox-static")?;
    packed.file("bin/busybox", &fs::read(busybox)?)?;
    packed.file("init", INIT.as_bytes())?;
    packed.file("script", script.as_bytes())?;
    for (index, module) in modules(kernel)?.iter().enumerate() {
        packed.file(&format!("modules/{index:02}.ko"), &unpacked_module(module)?)?;
    }
    for (path, name) in files {
        packed.program(path, name)?;
    }
    Ok(packed.archive.finish()?)
}

fn modules(kernel: &Kernel) -> Result<Vec<PathBuf>> {
    let mut all: Vec<PathBuf> = Vec::new();
    for name in MODULES {
        for path in kernel.modules(name)? {
            if !all.contains(&path) {
                all.push(path);
            }
        }
    }
    Ok(all)
}

struct Packed {
    archive: Archive<Vec<u8>>,
    there: BTreeSet<String>,
}

impl Packed {
    fn file(&mut self, name: &str, data: &[u8]) -> Result<()> {
        self.folders(name)?;
        if self.there.insert(name.to_owned()) {
            self.archive.file(name, data)?;
        }
        Ok(())
    }

    /// Those that a file's name names.
    fn folders(&mut self, name: &str) -> Result<()> {
        for (end, _) in name.match_indices('/') {
            if self.there.insert(name[..end].to_owned()) {
                self.archive.directory(&name[..end])?;
            }
        }
        Ok(())
    }

    /// A file, and the shared libraries that it needs where it needs any.
    fn program(&mut self, path: &Path, name: &str) -> Result<()> {
        self.file(
            name.trim_start_matches('/'),
            &fs::read(path).with_context(|| path.display().to_string())?,
        )?;
        for library in libraries(path)? {
            let name = library.display().to_string();
            self.file(name.trim_start_matches('/'), &fs::read(&library)?)?;
        }
        Ok(())
    }
}

/// ldd(1): the paths among its words. What is static or no program has none.
fn libraries(path: &Path) -> Result<Vec<PathBuf>> {
    let output = Command::new("ldd").arg(path).output().context("cannot start ldd")?;
    if !output.status.success() {
        return Ok(Vec::new());
    }
    let shown = String::from_utf8(output.stdout)?;
    ensure!(!shown.contains("not found"), "{}: {shown}", path.display());
    Ok(shown.split_whitespace().filter(|word| word.starts_with('/')).map(PathBuf::from).collect())
}

//! `weft read-go-binary`: what the agent starts to read a binary that strangers wrote. In a process of its own a file that is
//! cut off while it is mapped (which ends a process), memory, and time without end are nobody else's trouble.
use std::{
    fs::File,
    io::{self, Write as _},
    os::fd::AsFd,
    ptr,
};

use anyhow::{Context as _, Result, ensure};
use rustix::{
    mm::{MapFlags, ProtFlags, mmap},
    process::{Resource, Rlimit, Signal, set_parent_process_death_signal, setrlimit},
    thread::{CapabilitySet, CapabilitySets, set_capabilities},
};
use serde::{Deserialize, Serialize};
use weft_gobin::{GoBinary, NamedFunction};

/// The name of the command.
pub const COMMAND: &str = "read-go-binary";
/// Memory besides the file's: twice what `weft_gobin::read` says that it needs.
const MEMORY: u64 = 128 << 20;
/// CPU time in seconds. The largest binaries take less than one.
const SECONDS: u64 = 30;

/// What the command prints.
#[derive(Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Told {
    /// A Go program.
    Go(Box<GoBinary>),
    /// Where the functions that were asked for are in a Go program.
    Functions(Vec<NamedFunction>),
    /// Another program.
    NotGo,
    /// Something is wrong with it: a sentence.
    Refused(String),
}

/// Reads the file on stdin, prints as one JSON document what it is, or where these functions of it are.
///
/// # Errors
/// When the limits cannot be set or stdin is no file.
pub fn run(functions: &[String]) -> Result<()> {
    limit_oneself().context("cannot limit what reading a binary may take")?;
    let file = map(io::stdin().as_fd().try_clone_to_owned()?.into())?;
    let told = if functions.is_empty() {
        weft_gobin::read(file).map(|binary| binary.map(|binary| Told::Go(Box::new(binary))))
    } else {
        let names: Vec<&str> = functions.iter().map(String::as_str).collect();
        weft_gobin::find_named(file, &names).map(|found| found.map(Told::Functions))
    };
    let told = match told {
        Ok(told) => told.unwrap_or(Told::NotGo),
        Err(error) => Told::Refused(error.to_string()),
    };
    let mut answer = serde_json::to_vec(&told)?;
    answer.push(b'\n');
    Ok(io::stdout().write_all(&answer)?)
}

/// Nothing of what root may is needed here.
fn limit_oneself() -> io::Result<()> {
    set_parent_process_death_signal(Some(Signal::KILL))?;
    for (resource, most) in [(Resource::Data, MEMORY), (Resource::Cpu, SECONDS), (Resource::Core, 0)] {
        setrlimit(resource, Rlimit { current: Some(most), maximum: Some(most) })?;
    }
    let none = CapabilitySet::empty();
    Ok(set_capabilities(None, CapabilitySets { effective: none, permitted: none, inheritable: none })?)
}

/// The file's bytes until this process ends: as pages of the cache, which the kernel takes back when it needs memory.
fn map(file: File) -> Result<&'static [u8]> {
    let length = usize::try_from(file.metadata()?.len())?;
    ensure!(length > 0, "there is nothing on stdin");
    // SAFETY: the kernel chooses a place where nothing is.
    let start = unsafe { mmap(ptr::null_mut(), length, ProtFlags::READ, MapFlags::SHARED, &file, 0) }
        .context("stdin cannot be mapped")?;
    // SAFETY: the mapping has this length and is never undone. Nobody can write to a file that is being executed; whoever
    // finds a way gets wrong answers about his own program, since nothing is taken for granted that was read once.
    Ok(unsafe { std::slice::from_raw_parts(start.cast::<u8>(), length) })
}

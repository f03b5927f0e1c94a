//! What the runtime of a process counts by itself, read from its memory: no probe, no stop.
use std::{fs::File, io, os::unix::fs::FileExt as _};

use weft_gobin::RuntimeAddresses;

use super::{
    histogram::{self, Durations},
    proc::ProcDir,
};

/// More processors than a runtime can have (`_MaxGomaxprocs` was 1024 when there was a limit).
const MOST_PROCESSORS: i32 = 1 << 16;

/// Where an ELF file of 64 bits says at which address it begins to execute (`e_entry`).
const E_ENTRY: u64 = 24;

/// What the runtime says of itself. What could not be read is absent.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Counted {
    /// Goroutines that live, without the runtime's own.
    pub goroutines: Option<u64>,
    /// `GOMAXPROCS`.
    pub processors: Option<u64>,
    /// Garbage collections that were completed.
    pub gc_cycles: Option<u64>,
    /// For how long the world was stopped for them altogether, in ns.
    pub gc_pause_total_ns: Option<u64>,
    /// The same, each time by itself.
    pub gc_pauses: Option<Durations>,
    /// Bytes of the heap that were found in use, or allocated since.
    pub heap_live: Option<u64>,
    /// At how many bytes of it the next collection is to be over.
    pub heap_goal: Option<u64>,
    /// How long goroutines that were able to run did not.
    pub schedule: Option<Durations>,
}

/// What is added to an address of the binary, as it was linked, where it was loaded.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LoadBias(u64);

/// A process's memory at the addresses of its binary.
pub struct Memory {
    file: File,
    bias: LoadBias,
}

impl LoadBias {
    /// Of a process that executes this file.
    ///
    /// # Errors
    /// When it is gone or may not be asked, or the file cannot be read.
    pub fn of(process: &ProcDir, executable: &File) -> io::Result<Self> {
        let mut linked = [0; 8];
        executable.read_exact_at(&mut linked, E_ENTRY)?;
        Ok(Self(process.entry()?.wrapping_sub(u64::from_le_bytes(linked))))
    }

    /// The memory of the process.
    ///
    /// # Errors
    /// When it is gone or may not be traced.
    pub fn memory(self, process: &ProcDir) -> io::Result<Memory> {
        Ok(Memory { file: process.memory()?, bias: self })
    }
}

impl Memory {
    /// Reads all that is there.
    pub fn counted(&self, at: &RuntimeAddresses) -> Counted {
        Counted {
            goroutines: self.goroutines(at),
            processors: self.i32(at.gomaxprocs).filter(|count| (1..MOST_PROCESSORS).contains(count)).and_then(positive),
            gc_cycles: self.u32(at.gc_cycles).map(u64::from),
            gc_pause_total_ns: self.u64(at.gc_pause_total),
            gc_pauses: self.durations(at.stw_gc, at),
            heap_live: self.u64(at.heap_live),
            heap_goal: self.u64(at.heap_goal),
            schedule: self.durations(at.time_to_run, at),
        }
    }

    fn durations(&self, address: Option<u64>, at: &RuntimeAddresses) -> Option<Durations> {
        let mut bytes = vec![0; histogram::size(at.histogram)?];
        self.read(address?, &mut bytes)?;
        histogram::decode(at.histogram, &bytes)
    }

    fn u64(&self, address: Option<u64>) -> Option<u64> {
        self.array(address?).map(u64::from_le_bytes)
    }

    fn u32(&self, address: Option<u64>) -> Option<u32> {
        self.array(address?).map(u32::from_le_bytes)
    }

    fn i32(&self, address: Option<u64>) -> Option<i32> {
        self.array(address?).map(i32::from_le_bytes)
    }

    fn array<const N: usize>(&self, address: u64) -> Option<[u8; N]> {
        let mut bytes = [0; N];
        self.read(address, &mut bytes).map(|()| bytes)
    }

    fn read(&self, address: u64, bytes: &mut [u8]) -> Option<()> {
        self.file.read_exact_at(bytes, address.wrapping_add(self.bias.0)).ok()
    }
}

fn positive(count: i32) -> Option<u64> {
    u64::try_from(count).ok()
}

//! What the runtime of a process counts by itself, read from its memory: no probe, no stop.
use std::{fs::File, io, os::unix::fs::FileExt as _};

use weft_gobin::{GoBinary, GoVersion, RuntimeAddresses};

use super::{
    histogram::{self, Durations},
    proc::ProcDir,
};

/// More processors than machines have; who says that there are more is not believed.
const MOST_PROCESSORS: usize = 1 << 12;

/// Since then the runtime's own goroutines are among those that it counts (runtime/metrics.go, `schedStatsAggregate`).
const COUNTS_ITS_OWN: GoVersion = GoVersion { major: 1, minor: 26, patch: 0 };

/// Where an ELF file of 64 bits says at which address it begins to execute (`e_entry`).
const E_ENTRY: u64 = 24;

/// What the runtime says of itself. What could not be read is absent.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Counted {
    /// Goroutines that live; before Go 1.26 without the runtime's own.
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
    pub fn counted(&self, binary: &GoBinary) -> Counted {
        let at = &binary.runtime;
        Counted {
            goroutines: self.goroutines(at, binary.version),
            processors: self.i32(at.gomaxprocs).and_then(|count| u64::try_from(count).ok()),
            gc_cycles: self.u32(at.gc_cycles).map(u64::from),
            gc_pause_total_ns: self.u64(at.gc_pause_total),
            gc_pauses: self.durations(at.stw_gc, at),
            heap_live: self.u64(at.heap_live),
            // GOGC=off: there is no goal.
            heap_goal: self.u64(at.heap_goal).filter(|goal| *goal != u64::MAX),
            schedule: self.durations(at.time_to_run, at),
        }
    }

    /// As `runtime.gcount` counts them for `/sched/goroutines:goroutines`: all, but for the dead ones that wait to be used again.
    fn goroutines(&self, at: &RuntimeAddresses, version: GoVersion) -> Option<u64> {
        let all = i64::try_from(self.u64(at.all_goroutines)?).ok()?;
        let mut others = self.i32(at.free_goroutines).map(i64::from)?;
        if at.free_goroutines_without_stack.is_some() {
            others += self.i32(at.free_goroutines_without_stack).map(i64::from)?;
        }
        if version < COUNTS_ITS_OWN {
            others += self.i32(at.system_goroutines).map(i64::from)?;
        }
        others += self.free_goroutines_of_processors(at)?;
        // They change while they are read; one goroutine there always is.
        Some(all.checked_sub(others)?.max(1).cast_unsigned())
    }

    fn free_goroutines_of_processors(&self, at: &RuntimeAddresses) -> Option<i64> {
        let slice = at.processors?;
        let [pointers, count] = [self.u64(Some(slice))?, self.u64(slice.checked_add(8))?];
        let mut bytes = vec![0; usize::try_from(count).ok().filter(|count| *count <= MOST_PROCESSORS)? * 8];
        self.read_at(pointers, &mut bytes)?;
        let (processors, _) = bytes.as_chunks::<8>();
        let free = |processor: &[u8; 8]| {
            let place =
                u64::from_le_bytes(*processor).checked_add(at.free_goroutines_of_processor?.into())?;
            let mut free = [0; 4];
            self.read_at(place, &mut free).map(|()| i64::from(i32::from_le_bytes(free)))
        };
        processors.iter().map(free).sum()
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
        self.read_at(address.wrapping_add(self.bias.0), bytes)
    }

    /// At an address that the process itself has told.
    fn read_at(&self, address: u64, bytes: &mut [u8]) -> Option<()> {
        self.file.read_exact_at(bytes, address).ok()
    }
}

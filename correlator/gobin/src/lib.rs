//! What a Go executable says of itself: its version, where its structures have their members, and where its functions
//! begin. From bytes alone: nothing here opens a file, runs a program or looks at a process. Everything in a binary is
//! hostile until it is checked.

#![forbid(unsafe_code)]

mod as_bytes;
mod build_id;
mod build_info;
mod dwarf;
mod elf;
mod error;
mod functions;
mod inflate;
mod layouts;
mod members;
mod moduledata;
mod named;
mod offsets;
mod pclntab;
mod points;
mod prologue;
mod read;
mod relocations;
mod runtime;
mod sources;
mod symbols;
mod tls;
mod wanted;

use std::fmt;

pub use error::Error;
pub use functions::MOST_NAME as LONGEST_NAME;
pub use members::{Member, Members};
pub use named::{NamedFunction, find_named};
pub use offsets::{GO, Offsets, Release, table as offsets};
pub use read::read;
use serde::{Deserialize, Serialize};
pub use sources::described;
use weft_abi::{GoCallLayout, GoProcess};

/// A version of Go, as the binary's build information says it (`go1.26.8`).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct GoVersion {
    /// 1.
    pub major: u16,
    /// 26.
    pub minor: u16,
    /// 8; 0 where there is none.
    pub patch: u16,
}

impl fmt::Display for GoVersion {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}.{}", self.major, self.minor, self.patch)
    }
}

/// A function that weft can listen at.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum GoFunction {
    /// `net/http.serverHandler.ServeHTTP`.
    HttpServe,
    /// `runHandler` of net/http's or x/net's HTTP/2 server.
    H2Serve,
    /// `handleStream` of grpc-go's server.
    GrpcServe,
    /// `net/http.(*persistConn).roundTrip`.
    HttpCall,
    /// `encodeAndWriteHeaders` of net/http's or x/net's HTTP/2 client.
    H2Call,
    /// `(*http2Client).write` (or `Write`) of grpc-go.
    GrpcCall,
    /// `runtime.newproc`, where the new goroutine is complete.
    Create,
    /// `runtime.stopTheWorldWithSema`.
    StopWorld,
    /// `runtime.startTheWorldWithSema`.
    StartWorld,
    /// `runtime.gcStart`.
    GcStart,
    /// `runtime.gcMarkTermination`.
    GcMarkTermination,
    /// `runtime.gcAssistAlloc`.
    GcAssist,
    /// `runtime.casgstatus`.
    Status,
}

/// A place to attach a program at, and what to read there: all that the function's record says. A function of which part of that
/// is not known is not among the points.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ProbePoint {
    /// Which function.
    pub function: GoFunction,
    /// Its name in the binary.
    pub symbol: String,
    /// Offset in the file: of the first `push %rbp`, which the kernel emulates, else of the function's entry.
    pub file_offset: u64,
    /// It is at such a push. The entry's instruction is single-stepped, at ten times the cost.
    pub emulated: bool,
    /// What to read there; `function` is set, and of runtime functions nothing else.
    #[serde(with = "as_bytes")]
    pub layout: GoCallLayout,
}

/// Where the runtime keeps what it always counts: virtual addresses of the binary as linked. A position-independent one is moved:
/// by the address that the process has the file's beginning at, less [`GoBinary::linked_at`].
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct RuntimeAddresses {
    /// `runtime.sched.timeToRun` (a `timeHistogram`): how long goroutines waited to run.
    pub time_to_run: Option<u64>,
    /// `runtime.sched.stwTotalTimeGC` (a `timeHistogram`): how long the world was stopped for the garbage collector.
    pub stw_gc: Option<u64>,
    /// `runtime.memstats.numgc`: u32.
    pub gc_cycles: Option<u64>,
    /// `runtime.memstats.pause_total_ns`: u64.
    pub gc_pause_total: Option<u64>,
    /// `runtime.gcController.heapLive`: u64.
    pub heap_live: Option<u64>,
    /// `runtime.gcController.gcPercentHeapGoal` or what stands for the goal in this version: u64.
    pub heap_goal: Option<u64>,
    /// `runtime.allglen`: uintptr, all goroutines that ever were at a time.
    pub all_goroutines: Option<u64>,
    /// `runtime.sched.gFree.n`: i32, of these the dead ones that wait to be used again. Since Go 1.25
    /// `runtime.sched.gFree.stack.size`: those of them that still have a stack.
    pub free_goroutines: Option<u64>,
    /// `runtime.sched.gFree.noStack.size`: i32, since Go 1.25: those of them that have none.
    pub free_goroutines_without_stack: Option<u64>,
    /// `runtime.sched.ngsys`: i32, of these the runtime's own.
    pub system_goroutines: Option<u64>,
    /// `runtime.gomaxprocs`: i32.
    pub gomaxprocs: Option<u64>,
    /// `runtime.allp`: a slice of pointers to processors.
    pub processors: Option<u64>,
    /// No address but an offset in a processor: `gFree.n`, since Go 1.25 `gFree.size`, i32. Dead goroutines that wait there to be
    /// used again.
    pub free_goroutines_of_processor: Option<u32>,
    /// Buckets of a `timeHistogram` of this version.
    pub histogram: TimeHistogram,
}

/// The shape of the runtime's `timeHistogram` (runtime/histogram.go): `counts` of u64, then underflow and overflow.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct TimeHistogram {
    /// `timeHistMinBucketBits`.
    pub min_bucket_bits: u32,
    /// `timeHistMaxBucketBits`.
    pub max_bucket_bits: u32,
    /// `timeHistSubBucketBits`.
    pub sub_bucket_bits: u32,
}

/// What is known of a binary.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct GoBinary {
    /// The compiler's version.
    pub version: GoVersion,
    /// Go's build id, else the GNU one, else nothing.
    pub build_id: Option<String>,
    /// How the goroutine of a thread is found; all of it is zero where that is not known (`goid` never is otherwise).
    #[serde(with = "as_bytes")]
    pub process: GoProcess,
    /// Where to attach, in no particular order.
    pub points: Vec<ProbePoint>,
    /// The virtual address that the file's beginning is linked at (not 0 in a position-independent program of Go's own linker);
    /// None: it is not loaded.
    pub linked_at: Option<u64>,
    /// Where the runtime counts.
    pub runtime: RuntimeAddresses,
    /// What is not there or not known, in sentences for the log; at most a few.
    pub missing: Vec<String>,
}

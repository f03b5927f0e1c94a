#[cfg(feature = "user")]
use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout};

use crate::Header;

/// How the goroutine of a thread of one process is found.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[cfg_attr(feature = "user", derive(FromBytes, IntoBytes, Immutable, KnownLayout))]
pub struct GoProcess {
    /// Where the pointer to the thread's `g` is, from the thread's FS base: -8 unless the binary's TLS segment says
    /// otherwise. [`G_IN_R14`]: in a register.
    pub g_tls: i64,
    /// Offset of `runtime.g.goid`.
    pub goid: u32,
    /// Offset of `runtime.g.parentGoid`; 0 where this version has none.
    pub parent_goid: u32,
    /// Offset of `runtime.g.m`.
    pub m: u32,
    /// Offset of `runtime.m.curg`: whom a thread on its system stack works for.
    pub curg: u32,
}

/// `GoProcess::g_tls` of a program without C code: all its system calls are made by Go's own `Syscall6`, and of ABIInternal's registers
/// that leaves R14, the `g`, as it is. That spares a read of the process's memory.
pub const G_IN_R14: i64 = i64::MAX;

/// A Go process: a value of the map `GO_PROCESSES`, by process id (`tgid` in the initial pid namespace). A process without an
/// entry is no Go process, or not known yet. User space makes entries; the programs remove one when its process executes another
/// program or ends.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[cfg_attr(feature = "user", derive(FromBytes, IntoBytes, Immutable, KnownLayout))]
pub struct GoProcessEntry {
    /// How its goroutines are found.
    pub process: GoProcess,
    /// A number that no other entry has or had since the programs were loaded: what the programs remember of a goroutine is
    /// remembered of this process, and of no other with the same id.
    pub incarnation: u64,
    /// The netns cookie of the pod that it is of.
    pub netns: u64,
}

/// Steps of a [`GoPath`].
pub const GO_PATH_STEPS: usize = 6;

/// A way through a process's memory: from an argument of a Go function along pointers. Each step reads the 8 bytes at the
/// value so far plus its offset; what the last one read is what was looked for.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[cfg_attr(feature = "user", derive(FromBytes, IntoBytes, Immutable, KnownLayout))]
pub struct GoPath {
    /// Which argument word, in the order of ABIInternal's registers (RAX, RBX, RCX, RDI, RSI, R8, R9, R10, R11).
    pub register: u8,
    /// How many of the steps there are; 0: there is no way, nothing is read.
    pub steps: u8,
    /// The offsets.
    pub offsets: [u16; GO_PATH_STEPS],
    /// Zero.
    pub pad: u16,
}

/// What to read where a Go function is called: a value of the map `GO_CALLS`, by the attachment's cookie.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[cfg_attr(feature = "user", derive(FromBytes, IntoBytes, Immutable, KnownLayout))]
pub struct GoCallLayout {
    /// `go_call::*`: becomes the record's `Header::detail`.
    pub function: u8,
    /// The most contexts to record, at most [`MAX_CONTEXTS`]. 0: what `context` leads to is a number, and the only one.
    pub contexts: u8,
    /// 1: nobody knows now which request a context is of, and `context` is not followed. The one member that is changed while the
    /// program is attached.
    pub no_context: u8,
    /// Zero.
    pub pad: [u8; 5],
    /// To the data word of the connection's `net.Conn`.
    pub conn: GoPath,
    /// To a word whose lower half is the HTTP/2 stream identifier.
    pub stream: GoPath,
    /// To the data word of the `context.Context`.
    pub context: GoPath,
}

/// Entries of the map `GO_PROCESSES`.
pub const GO_PROCESSES: u32 = 4096;
/// Entries of the map `GO_CALLS` and of the per-CPU map `GO_HITS`: attachments of Go functions at a time.
pub const GO_CALLS: u32 = 1024;
/// The most contexts of a chain that one record carries.
pub const MAX_CONTEXTS: usize = 24;

/// Metrics of Go functions at a time: elements of the map `GO_COUNT_LAYOUTS`.
pub const GO_FUNCTIONS: u32 = 64;
/// Entries of the map `GO_COUNTS`.
pub const GO_COUNTS: u32 = 4096;
/// The most bounds of a histogram.
pub const MAX_BOUNDS: usize = 32;

/// What counts where a metric's Go function is called: an element of the map `GO_COUNT_LAYOUTS`, by the metric's number, which
/// the attachment's cookie has in its upper half.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[cfg_attr(feature = "user", derive(FromBytes, IntoBytes, Immutable, KnownLayout))]
pub struct GoCountLayout {
    /// How many bounds there are; 0: calls alone are counted, and no argument is looked at.
    pub bounds: u8,
    /// The argument's word, as in [`GoPath::register`].
    pub register: u8,
    /// Bits of the word above the integer: Go leaves anything there.
    pub unused_bits: u8,
    /// 1: the integer is in two's complement.
    pub signed: u8,
    /// Zero.
    pub pad: u32,
    /// Upper bounds, inclusive, ascending: integers as wide as the word.
    pub upper: [u64; MAX_BOUNDS],
}

/// Whose calls of what: a key of the map `GO_COUNTS`. User space makes entries, of zeros, and removes them.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
#[cfg_attr(feature = "user", derive(FromBytes, IntoBytes, Immutable, KnownLayout))]
pub struct GoCountKey {
    /// The metric's number.
    pub metric: u32,
    /// Zero.
    pub pad: u32,
    /// The netns cookie of the pod.
    pub netns: u64,
}

/// What was counted: a value of the map `GO_COUNTS`. Each member only grows; they are not of the very same moment.
#[repr(C)]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "user", derive(FromBytes, IntoBytes, Immutable, KnownLayout))]
pub struct GoCount {
    /// Calls by the first bound that the argument is not above; behind the bounds, those that are above all of them.
    pub calls: [u64; MAX_BOUNDS + 1],
    /// Sum of the arguments' lower 32 bits, unsigned, and of what is above these: `low + (high << 32)` is that of the arguments,
    /// which would not fit one word.
    pub sum_low: u64,
    /// As signed as the argument.
    pub sum_high: u64,
}

/// What a Go function's call says: `Header::detail` of a [`GoCall`].
pub mod go_call {
    /// net/http's server calls the handler (`serverHandler.ServeHTTP`), in the goroutine that has read the request where
    /// that came over HTTP/1.
    pub const HTTP_SERVE: u8 = 1;
    /// An HTTP/2 server begins to handle a stream, in the handler's goroutine.
    pub const H2_SERVE: u8 = 2;
    /// grpc-go's server begins to handle a call, in the handler's goroutine.
    pub const GRPC_SERVE: u8 = 3;
    /// net/http's client sends a request over an HTTP/1 connection (`(*persistConn).roundTrip`), in the caller's goroutine.
    pub const HTTP_CALL: u8 = 4;
    /// An HTTP/2 client is about to write a request's head, in a goroutine that the caller has started for the request.
    pub const H2_CALL: u8 = 5;
    /// grpc-go's client writes on a stream, in the caller's goroutine; once a message, the first of them counts.
    pub const GRPC_CALL: u8 = 6;
    /// A goroutine was created (`runtime.newproc`), by the calling one; its id follows in the place of a context.
    pub const CREATED: u8 = 7;
    /// The world is about to be stopped.
    pub const STOP_WORLD: u8 = 16;
    /// The world goes on.
    pub const START_WORLD: u8 = 17;
    /// A garbage collection begins.
    pub const GC_START: u8 = 18;
    /// A garbage collection's marking is over.
    pub const GC_MARK_TERMINATION: u8 = 19;
    /// A goroutine begins to help the garbage collector before it gets memory.
    pub const GC_ASSIST: u8 = 20;
}

/// A call of a Go function, with the contexts that were in force behind it: `contexts` times 8 bytes, the data words of a
/// chain of `context.Context`s, innermost first. A context that is a pointer to a structure whose first member is its
/// parent has the next one behind it; so all of the standard library's do. One without a parent ends the chain and is not in
/// it: it is no request's, and all of them (`context.Background()`) may have the same data word.
#[repr(C)]
#[derive(Clone, Copy, Debug)]
#[cfg_attr(feature = "user", derive(FromBytes, IntoBytes, Immutable, KnownLayout))]
pub struct GoCall {
    /// The record's header: of the pod's sockets.
    pub header: Header,
    /// Cookie of the connection's socket; 0 where it was not found.
    pub cookie: u64,
    /// The calling goroutine; 0 when unknown.
    pub goid: u64,
    /// The goroutine that created it; 0 when unknown.
    pub parent_goid: u64,
    /// Process id in the initial pid namespace.
    pub pid: u32,
    /// Thread id in the initial pid namespace.
    pub tid: u32,
    /// HTTP/2 stream identifier; 0 on HTTP/1 or when unknown.
    pub stream_id: u32,
    /// How many contexts follow.
    pub contexts: u32,
}

/// What a goroutine did: `Header::detail` of a [`GoSched`].
pub mod go_sched {
    /// It was created. Its record is written when it runs for the first time, with the time at which it was created: in older
    /// versions of Go it has no id before.
    pub const CREATED: u8 = 1;
    /// It waits for something.
    pub const PARKED: u8 = 2;
    /// It may run again: what it waited for is there, its system call is over, or it gave way to others.
    pub const READY: u8 = 3;
    /// It runs, `wait` ns after it was able to.
    pub const RUNS: u8 = 4;
    /// It is over.
    pub const DEAD: u8 = 5;
}

/// A goroutine changed its state (`runtime.casgstatus`): recorded where all probes are asked for.
#[repr(C)]
#[derive(Clone, Copy, Debug)]
#[cfg_attr(feature = "user", derive(FromBytes, IntoBytes, Immutable, KnownLayout))]
pub struct GoSched {
    /// The record's header: of the pod's sockets.
    pub header: Header,
    /// The goroutine whose state it is.
    pub goid: u64,
    /// For CREATED: the goroutine that created it. For READY: the one that the thread was running, which may be itself. 0: none,
    /// or unknown.
    pub by: u64,
    /// For RUNS: how long it was able to run and did not, in ns; 0 when unknown, as for one of some whose addresses share a
    /// place in the kernel's table.
    pub wait: u64,
    /// Process id in the initial pid namespace.
    pub pid: u32,
    /// Thread id in the initial pid namespace.
    pub tid: u32,
}

/// What happened to a process: `Header::detail` of a [`Process`].
pub mod process {
    /// It runs another program now.
    pub const EXEC: u8 = 1;
    /// Its last thread is gone.
    pub const EXIT: u8 = 2;
}

/// A process of a pod came or went.
#[repr(C)]
#[derive(Clone, Copy, Debug)]
#[cfg_attr(feature = "user", derive(FromBytes, IntoBytes, Immutable, KnownLayout))]
pub struct Process {
    /// The record's header: of the pod's sockets.
    pub header: Header,
    /// Process id in the initial pid namespace.
    pub pid: u32,
    /// Zero.
    pub pad: u32,
}

const _: () = assert!(size_of::<GoProcess>() == 24);
const _: () = assert!(size_of::<GoProcessEntry>() == 40);
const _: () = assert!(size_of::<GoPath>() == 16);
const _: () = assert!(size_of::<GoCallLayout>() == 56);
const _: () = assert!(size_of::<GoCountLayout>() == 264);
const _: () = assert!(size_of::<GoCountKey>() == 16);
const _: () = assert!(size_of::<GoCount>() == 280);
const _: () = assert!(size_of::<GoCall>() == 64);
const _: () = assert!(size_of::<GoSched>() == 56);
const _: () = assert!(size_of::<Process>() == 32);

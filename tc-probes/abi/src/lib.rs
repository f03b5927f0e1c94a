//! What crosses the border between the eBPF programs and user space: the records of the ring buffer and the
//! keys and values of the pinned maps. Plain `repr(C)` data without logic; changing any of it changes
//! [`ABI_VERSION`], and with it the folder that everything is pinned under.
//!
//! Conventions: integers are in host byte order, IPv4 addresses are v4-mapped IPv6 addresses, times are
//! nanoseconds of `CLOCK_MONOTONIC`, sequence numbers are as on the wire.
#![no_std]

mod control;
mod flow;
mod go;
mod loss;
mod record;
mod run;
mod vantage;

pub use control::{CONTROL_FILTER_PORTS, Control, PORT_EXCLUDE, PORT_INCLUDE, PORTS};
pub use flow::{
    FILTER_WORDS, FlowFraming, FlowKey, FlowRef, FlowSlot, FlowWant, FramingPlace, FramingVerdict,
    FramingWant, NO_LIMIT, NO_PEER, SLOTS, WANT_ALL, WANT_CHUNKS, WANT_FRAMES, WANT_FROM, WANT_NONE,
    WANT_UPDATES, chunk_phase, frame_class, knowledge, order,
};
pub use go::{
    G_IN_R14, GO_CALLS, GO_COUNTS, GO_FUNCTIONS, GO_PATH_STEPS, GO_PROCESSES, GoCall, GoCallLayout, GoCount,
    GoCountKey, GoCountLayout, GoPath, GoProcess, GoProcessEntry, GoSched, MAX_BOUNDS, MAX_CONTEXTS, Process,
    go_call, go_sched, process,
};
pub use loss::{LOSS_REASONS, LossReason};
pub use record::{
    DIRECTION_EGRESS, DIRECTION_INGRESS, Header, KIND_BORDER, KIND_CHUNK_RUN, KIND_FRAME_RUN, KIND_GO_CALL,
    KIND_GO_SCHED, KIND_PROCESS, KIND_RUN, KIND_SEGMENT, KIND_SOCK_EVENT, KIND_SOCK_IO, KIND_UPDATE_RUN,
    MAX_CAPTURE, Segment, SockEvent, SockIo, Tuple, io, sock_event, tcp_flag,
};
pub use run::{Border, FramedRun, MAX_RUN, Run, window};
pub use vantage::{Bank, DirectionCounters, VANTAGE_LO, VANTAGE_SOCKETS, VANTAGE_VETH, Vantage, VantageKey};

/// The version of everything in this crate: part of the pin path, and of every recording. Version 2 added [`Run`], version 3
/// what Go processes do ([`GoCall`], [`GoSched`], [`Process`]) and runs
/// of frames and chunks ([`FramedRun`], [`Border`]); the records of older versions are as they were.
pub const ABI_VERSION: u32 = 3;

/// Why something was not recorded: the index into the per-CPU map `LOSSES`.
#[repr(u32)]
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum LossReason {
    /// A segment's record found no room in the ring.
    RingFullSegment = 0,
    /// A socket event's record found no room in the ring.
    RingFullSockEvent = 1,
    /// A socket I/O's record found no room in the ring.
    RingFullSockIo = 2,
    /// A segment passed while no agent drained the ring (its heartbeat was stale).
    NoAgentSegment = 3,
    /// A socket event happened while no agent drained the ring.
    NoAgentSockEvent = 4,
    /// A socket I/O happened while no agent drained the ring.
    NoAgentSockIo = 5,
    /// A segment's payload could not be read: its record carries the header alone.
    PayloadUnreadable = 6,
    /// An IP fragment other than the first: it has no TCP header, and its bytes cannot be counted.
    Fragment = 7,
    /// A packet whose headers are cut short or contradict each other.
    Malformed = 8,
    /// An MPTCP socket's I/O: its sequence numbers are not those on the wire.
    Mptcp = 9,
    /// A run's record found no room in the ring.
    RingFullRun = 10,
    /// A Go function's call or a goroutine's change found no room in the ring.
    RingFullGo = 11,
    /// A Go function was called, or a goroutine changed its state, while no agent drained the ring.
    NoAgentGo = 12,
    /// A process's record found no room in the ring: it is found by the next look at /proc.
    RingFullProcess = 13,
    /// A goroutine's memory could not be read: the record has no goroutine.
    GoUnreadable = 14,
    /// A socket I/O whose beginning was forgotten over that of another thread: on kernels where both are probed.
    SockIoForgotten = 15,
}

impl LossReason {
    /// The value of the metrics' label `reason`.
    pub const fn name(self) -> &'static str {
        match self {
            Self::RingFullSegment => "ring_full_segment",
            Self::RingFullSockEvent => "ring_full_sock_event",
            Self::RingFullSockIo => "ring_full_sock_io",
            Self::NoAgentSegment => "no_agent_segment",
            Self::NoAgentSockEvent => "no_agent_sock_event",
            Self::NoAgentSockIo => "no_agent_sock_io",
            Self::PayloadUnreadable => "payload_unreadable",
            Self::Fragment => "fragment",
            Self::Malformed => "malformed",
            Self::Mptcp => "mptcp",
            Self::RingFullRun => "ring_full_run",
            Self::RingFullGo => "ring_full_go",
            Self::NoAgentGo => "no_agent_go",
            Self::RingFullProcess => "ring_full_process",
            Self::GoUnreadable => "go_unreadable",
            Self::SockIoForgotten => "sock_io_forgotten",
        }
    }
}

/// Every reason, in the order of the map's indexes.
pub const LOSS_REASONS: [LossReason; 16] = [
    LossReason::RingFullSegment,
    LossReason::RingFullSockEvent,
    LossReason::RingFullSockIo,
    LossReason::NoAgentSegment,
    LossReason::NoAgentSockEvent,
    LossReason::NoAgentSockIo,
    LossReason::PayloadUnreadable,
    LossReason::Fragment,
    LossReason::Malformed,
    LossReason::Mptcp,
    LossReason::RingFullRun,
    LossReason::RingFullGo,
    LossReason::NoAgentGo,
    LossReason::RingFullProcess,
    LossReason::GoUnreadable,
    LossReason::SockIoForgotten,
];

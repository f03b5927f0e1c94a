#[cfg(feature = "user")]
use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout};

/// The host's side of a pod's veth pair.
pub const VANTAGE_VETH: u8 = 1;
/// A pod's own loopback device.
pub const VANTAGE_LO: u8 = 2;
/// A pod's sockets: what sockops and the socket tracepoints see.
pub const VANTAGE_SOCKETS: u8 = 3;

/// What makes a packet or a socket a pod's: the key of the map `VANTAGES`. Without an entry nothing is read.
#[repr(C)]
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[cfg_attr(feature = "user", derive(FromBytes, IntoBytes, Immutable, KnownLayout))]
pub struct VantageKey {
    /// Cookie of the netns that the device is in (`net.net_cookie`: never used twice between two boots).
    pub netns: u64,
    /// The device's interface index in that netns; 0 for the sockets of the netns.
    pub ifindex: u32,
    /// Zero.
    pub pad: u32,
}

/// The value of the map `VANTAGES`, one copy a CPU: whose vantage it is, and the kernel's own count of what
/// passed it. User space writes an entry once, with zeroed counters, and never again.
#[repr(C)]
#[derive(Clone, Copy, Debug)]
#[cfg_attr(feature = "user", derive(FromBytes, IntoBytes, Immutable, KnownLayout))]
pub struct Vantage {
    /// The netns cookie of the pod.
    pub netns: u64,
    /// `VANTAGE_*`.
    pub kind: u32,
    /// Zero.
    pub pad: u32,
    /// Zero.
    pub reserved: u64,
    /// The counters, in two banks: an agent that starts takes the other bank and so knows exactly which
    /// records were counted before it was there.
    pub banks: [Bank; 2],
}

/// Counters by direction: `[DIRECTION_INGRESS, DIRECTION_EGRESS]`.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default)]
#[cfg_attr(feature = "user", derive(FromBytes, IntoBytes, Immutable, KnownLayout))]
pub struct Bank {
    /// Counters by direction.
    pub directions: [DirectionCounters; 2],
}

/// What passed a vantage in one direction. Counted before anything else is decided about a segment.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default)]
#[cfg_attr(feature = "user", derive(FromBytes, IntoBytes, Immutable, KnownLayout))]
pub struct DirectionCounters {
    /// TCP segments (a GSO super-segment is one).
    pub segments: u64,
    /// Bytes of TCP payload.
    pub bytes_seen: u64,
    /// Of these, bytes in segments for which no record could be written.
    pub bytes_unrecorded: u64,
}

const _: () = assert!(size_of::<VantageKey>() == 16);
const _: () = assert!(size_of::<DirectionCounters>() == 24);
const _: () = assert!(size_of::<Vantage>() == 24 + 2 * 2 * 24);

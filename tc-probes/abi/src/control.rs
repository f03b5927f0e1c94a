#[cfg(feature = "user")]
use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout};

/// `Control::flags`: look a segment's ports up in the map `PORT_FILTER`.
pub const CONTROL_FILTER_PORTS: u32 = 1;

/// Entries of the map `PORT_FILTER`, one a port.
pub const PORTS: u32 = 65536;
/// Value in `PORT_FILTER`: segments from or to this port are wanted; those that match no such port are not.
pub const PORT_INCLUDE: u8 = 1;
/// Value in `PORT_FILTER`: segments from or to this port are not wanted.
pub const PORT_EXCLUDE: u8 = 2;

/// What the agent tells the programs: the one value of the map `CONTROL`.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default)]
#[cfg_attr(feature = "user", derive(FromBytes, IntoBytes, Immutable, KnownLayout))]
pub struct Control {
    /// Until when the agent's word holds (`CLOCK_MONOTONIC`, ns): the heartbeat. Past it nobody drains the
    /// ring, and the programs only count.
    pub alive_until: u64,
    /// Raised by one by each agent that takes charge; its lowest bit selects the bank of counters.
    pub generation: u32,
    /// `CONTROL_*`.
    pub flags: u32,
    /// The most payload bytes to capture of one segment, at most `MAX_CAPTURE`.
    pub max_capture: u32,
    /// Zero.
    pub pad: u32,
}

const _: () = assert!(size_of::<Control>() == 24);

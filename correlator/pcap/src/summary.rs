/// Why a packet gives no record.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Skipped {
    /// No TCP: another protocol, or a tunnel.
    NotTcp,
    /// A part of a fragmented TCP packet.
    Fragment,
    /// Headers that were cut short (by the capture, too) or contradict each other.
    Malformed,
    /// Its interface has a link type that is not known.
    LinkType,
    /// Its interface is nowhere described.
    Stray,
    /// The file has no time for it.
    NoTime,
    /// Neither end is among the addresses that were asked for.
    NotLocal,
    /// There are more interfaces than are told apart.
    TooManyInterfaces,
}

impl Skipped {
    /// Every reason.
    pub const ALL: [Self; 8] = [
        Self::NotTcp,
        Self::Fragment,
        Self::Malformed,
        Self::LinkType,
        Self::Stray,
        Self::NoTime,
        Self::NotLocal,
        Self::TooManyInterfaces,
    ];

    /// For people.
    pub const fn text(self) -> &'static str {
        match self {
            Self::NotTcp => "no TCP",
            Self::Fragment => "IP fragments",
            Self::Malformed => "headers cut short or malformed",
            Self::LinkType => "link type not known",
            Self::Stray => "of an interface that is not described",
            Self::NoTime => "without a time",
            Self::NotLocal => "not to or from a --local address",
            Self::TooManyInterfaces => "of too many interfaces",
        }
    }
}

/// What a capture held.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Summary {
    /// Packets.
    pub packets: u64,
    /// Of these, TCP segments that were handed on.
    pub segments: u64,
    /// Bytes of their payload on the wire.
    pub payload_bytes: u64,
    /// Of these, bytes that are not in the file: the capture cut the packets.
    pub uncaptured_bytes: u64,
    /// Packets that were left out, in the order of [`Skipped::ALL`].
    pub skipped: [u64; Skipped::ALL.len()],
    /// Packets whose time is more than a second before an earlier one's: what was under way may be missing.
    pub back_in_time: u64,
    /// Connections without a SYN whose ends may have been told apart twice, because there were too many others.
    pub forgotten_connections: u64,
    /// A link type that is not known, of those that there are.
    pub unknown_link_type: Option<u16>,
}

impl Summary {
    pub(crate) fn skip(&mut self, reason: Skipped) {
        if let Some(count) = self.skipped.get_mut(reason as usize) {
            *count += 1;
        }
    }

    /// Packets that were left out for this reason.
    pub fn skipped(&self, reason: Skipped) -> u64 {
        self.skipped.get(reason as usize).copied().unwrap_or(0)
    }
}

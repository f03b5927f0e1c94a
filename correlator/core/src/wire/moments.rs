//! What happens to open requests, as it happens: exchanges leave the wire half when they are over, and who caused what
//! must be told before.
use crate::{ExchangeId, Ktime, Propagation, Side};

/// A request at one end of its connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct RequestKey {
    /// Its exchange.
    pub(crate) id: ExchangeId,
    /// Which end.
    pub(crate) side: Side,
}

/// A request's head was read.
#[derive(Clone, Debug)]
pub(crate) struct Began {
    pub(crate) key: RequestKey,
    /// Netns cookie of the pod.
    pub(crate) netns: u64,
    /// The socket of its connection; 0 while unknown.
    pub(crate) cookie: u64,
    /// 0 on HTTP/1.
    pub(crate) stream_id: u32,
    /// When its first byte passed.
    pub(crate) time: Ktime,
    /// The byte whose mover matters, as an offset in the stream of requests: the last one of the head that the pod reads, the
    /// first one of what it writes.
    pub(crate) byte: u64,
    /// It is the first one of its connection, beyond doubt.
    pub(crate) first: bool,
    /// Who moved that byte, where that came before.
    pub(crate) moved: Option<Moved>,
    pub(crate) propagation: Option<Propagation>,
}

/// A thread read from or wrote to a pod's connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Moved {
    /// It wrote.
    pub(crate) wrote: bool,
    /// The bytes, as offsets of their stream.
    pub(crate) start: u64,
    pub(crate) end: u64,
    /// When the call returned.
    pub(crate) time: Ktime,
    /// 0 where it is no goroutine that is known.
    pub(crate) goid: u64,
    pub(crate) parent_goid: u64,
    pub(crate) pid: u32,
    pub(crate) tid: u32,
}

impl Moved {
    pub(crate) fn covers(&self, byte: u64) -> bool {
        self.start <= byte && byte < self.end
    }
}

/// An exchange is over on the wire.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Over {
    pub(crate) key: RequestKey,
    pub(crate) cookie: u64,
    /// When its last byte passed.
    pub(crate) time: Ktime,
    /// From its first byte to its last, in ns; of a whole exchange only.
    pub(crate) duration: Option<u64>,
}

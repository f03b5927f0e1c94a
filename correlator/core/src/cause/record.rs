//! From a record's bytes to what a Go process does.
use weft_abi::{GoCall, GoSched, KIND_GO_CALL, KIND_GO_SCHED, KIND_PROCESS, MAX_CONTEXTS};
use zerocopy::FromBytes;

/// One record of a Go process, understood.
pub(super) enum GoEvent<'a> {
    /// A function was called, with these contexts behind it.
    Call(GoCall, Chain<'a>),
    /// A goroutine changed its state.
    Sched(GoSched),
    /// A process came or went: the agent looks at it, and says what it is.
    Process,
}

/// The addresses of a chain of contexts, innermost first.
#[derive(Clone, Copy)]
pub(super) struct Chain<'a>(&'a [[u8; 8]]);

impl Chain<'_> {
    pub(super) fn addresses(&self) -> impl Iterator<Item = u64> + Clone {
        self.0.iter().map(|bytes| u64::from_ne_bytes(*bytes))
    }

    /// The innermost and its parent; 0 where there is none.
    pub(super) fn first_two(&self) -> [u64; 2] {
        let mut addresses = self.addresses();
        std::array::from_fn(|_| addresses.next().unwrap_or(0))
    }
}

/// Whether a record is of a Go process.
pub(crate) fn is_go(record: &[u8]) -> bool {
    matches!(record.first(), Some(&(KIND_GO_CALL | KIND_GO_SCHED | KIND_PROCESS)))
}

/// The record's event; nothing where it is malformed.
pub(super) fn decode(record: &[u8]) -> Option<GoEvent<'_>> {
    match *record.first()? {
        KIND_GO_CALL => {
            let (call, rest) = GoCall::read_from_prefix(record).ok()?;
            let count = usize::try_from(call.contexts).ok().filter(|count| *count <= MAX_CONTEXTS)?;
            let (chain, _) = rest.as_chunks::<8>();
            Some(GoEvent::Call(call, Chain(chain.get(..count)?)))
        }
        KIND_GO_SCHED => Some(GoEvent::Sched(GoSched::read_from_prefix(record).ok()?.0)),
        KIND_PROCESS => Some(GoEvent::Process),
        _ => None,
    }
}

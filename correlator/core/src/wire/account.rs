//! The byte account of a vantage: every payload byte of every record is in exactly one place.
use std::collections::BTreeMap;

use super::TableSize;

/// What became of the payload of one vantage's segments, both directions.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct VantageAccount {
    /// Netns cookie of the pod.
    pub(crate) netns: u64,
    /// Interface index of the device.
    pub(crate) ifindex: u32,
    /// `[DIRECTION_INGRESS, DIRECTION_EGRESS]`.
    pub(crate) directions: [ByteAccount; 2],
}

/// Payload bytes of one direction. Always `recorded == decoded + opaque + duplicate + pending`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct ByteAccount {
    /// `payload_len` of every segment record, whatever its bank.
    pub(crate) recorded: u64,
    /// Of these, the bytes of records that were counted in the other bank: for the agent before this one.
    pub(crate) inherited: u64,
    /// Bytes of messages that were parsed.
    pub(crate) decoded: u64,
    /// Bytes of unknown protocols, and of connections or directions that could not be followed.
    pub(crate) opaque: u64,
    /// Bytes that had passed before.
    pub(crate) duplicate: u64,
    /// Bytes that wait: behind a gap, or for the rest of a head.
    pub(crate) pending: u64,
    /// Bytes in sequence gaps that were given up: no record carried them.
    pub(crate) gap: u64,
}

impl ByteAccount {
    /// Bytes that waited became part of a message.
    pub(super) fn decode_pending(&mut self, bytes: u64) {
        self.pending = self.pending.saturating_sub(bytes);
        self.decoded += bytes;
    }

    /// Bytes that waited will never be part of a message.
    pub(super) fn abandon_pending(&mut self, bytes: u64) {
        self.pending = self.pending.saturating_sub(bytes);
        self.opaque += bytes;
    }
}

/// The accounts of all vantages. At the limit further vantages share one account, under netns 0 and interface 0.
pub(super) struct Accounts {
    by_vantage: BTreeMap<(u64, u32), usize>,
    accounts: Vec<VantageAccount>,
    shared: VantageAccount,
    limit: usize,
    overflowed: u64,
}

impl Accounts {
    pub(super) fn new(limit: usize) -> Self {
        Self {
            by_vantage: BTreeMap::new(),
            accounts: Vec::new(),
            shared: VantageAccount::default(),
            limit,
            overflowed: 0,
        }
    }

    pub(super) fn set_limit(&mut self, limit: usize) {
        self.limit = limit;
    }

    /// The index of a vantage's account, which is made where there is none.
    pub(super) fn index(&mut self, netns: u64, ifindex: u32) -> usize {
        if let Some(index) = self.by_vantage.get(&(netns, ifindex)) {
            return *index;
        }
        let index = self.accounts.len();
        if index >= self.limit {
            self.overflowed += 1;
            return usize::MAX;
        }
        self.accounts.push(VantageAccount { netns, ifindex, ..VantageAccount::default() });
        self.by_vantage.insert((netns, ifindex), index);
        index
    }

    /// The account at an index; the shared one where the index is of none.
    pub(super) fn get_mut(&mut self, index: usize) -> &mut VantageAccount {
        self.accounts.get_mut(index).unwrap_or(&mut self.shared)
    }

    /// The devices of a netns.
    pub(super) fn devices(&self, netns: u64) -> impl Iterator<Item = u32> {
        self.by_vantage.range((netns, 0)..=(netns, u32::MAX)).map(|((_, ifindex), _)| *ifindex)
    }

    /// All of them, by (netns, ifindex); the shared one first where it was used.
    pub(super) fn sorted(&self) -> Vec<VantageAccount> {
        let shared = (self.shared != VantageAccount::default()).then_some(self.shared);
        let own = self.by_vantage.values().filter_map(|index| self.accounts.get(*index));
        shared.into_iter().chain(own.copied()).collect()
    }

    pub(super) fn size(&self) -> TableSize {
        TableSize {
            name: "vantages",
            entries: self.accounts.len() as u64,
            limit: self.limit as u64,
            evicted: self.overflowed,
        }
    }
}

//! The byte account of a vantage: every payload byte of every record is in exactly one place.
use std::{collections::BTreeMap, ops::AddAssign};

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
    /// Bytes in sequence gaps that were given up: no record carried them, but their receiver has them.
    pub(crate) gap: u64,
}

impl AddAssign for ByteAccount {
    fn add_assign(&mut self, other: Self) {
        let Self { recorded, inherited, decoded, opaque, duplicate, pending, gap } = other;
        self.recorded = self.recorded.saturating_add(recorded);
        self.inherited = self.inherited.saturating_add(inherited);
        self.decoded = self.decoded.saturating_add(decoded);
        self.opaque = self.opaque.saturating_add(opaque);
        self.duplicate = self.duplicate.saturating_add(duplicate);
        self.pending = self.pending.saturating_add(pending);
        self.gap = self.gap.saturating_add(gap);
    }
}

impl ByteAccount {
    /// A record came with so many bytes. `inherited`: counted in the other bank.
    pub(super) fn record(&mut self, bytes: u64, inherited: bool) {
        self.recorded += bytes;
        self.inherited += if inherited { bytes } else { 0 };
    }

    /// Bytes that waited became part of a message.
    pub(super) fn decode_pending(&mut self, bytes: u64) {
        self.pending = self.pending.saturating_sub(bytes);
        self.decoded += bytes;
    }

    /// Bytes that waited are looked at once more.
    pub(super) fn take_pending(&mut self, bytes: u64) {
        self.pending = self.pending.saturating_sub(bytes);
    }

    /// Bytes that waited will never be part of a message.
    pub(super) fn abandon_pending(&mut self, bytes: u64) {
        self.pending = self.pending.saturating_sub(bytes);
        self.opaque += bytes;
    }
}

/// The accounts of all vantages. At the limit, one of a pod that is gone and has no connections left is added to a shared
/// account, under netns 0 and interface 0; where there is none, the new vantage uses the shared one itself.
pub(super) struct Accounts {
    by_vantage: BTreeMap<(u64, u32), usize>,
    slots: Vec<Slot>,
    shared: VantageAccount,
    limit: usize,
    overflowed: u64,
}

/// A vantage's account, and whether anybody still needs it.
#[derive(Default)]
struct Slot {
    account: VantageAccount,
    /// Connections in the table.
    flows: u32,
    /// The pod is gone.
    gone: bool,
}

impl Accounts {
    pub(super) fn new(limit: usize) -> Self {
        Self {
            by_vantage: BTreeMap::new(),
            slots: Vec::new(),
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
        let Some(index) = self.free() else { return usize::MAX };
        let account = VantageAccount { netns, ifindex, ..VantageAccount::default() };
        if let Some(slot) = self.slots.get_mut(index) {
            *slot = Slot { account, ..Slot::default() };
        }
        self.by_vantage.insert((netns, ifindex), index);
        index
    }

    /// A place for one more.
    fn free(&mut self) -> Option<usize> {
        if self.slots.len() < self.limit {
            self.slots.push(Slot::default());
            return Some(self.slots.len() - 1);
        }
        self.overflowed += 1;
        let unneeded =
            |index: &usize| self.slots.get(*index).is_some_and(|slot| slot.gone && slot.flows == 0);
        let (vantage, index) =
            self.by_vantage.iter().find(|(_, index)| unneeded(index)).map(|(k, v)| (*k, *v))?;
        self.by_vantage.remove(&vantage);
        let slot = self.slots.get(index)?;
        for (sum, directions) in self.shared.directions.iter_mut().zip(slot.account.directions) {
            *sum += directions;
        }
        Some(index)
    }

    /// A connection of the vantage is in the table from now on.
    pub(super) fn open_flow(&mut self, index: usize) {
        if let Some(slot) = self.slots.get_mut(index) {
            slot.flows += 1;
        }
    }

    /// It is there no longer.
    pub(super) fn end_flow(&mut self, index: usize) {
        if let Some(slot) = self.slots.get_mut(index) {
            slot.flows = slot.flows.saturating_sub(1);
        }
    }

    /// The pod is gone: its accounts are kept as long as there is room.
    pub(super) fn gone(&mut self, netns: u64) {
        for index in self.by_vantage.range((netns, 0)..=(netns, u32::MAX)).map(|(_, index)| *index) {
            if let Some(slot) = self.slots.get_mut(index) {
                slot.gone = true;
            }
        }
    }

    /// The account at an index; the shared one where the index is of none.
    pub(super) fn get_mut(&mut self, index: usize) -> &mut VantageAccount {
        self.slots.get_mut(index).map_or(&mut self.shared, |slot| &mut slot.account)
    }

    /// The devices of a netns.
    pub(super) fn devices(&self, netns: u64) -> impl Iterator<Item = u32> {
        self.by_vantage.range((netns, 0)..=(netns, u32::MAX)).map(|((_, ifindex), _)| *ifindex)
    }

    /// All of them, by (netns, ifindex); the shared one first where it was used.
    pub(super) fn sorted(&self) -> Vec<VantageAccount> {
        let shared = (self.shared != VantageAccount::default()).then_some(self.shared);
        let own = self.by_vantage.values().filter_map(|index| self.slots.get(*index));
        shared.into_iter().chain(own.map(|slot| slot.account)).collect()
    }

    pub(super) fn size(&self) -> TableSize {
        TableSize {
            name: "vantages",
            entries: self.slots.len() as u64,
            limit: self.limit as u64,
            evicted: self.overflowed,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn at_the_limit_only_a_gone_pods_account_gives_way() {
        let mut accounts = Accounts::new(2);
        let (old, living) = (accounts.index(1, 5), accounts.index(2, 6));
        accounts.get_mut(old).directions[0].recorded = 10;
        accounts.open_flow(old);
        accounts.gone(1);
        assert_eq!(accounts.index(3, 7), usize::MAX, "a connection of the gone pod is still in the table");
        accounts.end_flow(old);
        let new = accounts.index(3, 7);
        assert_eq!(new, old);
        accounts.get_mut(new).directions[0].recorded = 3;
        let recorded = |account: &VantageAccount| (account.netns, account.directions[0].recorded);
        assert_eq!(accounts.sorted().iter().map(recorded).collect::<Vec<_>>(), [(0, 10), (2, 0), (3, 3)]);
        assert_ne!(accounts.index(2, 6), new);
        assert_eq!((living, accounts.size().evicted), (1, 2));
    }
}

//! Whose an address is, of all that objects say of it. Where they do not agree nobody is named: pods on the host's network share
//! their host's address.
use std::{
    collections::{BTreeMap, BTreeSet},
    net::IpAddr,
};

use weft_core::{ClusterUpdate, Peer};

use crate::mirror::Change;

/// What objects of a resource say: (address, whose it is).
pub type Said = Vec<(IpAddr, Peer)>;

/// Addresses with those who say something of them, at most `limit` in all: what is said beyond is left out and counted.
#[derive(Debug)]
pub struct Addresses {
    said: BTreeMap<IpAddr, BTreeMap<(&'static str, String), Peer>>,
    /// Hosts' own.
    shared: BTreeSet<IpAddr>,
    size: usize,
    limit: usize,
    pub left_out: u64,
}

impl Addresses {
    pub fn new(limit: usize) -> Self {
        Self { said: BTreeMap::new(), shared: BTreeSet::new(), size: 0, limit, left_out: 0 }
    }

    /// An object of a resource says something else now. Gives what that means.
    pub fn change(&mut self, resource: &'static str, change: Change<Said>) -> Vec<ClusterUpdate> {
        let Change { key, before, now } = change;
        let (before, now) = (before.unwrap_or_default(), now.unwrap_or_default());
        let concerned: BTreeSet<IpAddr> = before.iter().chain(&now).map(|(address, _)| *address).collect();
        let was: Vec<_> = concerned.iter().map(|address| (*address, self.whose(*address))).collect();
        let by = (resource, key);
        before.iter().for_each(|(address, _)| self.forget(*address, &by));
        now.into_iter().for_each(|(address, peer)| self.note(address, &by, peer));
        was.into_iter().filter_map(|(address, was)| self.news(address, was)).collect()
    }

    /// A host has this address: no pod has it alone.
    pub fn share(&mut self, address: IpAddr) -> Option<ClusterUpdate> {
        // A node has a handful.
        if self.shared.len() >= self.limit || self.shared.contains(&address) {
            return None;
        }
        let was = self.whose(address);
        self.shared.insert(address);
        self.news(address, was)
    }

    /// How many are known.
    pub fn len(&self) -> usize {
        self.said.len()
    }

    fn news(&self, address: IpAddr, was: Option<Peer>) -> Option<ClusterUpdate> {
        let peer = self.whose(address);
        (peer != was).then_some(ClusterUpdate::Address { address, peer })
    }

    fn whose(&self, address: IpAddr) -> Option<Peer> {
        let mut said = self.said.get(&address)?.values();
        let first = said.next()?;
        let of_host = matches!(first, Peer::Pod { .. }) && self.shared.contains(&address);
        (!of_host && said.all(|other| other == first)).then(|| first.clone())
    }

    fn note(&mut self, address: IpAddr, by: &(&'static str, String), peer: Peer) {
        if self.size >= self.limit {
            self.left_out += 1;
            return;
        }
        if self.said.entry(address).or_default().insert(by.clone(), peer).is_none() {
            self.size += 1;
        }
    }

    fn forget(&mut self, address: IpAddr, by: &(&'static str, String)) {
        let Some(said) = self.said.get_mut(&address) else { return };
        self.size -= usize::from(said.remove(by).is_some());
        if said.is_empty() {
            self.said.remove(&address);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pod(name: &str) -> Peer {
        Peer::Pod { namespace: "shop".into(), name: name.into() }
    }

    fn address(last: u8) -> IpAddr {
        [10, 0, 0, last].into()
    }

    /// One object says this of addresses, and said that before.
    fn says(key: &str, before: &[(u8, &str)], now: &[(u8, &str)]) -> Change<Said> {
        let said = |of: &[(u8, &str)]| of.iter().map(|(last, name)| (address(*last), pod(name))).collect();
        Change { key: key.into(), before: Some(said(before)), now: Some(said(now)) }
    }

    fn named(updates: &[ClusterUpdate]) -> Vec<(IpAddr, Option<Peer>)> {
        let named = |update: &ClusterUpdate| match update {
            ClusterUpdate::Address { address, peer } => (*address, peer.clone()),
            other => panic!("{other:?}"),
        };
        updates.iter().map(named).collect()
    }

    #[test]
    fn a_pod_of_two_services_is_one_pod_until_the_last_of_them_lets_it_go() {
        let mut addresses = Addresses::new(9);
        assert_eq!(
            named(&addresses.change("s", says("one", &[], &[(1, "a")]))),
            [(address(1), Some(pod("a")))]
        );
        assert_eq!(addresses.change("s", says("two", &[], &[(1, "a")])), []);
        assert_eq!(addresses.change("s", says("one", &[(1, "a")], &[])), []);
        assert_eq!(named(&addresses.change("s", says("two", &[(1, "a")], &[]))), [(address(1), None)]);
        assert_eq!((addresses.len(), addresses.size), (0, 0));
    }

    #[test]
    fn who_shares_an_address_is_not_named() {
        let mut addresses = Addresses::new(9);
        addresses.change("s", says("one", &[], &[(1, "a"), (2, "b")]));
        assert_eq!(named(&addresses.change("s", says("two", &[], &[(1, "c")]))), [(address(1), None)]);
        assert_eq!(
            addresses.share(address(2)),
            Some(ClusterUpdate::Address { address: address(2), peer: None })
        );
        assert_eq!(addresses.change("s", says("three", &[], &[(2, "b")])), []);
    }

    #[test]
    fn an_address_that_goes_to_another_pod_is_one_change() {
        let mut addresses = Addresses::new(9);
        addresses.change("s", says("one", &[], &[(1, "old")]));
        let updates = addresses.change("s", says("one", &[(1, "old")], &[(1, "new")]));
        assert_eq!(named(&updates), [(address(1), Some(pod("new")))]);
    }

    #[test]
    fn there_is_room_for_so_many_and_no_more() {
        let mut addresses = Addresses::new(2);
        let updates = addresses.change("s", says("one", &[], &[(1, "a"), (2, "b"), (3, "c")]));
        assert_eq!((updates.len(), addresses.len(), addresses.left_out), (2, 2, 1));
    }
}

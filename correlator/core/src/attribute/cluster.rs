use std::{net::IpAddr, sync::Arc};

use hashbrown::HashMap;

use crate::{Identity, Peer, Pod, snapshot::TableSnapshot};

/// What a cluster has said: who the pods of this node are, at most `Limits::pods`, and whose other addresses are, at most
/// `Limits::addresses`. What finds no room is unknown, and counted.
#[derive(Debug, Default)]
pub(super) struct Cluster {
    identities: HashMap<String, Arc<Identity>>,
    addresses: HashMap<IpAddr, Other>,
    limits: [usize; 2],
    refused: [u64; 2],
}

/// Whose an address is: `namespace/name`.
#[derive(Clone, Debug)]
enum Other {
    Pod(Arc<str>),
    Service(Arc<str>),
}

impl Cluster {
    pub(super) fn set_limits(&mut self, pods: usize, addresses: usize) {
        self.limits = [pods, addresses];
    }

    /// Somebody tells of this node's pods: who is not known yet will be.
    pub(super) fn tells(&self) -> bool {
        !self.identities.is_empty()
    }

    /// Who the pod `namespace/name` is.
    pub(super) fn set_identity(&mut self, label: String, identity: Option<Identity>) {
        let [limit, _] = self.limits;
        let [refused, _] = &mut self.refused;
        set(&mut self.identities, label, identity.map(Arc::new), limit, refused);
    }

    pub(super) fn set_address(&mut self, address: IpAddr, peer: Option<Peer>) {
        let other = peer.map(|peer| match peer {
            Peer::Pod { namespace, name } => Other::Pod(format!("{namespace}/{name}").into()),
            Peer::Service { namespace, name } => Other::Service(format!("{namespace}/{name}").into()),
        });
        let [_, limit] = self.limits;
        let [_, refused] = &mut self.refused;
        set(&mut self.addresses, address.to_canonical(), other, limit, refused);
    }

    /// Who a pod is whose name is `label`. Another pod had the same name when it was told, if the uids say so.
    pub(super) fn identity(&self, label: &str, pod: &Pod) -> Option<Arc<Identity>> {
        let identity = self.identities.get(label)?;
        let same = pod.uid.is_empty() || identity.uid.is_empty() || pod.uid == identity.uid;
        same.then(|| Arc::clone(identity))
    }

    /// The pod or the service at the other end. `own`: a pod of this node, which is known better.
    pub(super) fn names(
        &self,
        own: Option<Arc<str>>,
        address: IpAddr,
    ) -> (Option<Arc<str>>, Option<Arc<str>>) {
        match (own, self.addresses.get(&address)) {
            (Some(label), _) => (Some(label), None),
            (None, Some(Other::Pod(label))) => (Some(label.clone()), None),
            (None, Some(Other::Service(label))) => (None, Some(label.clone())),
            (None, None) => (None, None),
        }
    }

    pub(super) fn tables(&self) -> [TableSnapshot; 2] {
        let ([pods, addresses], [no_room, no_place]) = (self.limits, self.refused);
        let table = |table, entries: usize, limit: usize, evicted| TableSnapshot {
            table,
            entries: entries as u64,
            limit: limit as u64,
            evicted,
        };
        [
            table("identities", self.identities.len(), pods, no_room),
            table("peer_addresses", self.addresses.len(), addresses, no_place),
        ]
    }
}

/// Sets or removes an entry; a new one only where there is room.
fn set<K: Eq + std::hash::Hash, V>(
    map: &mut HashMap<K, V>,
    key: K,
    value: Option<V>,
    limit: usize,
    refused: &mut u64,
) {
    match value {
        None => drop(map.remove(&key)),
        Some(_) if map.len() >= limit && !map.contains_key(&key) => *refused += 1,
        Some(value) => drop(map.insert(key, value)),
    }
}

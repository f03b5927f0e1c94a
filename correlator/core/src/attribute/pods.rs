use std::{collections::VecDeque, net::IpAddr, sync::Arc};

use hashbrown::HashMap;

use crate::{Identity, Ktime, Pod, snapshot::TableSnapshot};

/// How long a pod is remembered after its netns is gone, in ns: exchanges that still wait get their name, and its
/// counters can be read once more.
const KEEP_GONE: u64 = 300_000_000_000;

/// Addresses of one pod that are looked up; further ones are not.
const ADDRESSES: usize = 16;

/// Who is behind a netns and behind an address. At most `Limits::pods`: when a further one comes, the one that is gone
/// for longest gives way, and without such a one the newcomer stays nameless. Both are counted.
#[derive(Debug)]
pub(crate) struct Pods {
    limit: usize,
    by_netns: HashMap<u64, Entry>,
    by_address: HashMap<IpAddr, u64>,
    /// When they went, oldest first; each is there once, and leaves when it comes back.
    gone: VecDeque<(Ktime, u64)>,
    evicted: u64,
}

/// A pod, or a netns of which no more is known than that it is gone.
#[derive(Debug)]
pub(crate) struct Entry {
    pub(crate) pod: Arc<Pod>,
    /// `namespace/name`; absent for a pod without a name.
    pub(crate) label: Option<Arc<str>>,
    /// Who it is, as the cluster says.
    pub(crate) identity: Option<Arc<Identity>>,
    /// The cluster has not said it in time: nothing waits for it any more.
    pub(crate) missing: bool,
    /// Its netns is gone.
    pub(crate) gone: bool,
}

impl Entry {
    fn new(pod: Pod) -> Self {
        let label = pod.label().map(Into::into);
        Self { pod: Arc::new(pod), label, identity: None, missing: false, gone: false }
    }
}

impl Pods {
    pub(crate) fn new(limit: usize) -> Self {
        Self {
            limit,
            by_netns: HashMap::new(),
            by_address: HashMap::new(),
            gone: VecDeque::new(),
            evicted: 0,
        }
    }

    pub(crate) fn set_limit(&mut self, limit: usize) {
        self.limit = limit;
    }

    /// A pod is there. Gives the netns that had to be forgotten for it.
    pub(crate) fn insert(&mut self, pod: Pod) -> Option<u64> {
        let netns = pod.netns;
        let forgotten = self.make_room(netns)?;
        self.come_back(netns);
        for address in pod.addresses.iter().take(ADDRESSES) {
            self.by_address.insert(address.to_canonical(), netns);
        }
        self.by_netns.insert(netns, Entry::new(pod));
        forgotten
    }

    /// A netns is gone. Gives the netns that had to be forgotten to remember it.
    pub(crate) fn mark_gone(&mut self, netns: u64, now: Ktime) -> Option<u64> {
        let forgotten = self.make_room(netns)?;
        let entry = self.by_netns.entry(netns).or_insert_with(|| Entry::new(Pod { netns, ..Pod::default() }));
        if !std::mem::replace(&mut entry.gone, true) {
            self.gone.push_back((now, netns));
        }
        forgotten
    }

    /// Forgets the next one that is gone for long enough.
    pub(crate) fn expire(&mut self, now: Ktime) -> Option<u64> {
        if self.next_deadline()? <= now { self.forget_front() } else { None }
    }

    /// When the next one may be forgotten.
    pub(crate) fn next_deadline(&self) -> Option<Ktime> {
        self.gone.front().map(|(since, _)| since.after(KEEP_GONE))
    }

    /// By netns cookie.
    pub(crate) fn get(&self, netns: u64) -> Option<&Entry> {
        self.by_netns.get(&netns)
    }

    /// By netns cookie, to be told who it is.
    pub(crate) fn get_mut(&mut self, netns: u64) -> Option<&mut Entry> {
        self.by_netns.get_mut(&netns)
    }

    /// All, to be told who they are.
    pub(crate) fn iter_mut(&mut self) -> impl Iterator<Item = &mut Entry> {
        self.by_netns.values_mut()
    }

    /// By address.
    pub(crate) fn at(&self, address: IpAddr) -> Option<&Entry> {
        self.by_netns.get(self.by_address.get(&address)?)
    }

    /// All, in no particular order.
    pub(crate) fn iter(&self) -> impl Iterator<Item = &Entry> {
        self.by_netns.values()
    }

    pub(crate) fn table(&self) -> TableSnapshot {
        let (entries, limit) = (self.by_netns.len() as u64, self.limit as u64);
        TableSnapshot { table: "pods", entries, limit, evicted: self.evicted }
    }

    /// Nothing when there is no room for this netns; else the one that was forgotten for it, if any.
    fn make_room(&mut self, netns: u64) -> Option<Option<u64>> {
        if self.by_netns.contains_key(&netns) || self.by_netns.len() < self.limit {
            return Some(None);
        }
        self.evicted += 1;
        self.forget_front().map(Some)
    }

    fn come_back(&mut self, netns: u64) {
        self.forget_addresses(netns);
        if self.by_netns.get(&netns).is_some_and(|entry| entry.gone) {
            self.gone.retain(|(_, gone)| *gone != netns);
        }
    }

    /// Forgets the one that is gone for longest.
    fn forget_front(&mut self) -> Option<u64> {
        let (_, netns) = self.gone.pop_front()?;
        self.forget_addresses(netns);
        self.by_netns.remove(&netns);
        Some(netns)
    }

    /// Another pod may have got an address since: that one keeps it.
    fn forget_addresses(&mut self, netns: u64) {
        let Some(entry) = self.by_netns.get(&netns) else { return };
        for address in entry.pod.addresses.iter().map(IpAddr::to_canonical) {
            if self.by_address.get(&address) == Some(&netns) {
                self.by_address.remove(&address);
            }
        }
    }
}

//! Whose processes are of interest: those in the network namespaces of traced pods.
use std::collections::BTreeMap;

/// The traced pods, by the inode number of their netns: what /proc tells of a process. It is used again when a netns is gone;
/// so all of them are replaced at once whenever a pod comes or goes.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Pods {
    by_inode: BTreeMap<u64, PodNetns>,
}

/// One of them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PodNetns {
    /// The cookie of its netns.
    pub netns: u64,
    /// `namespace/name`, for the log.
    pub label: String,
}

impl Pods {
    /// The pod whose netns has this inode number.
    pub fn at(&self, inode: u64) -> Option<&PodNetns> {
        self.by_inode.get(&inode)
    }

    /// Whether one of them has the netns with this cookie.
    pub fn has_netns(&self, cookie: u64) -> bool {
        self.by_inode.values().any(|pod| pod.netns == cookie)
    }
}

impl FromIterator<(u64, PodNetns)> for Pods {
    fn from_iter<I: IntoIterator<Item = (u64, PodNetns)>>(pods: I) -> Self {
        Self { by_inode: pods.into_iter().collect() }
    }
}

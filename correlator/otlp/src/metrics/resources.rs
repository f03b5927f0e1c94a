use std::collections::BTreeMap;

use opentelemetry_proto::tonic::resource::v1::Resource;
use weft_core::{Pod, Snapshot, span};

use crate::attributes;

/// Who metrics can be of: this agent, and each pod by itself.
#[derive(Clone, Debug)]
pub struct Resources {
    own: Resource,
    node: Option<String>,
    pods: BTreeMap<u64, Resource>,
}

impl Resources {
    /// Of an agent about which this is said, on this node.
    pub fn new(own: &[(&str, &str)], node: Option<&str>) -> Self {
        let attributes = own.iter().map(|(key, value)| attributes::text(key, value)).collect();
        let own = Resource { attributes, ..Resource::default() };
        Self { own, node: node.map(str::to_owned), pods: BTreeMap::new() }
    }

    /// Takes the pods of a snapshot, in the place of those that were known.
    pub fn update(&mut self, snapshot: &Snapshot) {
        let node = self.node.as_deref();
        let one = |pod: &weft_core::PodSnapshot| {
            let identity = Pod {
                netns: pod.netns,
                netns_inode: pod.netns_inode,
                namespace: pod.namespace.clone(),
                name: pod.name.clone(),
                uid: pod.uid.clone(),
                addresses: Vec::new(),
            };
            let told = pod.identity.as_deref();
            (pod.netns, attributes::resource(&span::resource(pod.netns, Some(&identity), told, node)))
        };
        self.pods = snapshot.pods.iter().map(one).collect();
    }

    /// The one of a pod's netns, or the agent's.
    pub(super) fn of(&self, netns: Option<u64>) -> Resource {
        match netns {
            None => self.own.clone(),
            Some(netns) => self.pods.get(&netns).cloned().unwrap_or_else(|| {
                attributes::resource(&span::resource(netns, None, None, self.node.as_deref()))
            }),
        }
    }
}

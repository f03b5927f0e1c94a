//! What the pipeline was told of the world: a recording that begins later begins with it.
use std::{collections::BTreeMap, net::IpAddr, sync::Arc};

use weft_core::{
    ClusterUpdate, Config, GoProcess, Identity, Input, Peer, Pod, ProcessUpdate, WorkloadUpdate,
};

/// The configuration, pods, Go processes, and what the cluster says. There are no more of these than the programs are told of, and
/// than the watch keeps.
pub struct Known {
    config: Arc<Config>,
    pods: BTreeMap<u64, Pod>,
    processes: BTreeMap<u32, GoProcess>,
    identities: BTreeMap<(String, String), Identity>,
    addresses: BTreeMap<IpAddr, Peer>,
}

impl Known {
    /// The configuration that the pipeline was made with, and nothing else.
    pub fn new(config: Arc<Config>) -> Self {
        Self {
            config,
            pods: BTreeMap::new(),
            processes: BTreeMap::new(),
            identities: BTreeMap::new(),
            addresses: BTreeMap::new(),
        }
    }

    /// An input that may tell of them.
    pub fn take(&mut self, input: &Input<'_>) {
        match input {
            Input::Workload(WorkloadUpdate::Pod(pod)) => drop(self.pods.insert(pod.netns, pod.clone())),
            Input::Workload(WorkloadUpdate::Gone { netns }) => drop(self.pods.remove(netns)),
            Input::Workload(WorkloadUpdate::Cluster(update)) => self.cluster(update),
            Input::Process(ProcessUpdate::Go(process)) => {
                self.processes.insert(process.pid, process.clone());
            }
            Input::Process(ProcessUpdate::Gone { pid }) => drop(self.processes.remove(pid)),
            Input::Config(config) => self.config = Arc::clone(config),
            _ => {}
        }
    }

    fn cluster(&mut self, update: &ClusterUpdate) {
        match update.clone() {
            ClusterUpdate::Pod { namespace, name, identity } => {
                set(&mut self.identities, (namespace, name), identity);
            }
            ClusterUpdate::Address { address, peer } => set(&mut self.addresses, address, peer),
        }
    }

    /// The configuration in force.
    pub fn config(&self) -> Input<'static> {
        Input::Config(Arc::clone(&self.config))
    }

    /// All else as inputs. Identities first: who is known by then is not waited for.
    pub fn inputs(&self) -> impl Iterator<Item = Input<'static>> {
        let pods = self.pods.values().cloned().map(|pod| Input::Workload(WorkloadUpdate::Pod(pod)));
        let processes =
            self.processes.values().cloned().map(|process| Input::Process(ProcessUpdate::Go(process)));
        let identities = self.identities.iter().map(|((namespace, name), identity)| {
            let (namespace, name) = (namespace.clone(), name.clone());
            ClusterUpdate::Pod { namespace, name, identity: Some(identity.clone()) }
        });
        let addresses = self
            .addresses
            .iter()
            .map(|(address, peer)| ClusterUpdate::Address { address: *address, peer: Some(peer.clone()) });
        let cluster =
            identities.chain(addresses).map(|update| Input::Workload(WorkloadUpdate::Cluster(update)));
        cluster.chain(pods).chain(processes)
    }
}

fn set<K: Ord, V>(map: &mut BTreeMap<K, V>, key: K, value: Option<V>) {
    match value {
        Some(value) => drop(map.insert(key, value)),
        None => drop(map.remove(&key)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_gone_is_not_told() {
        let mut known = Known::new(Arc::default());
        let pod = |netns| Input::Workload(WorkloadUpdate::Pod(Pod { netns, ..Pod::default() }));
        let process = |pid| Input::Process(ProcessUpdate::Go(GoProcess { pid, ..GoProcess::default() }));
        for input in [pod(1), pod(2), process(7), process(8), pod(2), process(8)] {
            known.take(&input);
        }
        known.take(&Input::Workload(WorkloadUpdate::Gone { netns: 1 }));
        known.take(&Input::Process(ProcessUpdate::Gone { pid: 7 }));
        let told: Vec<String> = known.inputs().map(|input| format!("{input:?}")).collect();
        assert_eq!(told, [pod(2), process(8)].map(|input| format!("{input:?}")));
    }

    #[test]
    fn a_recording_begins_with_the_configuration_in_force() {
        let mut known = Known::new(Arc::default());
        let next = Input::Config(Arc::new(Config { max_header_bytes: 300, ..Config::default() }));
        known.take(&next);
        assert_eq!(format!("{:?}", known.config()), format!("{next:?}"));
    }
}

//! What the pipeline was told of the world: a recording that begins later begins with it.
use std::{collections::BTreeMap, sync::Arc};

use weft_core::{Config, GoProcess, Input, Pod, ProcessUpdate, WorkloadUpdate};

/// The configuration, pods and Go processes. There are no more of these than the programs are told of.
pub struct Known {
    config: Arc<Config>,
    pods: BTreeMap<u64, Pod>,
    processes: BTreeMap<u32, GoProcess>,
}

impl Known {
    /// The configuration that the pipeline was made with, and nothing else.
    pub fn new(config: Arc<Config>) -> Self {
        Self { config, pods: BTreeMap::new(), processes: BTreeMap::new() }
    }

    /// An input that may tell of them.
    pub fn take(&mut self, input: &Input<'_>) {
        match input {
            Input::Workload(WorkloadUpdate::Pod(pod)) => drop(self.pods.insert(pod.netns, pod.clone())),
            Input::Workload(WorkloadUpdate::Gone { netns }) => drop(self.pods.remove(netns)),
            Input::Process(ProcessUpdate::Go(process)) => {
                self.processes.insert(process.pid, process.clone());
            }
            Input::Process(ProcessUpdate::Gone { pid }) => drop(self.processes.remove(pid)),
            Input::Config(config) => self.config = Arc::clone(config),
            _ => {}
        }
    }

    /// The configuration in force.
    pub fn config(&self) -> Input<'static> {
        Input::Config(Arc::clone(&self.config))
    }

    /// Pods and processes as inputs.
    pub fn inputs(&self) -> impl Iterator<Item = Input<'static>> {
        let pods = self.pods.values().cloned().map(|pod| Input::Workload(WorkloadUpdate::Pod(pod)));
        let processes =
            self.processes.values().cloned().map(|process| Input::Process(ProcessUpdate::Go(process)));
        pods.chain(processes)
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

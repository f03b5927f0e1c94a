//! What a lab leaves on the host, so that tests can prove that it leaves nothing.

use std::fs;
use std::path::Path;

use serde::{Deserialize, Serialize};

use crate::{Lab, Pod};

/// Everything of a lab that could stay behind, taken down while it lives.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Traces {
    id: String,
    dir: String,
    links: Vec<String>,
    /// Of its processes.
    pub pids: Vec<u32>,
}

impl Traces {
    /// What a lab with these pods and processes could leave.
    pub fn of(lab: &Lab, pods: &[&Pod], pids: &[u32]) -> Self {
        let veths = pods.iter().map(|pod| pod.host_veth().to_owned());
        Self {
            id: lab.id().to_owned(),
            dir: lab.dir().display().to_string(),
            links: veths.chain([lab.id().to_owned()]).collect(),
            pids: pids.to_vec(),
        }
    }

    /// What of it is on the host now: names in the folders of others, mounts, links, processes, the lab's folder.
    pub fn found(&self) -> Vec<String> {
        let mut found: Vec<String> = Vec::new();
        for dir in ["/run/netns", "/run/weft-lab", "/var/lib/cni/results", "/sys/class/net"] {
            let names = fs::read_dir(dir).into_iter().flatten().flatten();
            let names = names.map(|entry| entry.file_name().to_string_lossy().into_owned());
            found.extend(names.filter(|name| name.starts_with(&self.id)).map(|name| format!("{dir}/{name}")));
        }
        let mounts = fs::read_to_string("/proc/self/mounts").unwrap_or_default();
        found.extend(mounts.lines().filter(|line| line.contains(&self.id)).map(str::to_owned));
        let links = self.links.iter().map(|link| format!("/sys/class/net/{link}"));
        let pids = self.pids.iter().map(|pid| format!("/proc/{pid}"));
        found.extend(links.chain(pids).chain([self.dir.clone()]).filter(|path| Path::new(path).exists()));
        found
    }
}

//! A node as the plugin meets it: pins, a state folder, and calls by hand.

use anyhow::{Result, ensure};
use serde_json::{Value, json};
use weft_lab::plugin::Call;
use weft_lab::tools::{self, RustBinaries};
use weft_lab::{Agent, Lab, LabOptions, Pod, Shop};
use weft_loader::state::{PodRecord, StateDir};
use weft_loader::{InstallOptions, Pins, install};

/// A node with a chain that ends with weft-cni, a bpffs, and an agent that has not been started.
pub struct Node {
    pub agent: Agent,
    pub lab: Lab,
    pub binaries: RustBinaries,
}

impl Node {
    pub fn new(cni_version: &str) -> Result<Self> {
        let binaries = tools::rust_binaries()?;
        let options = LabOptions { cni_version: cni_version.to_owned(), ..Shop::lab_options(&binaries) };
        let lab = Lab::new(options)?;
        let agent = Agent::prepare(&lab, &binaries.weft, json!({}))?;
        Ok(Self { agent, lab, binaries })
    }

    /// The same after an agent that pinned the programs and is gone.
    pub fn with_pins(cni_version: &str) -> Result<Self> {
        let node = Self::new(cni_version)?;
        pin(&node.pins())?;
        Ok(node)
    }

    pub fn pins(&self) -> Pins {
        Pins::new(&self.lab.bpffs())
    }

    pub fn state(&self) -> StateDir {
        StateDir::new(&self.lab.state_dir())
    }

    pub fn record(&self, pod: &Pod) -> Result<Option<PodRecord>> {
        let (records, refused) = self.state().records()?;
        ensure!(refused.is_empty(), "{refused:?}");
        Ok(records.into_iter().find(|record| record.name.as_deref() == Some(pod.name())))
    }

    /// The configuration as libcni makes it of the chain's entry, with a prevResult that nobody else would write.
    pub fn stdin(&self, pod: &Pod) -> Value {
        json!({
            "cniVersion": "1.1.0", "name": self.lab.id(), "type": "weft-cni",
            "bpffs": self.lab.bpffs(), "stateDir": self.lab.state_dir(),
            "prevResult": {
                "cniVersion": "1.1.0", "x-unknown": {"deep": [1, 2.5, null, "ä"]},
                "interfaces": [{"name": "eth0", "sandbox": pod.netns().path(), "x-unknown": true}],
                "ips": [{"address": format!("{}/24", pod.ipv4()), "interface": 0}],
                "dns": {},
            },
        })
    }

    pub fn call(&self, command: &str, pod: &Pod) -> Call {
        self.call_for(command, "by-hand", pod)
    }

    pub fn call_for(&self, command: &str, container_id: &str, pod: &Pod) -> Call {
        let args = format!("K8S_POD_NAMESPACE=shop;K8S_POD_NAME={}", pod.name());
        Call::new(&self.binaries.weft_cni, command, container_id, pod.netns().path(), &self.stdin(pod))
            .env("CNI_ARGS", args)
    }
}

/// As an agent does, without sockops and with a small ring.
pub fn pin(pins: &Pins) -> Result<()> {
    install(pins, &InstallOptions { ring_bytes: 64 << 10, cgroup: None })?;
    Ok(())
}

/// A chain without weft-cni: the plugin is then called by hand.
pub fn plain(node: &Node) -> Result<()> {
    node.lab.write_conflist(&LabOptions::default())
}

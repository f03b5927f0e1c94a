//! Keeps the attachments equal to the pods: attaches what was missed, adopts what is there, removes what no pod
//! owns. Fetch, plan, execute; run again whenever something may have changed.
use std::{
    collections::{BTreeMap, BTreeSet},
    fs, io,
    os::unix::fs::MetadataExt as _,
    path::{Path, PathBuf},
    time::{Duration, Instant},
};

use weft_abi::{VANTAGE_SOCKETS, VANTAGE_VETH};
use weft_core::{Input, Pod, WorkloadUpdate};
use weft_loader::{
    AttachMode, Attached, Device, LoaderError, Pins, Vantages, attach, detach, host_vantage, is_shortage,
    netlink,
    netns::{Netns, current_cookie},
    pod_sockets,
    state::{PodRecord, StateDir},
};

use super::{
    discover::{Told, pod_records},
    pipeline::PipelineHandle,
};
use crate::go::{GoHandle, PodNetns};

/// How long a vantage without a known pod is left alone: the plugin attaches before it writes its record.
const ORPHAN_GRACE: Duration = Duration::from_secs(10);

/// What is needed to look at pods and devices.
pub struct Reconciler {
    pins: Pins,
    state: StateDir,
    cni_cache: PathBuf,
    mode: AttachMode,
    vantages: Vantages,
    /// Cookie of the netns that the host's side of the veths is in: the agent's own.
    host_netns: u64,
    pipeline: PipelineHandle,
    /// Who looks for Go processes in the pods.
    go: GoHandle,
    /// Pods that are traced, by container id and interface.
    traced: BTreeMap<Key, Traced>,
    /// Vantages that nobody told of, and since when.
    orphans: BTreeMap<u64, Instant>,
    /// What was said of a pod that cannot be traced, so that it is said once.
    complaints: BTreeMap<Key, String>,
    /// The same of files that are no records.
    refused: BTreeSet<String>,
}

type Key = (String, String);

/// A pod whose vantages are in place.
struct Traced {
    record: PodRecord,
    netns: u64,
    inode: u64,
    device: Device,
    /// Its record names the pod: of several interfaces, and left-overs, one does.
    names: bool,
}

impl Reconciler {
    /// # Errors
    /// When the maps are not pinned, or the own netns has no cookie.
    pub fn new(
        pins: Pins,
        state: StateDir,
        cni_cache: PathBuf,
        mode: AttachMode,
        pipeline: PipelineHandle,
        go: GoHandle,
    ) -> Result<Self, LoaderError> {
        Ok(Self {
            vantages: Vantages::open(&pins)?,
            host_netns: current_cookie()?,
            pins,
            state,
            cni_cache,
            mode,
            pipeline,
            go,
            traced: BTreeMap::new(),
            orphans: BTreeMap::new(),
            complaints: BTreeMap::new(),
            refused: BTreeSet::new(),
        })
    }

    /// One round.
    pub fn run(&mut self) {
        let Told { records, refused } = match pod_records(&self.state, &self.cni_cache) {
            Ok(told) => told,
            // No news is no news of pods that went: everything stays as it is until the next round.
            Err(error) => return self.complain_of_files(&[error]),
        };
        self.complain_of_files(&refused);
        self.retire(&records);
        // Of two that lead to one netns, the one that names its cookie is the pod's; the other is a left-over.
        let (sure, unsure): (Vec<_>, Vec<_>) =
            records.into_iter().partition(|(_, record)| record.netns_cookie.is_some());
        for (key, record) in sure.into_iter().chain(unsure) {
            if let Some(traced) = self.traced.get_mut(&key) {
                if traced.names {
                    update_names(traced, record, &self.pipeline);
                }
            } else {
                self.trace(key, record);
            }
        }
        self.adopt_or_remove_orphans();
        self.go.pods(self.traced.values().map(netns_of).collect());
        // Who reads that the agent is ready finds the pods in its answers.
        self.pipeline.publish();
    }

    fn trace(&mut self, key: Key, record: PodRecord) {
        match self.place(&record) {
            Ok(mut traced) => {
                traced.names = self.traced.values().all(|other| other.netns != traced.netns || !other.names);
                tracing::info!(pod = %label(&record), netns = traced.netns, device = %traced.device.name, "traced");
                if traced.names {
                    self.pipeline.input(Input::Workload(WorkloadUpdate::Pod(pod(&traced))));
                }
                self.complaints.remove(&key);
                self.traced.insert(key, traced);
            }
            // A netns that is gone is a pod that is gone, of which libcni's cache may tell for long.
            Err(error) if is_gone(&error) => {}
            Err(error) => self.complain(key, &record, &error),
        }
    }

    /// Puts a pod's vantages in place; what the plugin did already stays.
    fn place(&mut self, record: &PodRecord) -> Result<Traced, LoaderError> {
        let netns = Netns::open(&record.netns_path)?;
        let inode = netns.inode()?;
        let link = netns.pod_link(&record.interface)?;
        let another = record.netns_inode.is_some_and(|told| told != inode)
            || record.netns_cookie.is_some_and(|told| told != link.netns);
        if another {
            // The path leads to another netns by now: the record's is gone.
            return Err(LoaderError::Io {
                path: record.netns_path.clone(),
                source: io::ErrorKind::NotFound.into(),
            });
        }
        let device = link.host_device()?;
        self.vantages.insert(host_vantage(self.host_netns, device.ifindex), link.netns, VANTAGE_VETH)?;
        self.vantages.insert(pod_sockets(link.netns), link.netns, VANTAGE_SOCKETS)?;
        if let Attached::New(mechanism) = attach(&self.pins, &device, link.netns, self.mode)? {
            tracing::info!(pod = %label(record), device = %device.name, ?mechanism, "attached what the plugin had not");
        }
        Ok(Traced { record: record.clone(), netns: link.netns, inode, device, names: true })
    }

    /// Gives up the pods that are gone: their record, or their netns.
    fn retire(&mut self, records: &BTreeMap<Key, PodRecord>) {
        let gone: Vec<Key> = self
            .traced
            .iter()
            .filter(|(key, traced)| !records.contains_key(*key) || !lives(traced))
            .map(|(key, _)| key.clone())
            .collect();
        for key in gone {
            if let Some(traced) = self.traced.remove(&key) {
                tracing::info!(pod = %label(&traced.record), netns = traced.netns, "gone");
                self.give_up(traced);
            }
        }
        self.complaints.retain(|key, _| records.contains_key(key));
    }

    /// A pod may have more than one interface: it is gone with the last.
    fn give_up(&mut self, traced: Traced) {
        let others = self.traced.values().filter(|other| other.netns == traced.netns);
        match others.map(|other| other.device.ifindex == traced.device.ifindex).reduce(|a, b| a || b) {
            None => self.remove(traced.netns, &[traced.device]),
            Some(true) => {}
            Some(false) => {
                if let Err(error) = detach(&self.pins, &traced.device, traced.netns) {
                    tracing::warn!(%error, device = %traced.device.name, "cannot detach");
                }
            }
        }
    }

    /// Detaches first, then lets the pipeline take what is left in the ring and the final counters, and only then
    /// forgets the counters.
    fn remove(&mut self, netns: u64, devices: &[Device]) {
        for device in devices {
            if let Err(error) = detach(&self.pins, device, netns) {
                tracing::warn!(%error, device = %device.name, "cannot detach");
            }
        }
        self.pipeline.retire(netns);
        for device in devices {
            self.vantages.remove(host_vantage(self.host_netns, device.ifindex));
        }
        self.vantages.remove(pod_sockets(netns));
    }

    /// Vantages and pins whose pod nobody told of: a plugin that could attach but not write, or remains.
    fn adopt_or_remove_orphans(&mut self) {
        let known: BTreeSet<u64> = self.traced.values().map(|traced| traced.netns).collect();
        let links = self.pins.tc_links().unwrap_or_default();
        let mut orphans: BTreeMap<u64, Vec<u32>> = BTreeMap::new();
        for link in links.iter().filter(|link| !known.contains(&link.pod)) {
            orphans.entry(link.pod).or_default().push(link.ifindex);
        }
        for counted in self.vantages.read() {
            if !known.contains(&counted.netns) {
                orphans.entry(counted.netns).or_default().push(counted.key.ifindex);
            }
        }
        self.orphans.retain(|netns, _| orphans.contains_key(netns));
        let now = Instant::now();
        orphans.retain(|netns, _| self.orphans.entry(*netns).or_insert(now).elapsed() >= ORPHAN_GRACE);
        if orphans.is_empty() {
            return;
        }
        let living = match living_netns() {
            Ok(living) => living,
            Err(error) => return tracing::warn!(%error, "cannot tell which netns live: nothing is removed"),
        };
        for (netns, ifindexes) in orphans {
            // A pod that lives stays traced, without a name; it is looked at again with the next round.
            if !living.contains(&netns) {
                tracing::info!(netns, "removing the vantages of a netns that is gone");
                let devices: Vec<_> =
                    ifindexes.into_iter().filter(|index| *index != 0).map(nameless).collect();
                self.remove(netns, &devices);
            }
        }
    }

    fn complain_of_files(&mut self, refused: &[LoaderError]) {
        let now: BTreeSet<String> = refused.iter().map(ToString::to_string).collect();
        for says in now.difference(&self.refused) {
            tracing::warn!("not a record of the plugin, remove it: {says}");
        }
        self.refused = now;
    }

    fn complain(&mut self, key: Key, record: &PodRecord, error: &LoaderError) {
        let says = error.to_string();
        if self.complaints.get(&key) != Some(&says) {
            tracing::warn!(pod = %label(record), netns = %record.netns_path.display(), "not traced: {says}");
            self.complaints.insert(key, says);
        }
    }
}

/// A device that may be gone: its index is enough to remove what was pinned for it.
fn nameless(ifindex: u32) -> Device {
    let there = netlink::link_by_index(ifindex).map(|link| link.device());
    there.unwrap_or(Device { name: String::new(), ifindex })
}

/// The plugin's record may come after the agent found the pod, or name it better than libcni's cache.
fn update_names(traced: &mut Traced, record: PodRecord, pipeline: &PipelineHandle) {
    if traced.record != record {
        traced.record = record;
        pipeline.input(Input::Workload(WorkloadUpdate::Pod(pod(traced))));
    }
}

fn pod(traced: &Traced) -> Pod {
    let record = &traced.record;
    Pod {
        netns: traced.netns,
        netns_inode: traced.inode,
        namespace: record.namespace.clone().unwrap_or_default(),
        name: record.name.clone().unwrap_or_default(),
        uid: record.uid.clone().unwrap_or_default(),
        addresses: record.addresses.clone(),
    }
}

/// As /proc knows it.
fn netns_of(traced: &Traced) -> (u64, PodNetns) {
    (traced.inode, PodNetns { netns: traced.netns, label: label(&traced.record) })
}

fn label(record: &PodRecord) -> String {
    match (&record.namespace, &record.name) {
        (Some(namespace), Some(name)) => format!("{namespace}/{name}"),
        _ => format!("container {}", record.container_id),
    }
}

/// Only a path that certainly leads elsewhere by now says that a pod is gone; what cannot be looked at says nothing.
fn lives(traced: &Traced) -> bool {
    match fs::metadata(&traced.record.netns_path) {
        Ok(metadata) => metadata.ino() == traced.inode,
        Err(error) => error.kind() != io::ErrorKind::NotFound,
    }
}

/// A path that leads nowhere, or no longer to a netns (the mount is gone, the empty file under it is left).
fn is_gone(error: &LoaderError) -> bool {
    match error {
        LoaderError::Io { source, .. } => {
            source.kind() == io::ErrorKind::NotFound || source.kind() == io::ErrorKind::InvalidInput
        }
        _ => false,
    }
}

/// Cookies of the netns that a file or a process holds.
///
/// # Errors
/// When one of them cannot be looked at: then nobody knows who lives.
fn living_netns() -> io::Result<BTreeSet<u64>> {
    let mut seen = BTreeSet::new();
    let mut cookies = BTreeSet::new();
    for path in named_netns()?.into_iter().chain(processes_netns()?) {
        match fs::metadata(&path) {
            Ok(metadata) if !seen.insert(metadata.ino()) => continue,
            Ok(_) => {}
            Err(error) if is_shortage(&error) => return Err(error),
            // Gone, or nobody may look at it, as with the first process of some hosts: a pod has a file besides.
            Err(_) => continue,
        }
        match Netns::open(&path).and_then(|netns| netns.cookie()) {
            Ok(cookie) => drop(cookies.insert(cookie)),
            Err(LoaderError::Io { source, .. }) if is_shortage(&source) => return Err(source),
            Err(_) => {}
        }
    }
    Ok(cookies)
}

fn named_netns() -> io::Result<Vec<PathBuf>> {
    children(Path::new("/run/netns"))
}

fn processes_netns() -> io::Result<Vec<PathBuf>> {
    let processes = children(Path::new("/proc"))?.into_iter().filter(|path| {
        path.file_name().is_some_and(|name| name.as_encoded_bytes().iter().all(u8::is_ascii_digit))
    });
    Ok(processes.map(|path| path.join("ns/net")).collect())
}

fn children(folder: &Path) -> io::Result<Vec<PathBuf>> {
    match fs::read_dir(folder) {
        Ok(entries) => entries.map(|entry| Ok(entry?.path())).collect(),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(Vec::new()),
        Err(error) => Err(error),
    }
}

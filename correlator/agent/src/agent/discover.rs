//! Which pods there are: what the plugin wrote, and what libcni remembers of pods that are older than weft.
use std::{collections::BTreeMap, fs, io, net::IpAddr, path::Path};

use serde::Deserialize;
use weft_loader::{
    LoaderError,
    state::{PodRecord, StateDir},
};

/// The largest file of libcni's cache that is read: it holds a conflist and a result.
const MAX_CACHE_FILE: u64 = 1 << 20;

/// What was told.
#[derive(Default)]
pub struct Told {
    /// Every pod interface, by (container id, interface); the plugin's word first.
    pub records: BTreeMap<(String, String), PodRecord>,
    /// What could not be read.
    pub refused: Vec<LoaderError>,
}

/// Asks everyone who may know.
///
/// # Errors
/// When a folder is there and cannot be read: that says nothing about the pods.
pub fn pod_records(state: &StateDir, cni_cache: &Path) -> Result<Told, LoaderError> {
    let (from_plugin, refused) = state.records()?;
    let mut told = Told { refused, ..Told::default() };
    for record in from_plugin.into_iter().chain(cached_results(cni_cache)?) {
        told.records.entry((record.container_id.clone(), record.interface.clone())).or_insert(record);
    }
    Ok(told)
}

/// libcni's result cache: `<cache>/results/<network>-<container id>-<interface>` (libcni api.go, cacheAdd).
fn cached_results(cache: &Path) -> Result<Vec<PodRecord>, LoaderError> {
    let folder = cache.join("results");
    let entries = match fs::read_dir(&folder) {
        Ok(entries) => entries,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        Err(source) => return Err(LoaderError::Io { path: folder, source }),
    };
    let mut records = Vec::new();
    for entry in entries {
        let entry = entry.map_err(|source| LoaderError::Io { path: folder.clone(), source })?;
        let small =
            entry.metadata().is_ok_and(|metadata| metadata.is_file() && metadata.len() <= MAX_CACHE_FILE);
        if !small {
            continue;
        }
        match fs::read(entry.path()) {
            Ok(json) => records.extend(
                serde_json::from_slice::<CachedResult>(&json).ok().and_then(CachedResult::into_record),
            ),
            // Gone since the folder was listed.
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            Err(source) => return Err(LoaderError::Io { path: entry.path(), source }),
        }
    }
    Ok(records)
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct CachedResult {
    container_id: String,
    if_name: String,
    #[serde(default)]
    cni_args: Option<Vec<(String, String)>>,
    #[serde(default)]
    result: ResultPart,
}

#[derive(Default, Deserialize)]
struct ResultPart {
    #[serde(default)]
    interfaces: Vec<Interface>,
    #[serde(default)]
    ips: Vec<Ip>,
}

#[derive(Deserialize)]
struct Interface {
    name: String,
    /// The path of the netns, for the pod's own interface only.
    #[serde(default)]
    sandbox: String,
}

#[derive(Deserialize)]
struct Ip {
    address: String,
}

impl CachedResult {
    /// Nothing without the path of a netns: then there is nothing to enter.
    fn into_record(self) -> Option<PodRecord> {
        let sandbox = self
            .result
            .interfaces
            .iter()
            .find(|interface| interface.name == self.if_name && !interface.sandbox.is_empty())?
            .sandbox
            .clone();
        let argument = |name: &str| {
            let arguments = self.cni_args.as_deref().unwrap_or_default();
            arguments.iter().find(|(key, _)| key == name).map(|(_, value)| value.clone())
        };
        Some(PodRecord {
            netns_path: sandbox.into(),
            namespace: argument("K8S_POD_NAMESPACE"),
            name: argument("K8S_POD_NAME"),
            uid: argument("K8S_POD_UID"),
            addresses: self.result.ips.iter().filter_map(|ip| address(&ip.address)).collect(),
            container_id: self.container_id,
            interface: self.if_name,
            ..PodRecord::default()
        })
    }
}

/// The address of `10.244.0.5/24`.
fn address(cidr: &str) -> Option<IpAddr> {
    cidr.split('/').next()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    const CACHED: &str = r#"{"kind":"cniCacheV1","containerId":"c1","config":"e30=","ifName":"eth0","networkName":"n",
        "netns":"/run/netns/x","cniArgs":[["IgnoreUnknown","1"],["K8S_POD_NAME","orders"],["K8S_POD_NAMESPACE","shop"]],
        "result":{"cniVersion":"1.1.0","interfaces":[{"name":"br0"},{"name":"eth0","sandbox":"/run/netns/x"}],
        "ips":[{"address":"10.1.0.5/24","interface":1}]}}"#;

    #[test]
    fn libcnis_cache_names_a_pod() {
        let record = serde_json::from_str::<CachedResult>(CACHED).unwrap().into_record().unwrap();
        assert_eq!(record.name.as_deref(), Some("orders"));
        assert_eq!(record.namespace.as_deref(), Some("shop"));
        assert_eq!(record.netns_path, Path::new("/run/netns/x"));
        assert_eq!(record.addresses, ["10.1.0.5".parse::<IpAddr>().unwrap()]);
    }

    #[test]
    fn a_result_without_sandbox_is_of_no_use() {
        let cached = CACHED.replace(r#","sandbox":"/run/netns/x""#, "");
        assert!(serde_json::from_str::<CachedResult>(&cached).unwrap().into_record().is_none());
    }
}

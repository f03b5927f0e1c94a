//! The state folder: what the plugin tells the agent about the pods, in files that outlive both.
//!
//! ```text
//! <state_dir>/pods/<container id>@<interface>.json   one PodRecord, written whole by rename
//! <state_dir>/hint                                   the agent's datagram socket: "look again now"
//! <state_dir>/agent.lock                             held by the agent in charge
//! <state_dir>/listen                                 address of the agent's HTTP listener
//! ```
use std::{
    fs::{self, OpenOptions},
    io::{self, Read as _},
    net::IpAddr,
    os::unix::fs::OpenOptionsExt as _,
    path::{Path, PathBuf},
};

use serde::{Deserialize, Serialize};

use crate::error::{IoContext as _, LoaderError, Result, is_shortage};

/// A record larger than this was not written by the plugin.
const MAX_RECORD: u64 = 64 * 1024;

/// A pod's interface, as the plugin saw it at ADD. Absent: the runtime or the kernel did not say.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct PodRecord {
    /// CNI_CONTAINERID.
    pub container_id: String,
    /// CNI_IFNAME: the interface inside the pod.
    pub interface: String,
    /// CNI_NETNS.
    pub netns_path: PathBuf,
    /// Inode number of the netns: it tells whether the path still leads to the same one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub netns_inode: Option<u64>,
    /// Cookie of the netns.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub netns_cookie: Option<u64>,
    /// Interface index of the host's side of the veth pair.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub host_ifindex: Option<u32>,
    /// K8S_POD_NAMESPACE.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub namespace: Option<String>,
    /// K8S_POD_NAME.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// K8S_POD_UID.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub uid: Option<String>,
    /// The network's name in the CNI configuration: GC speaks for one network.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub network: Option<String>,
    /// Addresses in prevResult.
    #[serde(default)]
    pub addresses: Vec<IpAddr>,
}

/// The folder.
#[derive(Clone, Debug)]
pub struct StateDir {
    path: PathBuf,
}

impl StateDir {
    /// The folder at this path; it need not exist.
    pub fn new(path: &Path) -> Self {
        Self { path: path.into() }
    }

    /// Its path.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// The folder of the records.
    pub fn pods(&self) -> PathBuf {
        self.path.join("pods")
    }

    /// The agent's socket for hints.
    pub fn hint(&self) -> PathBuf {
        self.path.join("hint")
    }

    /// The lock of the agent in charge.
    pub fn lock(&self) -> PathBuf {
        self.path.join("agent.lock")
    }

    /// The file with the listener's address.
    pub fn listen(&self) -> PathBuf {
        self.path.join("listen")
    }

    /// Makes the folder, readable by its owner alone.
    ///
    /// # Errors
    /// When it cannot be made.
    pub fn create(&self) -> Result<()> {
        use std::os::unix::fs::DirBuilderExt as _;
        let pods = self.pods();
        fs::DirBuilder::new().recursive(true).mode(0o700).create(&pods).at(pods)
    }

    /// Writes a record; a reader sees all of it or nothing.
    ///
    /// # Errors
    /// When the folder or file cannot be written, or an id cannot be part of a file's name.
    pub fn write(&self, record: &PodRecord) -> Result<()> {
        self.create()?;
        let path = self.record_path(&record.container_id, &record.interface)?;
        let temporary = path.with_extension(format!("tmp{}", std::process::id()));
        let json = serde_json::to_vec(record).at(&path)?;
        fs::write(&temporary, json).and_then(|()| fs::rename(&temporary, &path)).at(&temporary)
    }

    /// Reads a record; none when there is no such file.
    ///
    /// # Errors
    /// When the file cannot be read, or holds something else.
    pub fn read(&self, container_id: &str, interface: &str) -> Result<Option<PodRecord>> {
        let path = self.record_path(container_id, interface)?;
        match read_record(&path) {
            Ok(record) => Ok(Some(record)),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(error).at(path),
        }
    }

    /// Removes a record; one that is not there is fine.
    ///
    /// # Errors
    /// When the file cannot be removed.
    pub fn remove(&self, container_id: &str, interface: &str) -> Result<()> {
        let path = self.record_path(container_id, interface)?;
        match fs::remove_file(&path) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error).at(path),
            _ => Ok(()),
        }
    }

    /// Every record, and what is wrong with each file that holds none.
    ///
    /// # Errors
    /// When the folder is there and cannot be read, or the system is short of what reading takes.
    pub fn records(&self) -> Result<(Vec<PodRecord>, Vec<LoaderError>)> {
        let mut names = crate::pins::file_names(&self.pods())?;
        names.retain(|name| name.ends_with(".json"));
        names.sort_unstable();
        let (mut records, mut refused) = (Vec::new(), Vec::new());
        for name in names {
            let path = self.pods().join(name);
            match read_record(&path) {
                Ok(record) => records.push(record),
                // Removed since the folder was listed.
                Err(error) if error.kind() == io::ErrorKind::NotFound => {}
                // Whether it is a record nobody knows.
                Err(error) if is_shortage(&error) => return Err(error).at(path),
                Err(source) => refused.push(LoaderError::Io { path, source }),
            }
        }
        Ok((records, refused))
    }

    fn record_path(&self, container_id: &str, interface: &str) -> Result<PathBuf> {
        let name = format!("{container_id}@{interface}.json");
        if name.contains('/') || name.contains('\0') || name.len() > 255 {
            return Err(io::Error::new(io::ErrorKind::InvalidInput, "not a file name"))
                .at(self.pods().join(name));
        }
        Ok(self.pods().join(name))
    }
}

fn read_record(path: &Path) -> io::Result<PodRecord> {
    // A FIFO of that name must not make the agent wait.
    let file = OpenOptions::new().read(true).custom_flags(libc::O_NONBLOCK).open(path)?;
    if !file.metadata()?.is_file() {
        return Err(io::Error::new(io::ErrorKind::InvalidInput, "not a regular file"));
    }
    let mut json = Vec::new();
    file.take(MAX_RECORD).read_to_end(&mut json)?;
    Ok(serde_json::from_slice(&json)?)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn folder(name: &str) -> PathBuf {
        std::env::temp_dir().join(format!("weft-state-{name}-{}", std::process::id()))
    }

    #[test]
    fn records_come_back_and_garbage_is_named() {
        let state = StateDir::new(&folder("records"));
        let record =
            PodRecord { container_id: "abc".into(), interface: "eth0".into(), ..PodRecord::default() };
        state.write(&record).unwrap();
        fs::write(state.pods().join("bad@eth0.json"), b"{").unwrap();
        let (records, refused) = state.records().unwrap();
        assert_eq!(records, [record]);
        assert!(refused.len() == 1 && refused[0].to_string().contains("bad@eth0.json"));
        state.remove("abc", "eth0").unwrap();
        state.remove("abc", "eth0").unwrap();
        assert_eq!(state.read("abc", "eth0").unwrap(), None);
        fs::remove_dir_all(state.path()).unwrap();
    }

    #[test]
    fn a_container_id_cannot_leave_the_folder() {
        let state = StateDir::new(&folder("escape"));
        let record = PodRecord { container_id: "../../x".into(), ..PodRecord::default() };
        assert!(state.write(&record).is_err());
        fs::remove_dir_all(state.path()).unwrap();
    }
}

use std::{
    fs, io,
    path::{Path, PathBuf},
};

use weft_abi::ABI_VERSION;

use crate::error::{IoContext as _, Result};

/// Where everything is pinned: `<bpffs>/weft/abi<N>/{maps,programs,links}`. bpffs refuses names with dots.
#[derive(Clone, Debug)]
pub struct Pins {
    root: PathBuf,
}

/// The pinned attachment of a TC program, by whom it is for. Part of its file's name.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct TcLink {
    /// The netns cookie of the pod.
    pub pod: u64,
    /// The device's interface index in its own netns.
    pub ifindex: u32,
    /// `DIRECTION_*` of the ABI.
    pub direction: u8,
}

impl Pins {
    /// The pins below a BPF file system's folder.
    pub fn new(bpffs: &Path) -> Self {
        Self { root: bpffs.join("weft").join(format!("abi{ABI_VERSION}")) }
    }

    /// `<bpffs>/weft/abi<N>`.
    pub fn root(&self) -> &Path {
        &self.root
    }

    /// The file of a map.
    pub fn map(&self, name: &str) -> PathBuf {
        self.maps().join(name)
    }

    /// The file of a program.
    pub fn program(&self, name: &str) -> PathBuf {
        self.programs().join(name)
    }

    /// The file of a node-wide attachment.
    pub fn link(&self, name: &str) -> PathBuf {
        self.links().join(name)
    }

    /// The file of a TC attachment.
    pub fn tc_link(&self, link: TcLink) -> PathBuf {
        self.links().join(link.file_name())
    }

    /// The TC attachments that are pinned.
    pub fn tc_links(&self) -> Result<Vec<TcLink>> {
        let mut links: Vec<_> =
            file_names(&self.links())?.iter().filter_map(|name| TcLink::parse(name)).collect();
        links.sort_unstable();
        Ok(links)
    }

    /// Whether programs are pinned here.
    pub fn exist(&self) -> bool {
        self.program("tc_ingress").exists() && self.program("tc_egress").exists()
    }

    pub(crate) fn maps(&self) -> PathBuf {
        self.root.join("maps")
    }

    pub(crate) fn programs(&self) -> PathBuf {
        self.root.join("programs")
    }

    pub(crate) fn links(&self) -> PathBuf {
        self.root.join("links")
    }

    /// Makes the folders.
    ///
    /// # Errors
    /// When they cannot be made.
    pub fn create(&self) -> Result<()> {
        for folder in [self.maps(), self.programs(), self.links()] {
            fs::create_dir_all(&folder).at(folder)?;
        }
        Ok(())
    }
}

impl TcLink {
    fn file_name(self) -> String {
        let direction = if self.direction == weft_abi::DIRECTION_INGRESS { "in" } else { "out" };
        format!("tc_{:x}_{}_{direction}", self.pod, self.ifindex)
    }

    fn parse(name: &str) -> Option<Self> {
        let mut parts = name.strip_prefix("tc_")?.split('_');
        let link = Self {
            pod: u64::from_str_radix(parts.next()?, 16).ok()?,
            ifindex: parts.next()?.parse().ok()?,
            direction: match parts.next()? {
                "in" => weft_abi::DIRECTION_INGRESS,
                "out" => weft_abi::DIRECTION_EGRESS,
                _ => return None,
            },
        };
        parts.next().is_none().then_some(link)
    }
}

/// Names of the files in a folder; none when there is no folder.
pub(crate) fn file_names(folder: &Path) -> Result<Vec<String>> {
    match fs::read_dir(folder) {
        Ok(entries) => {
            Ok(entries.flatten().filter_map(|entry| entry.file_name().into_string().ok()).collect())
        }
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(Vec::new()),
        Err(error) => Err(error).at(folder),
    }
}

/// Removes a pin; one that is not there is fine.
pub(crate) fn unpin(path: &Path) -> Result<()> {
    match fs::remove_file(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error).at(path),
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tc_link_names_round_trip() {
        for direction in [weft_abi::DIRECTION_INGRESS, weft_abi::DIRECTION_EGRESS] {
            let link = TcLink { pod: 0xdead_beef_1234, ifindex: 42, direction };
            assert_eq!(TcLink::parse(&link.file_name()), Some(link));
        }
    }

    #[test]
    fn foreign_names_are_no_links() {
        for name in ["sockops", "tc_", "tc_12", "tc_xyz_1_in", "tc_1_1_up", "tc_1_1_in_more"] {
            assert_eq!(TcLink::parse(name), None, "{name}");
        }
    }
}

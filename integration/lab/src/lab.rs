//! A run: its names, its folder, its network, and the binaries that it uses.

use std::fs;
use std::net::Ipv4Addr;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use anyhow::{Context, Result, ensure};
use nix::unistd::geteuid;

use crate::conflist::{self, WeftCni};
use crate::registry::Registration;
use crate::tools::{self, GoBinaries};

/// How a lab differs from the usual one.
#[derive(Clone, Debug)]
pub struct LabOptions {
    /// The conflist's `cniVersion`: 0.3.1, 0.4.0, 1.0.0 or 1.1.0 (default).
    pub cni_version: String,
    /// The plugin to chain behind the bridge; none by default.
    pub weft_cni: Option<WeftCni>,
}

impl Default for LabOptions {
    fn default() -> Self {
        Self { cni_version: "1.1.0".to_owned(), weft_cni: None }
    }
}

/// A lab. Clones are the same lab; the last one to go (pods, processes and agents hold one too) takes bridge,
/// subnet, folder and every left-over with it, so the order in which guards are dropped does not matter.
#[derive(Clone, Debug)]
pub struct Lab {
    inner: Arc<Inner>,
}

#[derive(Debug)]
struct Inner {
    registration: Registration,
    binaries: GoBinaries,
    cni_path: String,
}

impl Lab {
    /// Builds the Go programs where they are not up to date, claims names and a subnet, and writes the conflist.
    ///
    /// # Errors
    /// Without root, without a Go toolchain, or when the host refuses one of the steps.
    pub fn new(options: LabOptions) -> Result<Self> {
        ensure!(geteuid().is_root(), "a lab creates network namespaces and links: run it as root");
        let binaries = tools::go_binaries()?;
        let registration = Registration::new(random()?)?;
        let cni_path = cni_path(&binaries, options.weft_cni.as_ref());
        let lab = Self { inner: Arc::new(Inner { registration, binaries, cni_path }) };
        lab.write_conflist(&options)?;
        Ok(lab)
    }

    /// The run's name: `wl` and eight hexadecimal digits. Also the name of its bridge and of its CNI network.
    pub fn id(&self) -> &str {
        &self.inner.registration.claim.id
    }

    /// The host's own address in the run's network: the bridge's, once there is a pod.
    pub fn gateway(&self) -> Ipv4Addr {
        // host-local gives the gateway a range's first address.
        Ipv4Addr::from(u32::from(self.inner.registration.claim.subnet.v4) + 1)
    }

    /// The run's own folder.
    pub fn dir(&self) -> &Path {
        &self.inner.registration.claim.dir
    }

    /// Where the run's own bpffs goes (`paths.bpffs`); nothing is mounted there before an agent is started.
    pub fn bpffs(&self) -> PathBuf {
        self.dir().join("bpf")
    }

    /// The agent's and the plugin's state folder (`paths.state_dir`); the agent creates it.
    pub fn state_dir(&self) -> PathBuf {
        self.dir().join("state")
    }

    /// The folder of libcni's result cache (`paths.cni_cache`), in the place of the host's.
    pub fn cni_cache(&self) -> PathBuf {
        self.dir().join("cni")
    }

    /// The Go programs.
    pub fn binaries(&self) -> &GoBinaries {
        &self.inner.binaries
    }

    /// `CNI_PATH` of this lab.
    pub fn cni_path(&self) -> &str {
        &self.inner.cni_path
    }

    /// The folder with the conflist, cnitool's `NETCONFPATH`.
    pub fn net_conf_dir(&self) -> PathBuf {
        self.dir().join("net.d")
    }

    /// A path for a new file of the run: `DIR/FOLDER/NAME`, with the folder created.
    ///
    /// # Errors
    /// When the folder cannot be created.
    pub fn file(&self, folder: &str, name: &str) -> Result<PathBuf> {
        let dir = self.dir().join(folder);
        fs::create_dir_all(&dir).with_context(|| format!("cannot create {}", dir.display()))?;
        Ok(dir.join(name))
    }

    /// Writes the conflist anew, for tests in which the configuration changes between ADD and DEL.
    ///
    /// # Errors
    /// When the file cannot be written.
    pub fn write_conflist(&self, options: &LabOptions) -> Result<()> {
        let (bpffs, state_dir) = (self.bpffs(), self.state_dir());
        let weft_cni = options.weft_cni.as_ref().map(|plugin| (plugin, bpffs.as_path(), state_dir.as_path()));
        let claim = &self.inner.registration.claim;
        let list = conflist::document(claim, &options.cni_version, &self.dir().join("ipam"), weft_cni);
        let path = self.file("net.d", "10-lab.conflist")?;
        fs::write(&path, serde_json::to_vec_pretty(&list)?)
            .with_context(|| format!("cannot write {}", path.display()))
    }
}

fn cni_path(binaries: &GoBinaries, weft_cni: Option<&WeftCni>) -> String {
    let own = weft_cni.and_then(|plugin| plugin.binary.parent());
    let dirs = [Some(binaries.dir.as_path()), own];
    let dirs: Vec<String> = dirs.into_iter().flatten().map(|dir| dir.display().to_string()).collect();
    dirs.join(":")
}

/// Four random bytes: unlike the process id they differ between two labs of one process, too.
pub(crate) fn random() -> Result<u32> {
    use std::io::Read as _;
    let mut bytes = [0; 4];
    fs::File::open("/dev/urandom")
        .and_then(|mut source| source.read_exact(&mut bytes))
        .context("no /dev/urandom")?;
    Ok(u32::from_ne_bytes(bytes))
}

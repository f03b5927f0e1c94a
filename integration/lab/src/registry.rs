//! Which labs are alive on this host: `/run/weft-lab/ID`, one file a lab, locked as long as its process lives.
//! It keeps two labs from the same subnet, tells a lab that was killed from one that works, and knows what the
//! host looked like before the first lab came.

use std::fs::{self, File, TryLockError};
use std::os::unix::fs::{DirBuilderExt as _, MetadataExt as _};
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use nix::mount::{MntFlags, umount2};
use serde::{Deserialize, Serialize};

use crate::cni_cache::CNI_CACHE;
use crate::subnet::Subnet;
use crate::{link, netns, process};

const RUN_DIR: &str = "/run/weft-lab";
const LOCK: &str = "lock";
const HOST: &str = "host.json";
/// What the bridge plugin turns on as soon as it is a gateway.
const FORWARDING: [&str; 2] = ["/proc/sys/net/ipv4/ip_forward", "/proc/sys/net/ipv6/conf/all/forwarding"];

/// What one lab owns on this host. From its fields alone everything of it can be found and removed.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Claim {
    /// `wl` and eight hexadecimal digits: the bridge's and the network's name, and the prefix of every netns name.
    pub(crate) id: String,
    /// Its addresses.
    pub(crate) subnet: Subnet,
    /// Its folder.
    pub(crate) dir: PathBuf,
}

/// A registered lab; dropping it removes what the claim names.
#[derive(Debug)]
pub(crate) struct Registration {
    pub(crate) claim: Claim,
    /// Locked: the proof of life.
    _alive: File,
}

/// The host's settings that labs change.
#[derive(Debug, Serialize, Deserialize)]
struct Host {
    forwarding: Vec<(PathBuf, String)>,
    /// Whether the folder of named namespaces was a mount point.
    netns_dir_mounted: bool,
}

impl Registration {
    /// Claims names, a folder and a subnet, after removing what killed labs left behind.
    ///
    /// # Errors
    /// When `/run/weft-lab` or the folder cannot be written, or no subnet is free.
    pub(crate) fn new(seed: u32) -> Result<Self> {
        let _lock = lock()?;
        let taken = living_claims()?;
        if !Path::new(RUN_DIR).join(HOST).exists() {
            fs::write(Path::new(RUN_DIR).join(HOST), serde_json::to_vec(&Host::now())?)?;
        }
        let subnets: Vec<Subnet> = taken.iter().map(|claim| claim.subnet).collect();
        let id = format!("wl{seed:08x}");
        let dir = std::env::temp_dir().join(format!("weft-lab-{id}"));
        let claim = Claim { subnet: Subnet::choose(seed, &subnets)?, dir, id };
        let alive = File::create_new(claim.file()).context("this lab's number is taken")?;
        alive.lock()?;
        serde_json::to_writer(&alive, &claim)?;
        // Captures and recordings go there.
        fs::DirBuilder::new()
            .mode(0o700)
            .create(&claim.dir)
            .with_context(|| format!("cannot create {}", claim.dir.display()))?;
        Ok(Self { claim, _alive: alive })
    }
}

impl Drop for Registration {
    fn drop(&mut self) {
        if let Err(error) = self.claim.release() {
            eprintln!("lab: the lab {} was not removed completely: {error:#}", self.claim.id);
        }
    }
}

impl Claim {
    fn file(&self) -> PathBuf {
        Path::new(RUN_DIR).join(&self.id)
    }

    fn release(&self) -> Result<()> {
        let _lock = lock()?;
        self.remove()?;
        if living_claims()?.is_empty() {
            restore_host()?;
        }
        Ok(())
    }

    /// Removes everything that carries the claim's names. Idempotent.
    fn remove(&self) -> Result<()> {
        process::kill_recorded(&self.dir);
        for name in names_with_prefix(Path::new(netns::NETNS_DIR), &format!("{}-", self.id)) {
            netns::remove(&name);
        }
        // A namespace that a process kept goes some time after it, and its veth pair with it: not waited for.
        for veth in names_with_prefix(&Path::new("/sys/class/net").join(&self.id).join("brif"), "") {
            link::remove(&veth.file_name().unwrap_or_default().to_string_lossy())?;
        }
        link::remove(&self.id)?;
        unmount_below(&self.dir);
        if self.dir.exists() {
            fs::remove_dir_all(&self.dir).with_context(|| format!("cannot remove {}", self.dir.display()))?;
        }
        fs::remove_file(self.file()).context("cannot remove the lab's claim")
    }
}

impl Host {
    fn now() -> Self {
        let read =
            |path: &&str| Some((PathBuf::from(path), fs::read_to_string(path).ok()?.trim().to_owned()));
        let netns_dir_mounted = !mount_points_below(Path::new(netns::NETNS_DIR)).is_empty();
        Self { forwarding: FORWARDING.iter().filter_map(read).collect(), netns_dir_mounted }
    }
}

/// Takes the lock of [`RUN_DIR`]. The last lab removes the folder, so the file that was locked may be gone.
fn lock() -> Result<File> {
    let path = Path::new(RUN_DIR).join(LOCK);
    loop {
        fs::create_dir_all(RUN_DIR).with_context(|| format!("cannot create {RUN_DIR} (root?)"))?;
        let Ok(file) = File::create(&path) else { continue };
        file.lock()?;
        if fs::metadata(&path).is_ok_and(|there| file.metadata().is_ok_and(|here| here.ino() == there.ino()))
        {
            return Ok(file);
        }
    }
}

/// The claims of labs whose process lives; what the others left is removed on the way. The lock must be held.
fn living_claims() -> Result<Vec<Claim>> {
    let mut living = Vec::new();
    for path in names_with_prefix(Path::new(RUN_DIR), "wl") {
        let file = File::open(&path).with_context(|| format!("cannot open {}", path.display()))?;
        let claim = serde_json::from_reader::<_, Claim>(&file);
        match (file.try_lock(), claim) {
            (Err(TryLockError::WouldBlock), Ok(claim)) => living.push(claim),
            (Err(error), _) => return Err(error).context("cannot lock another lab's claim"),
            (Ok(()), Ok(dead)) => {
                eprintln!("lab: removing what the killed lab {} left behind", dead.id);
                dead.remove()?;
            }
            (Ok(()), Err(_)) => fs::remove_file(&path)?, // killed while it wrote its claim: it owned nothing yet
        }
    }
    Ok(living)
}

/// The last lab is gone: the host is as it was before the first one.
fn restore_host() -> Result<()> {
    let saved = fs::read(Path::new(RUN_DIR).join(HOST)).context("the host's former settings are lost")?;
    let Host { forwarding, netns_dir_mounted } = serde_json::from_slice(&saved)?;
    for (path, value) in forwarding {
        if fs::read_to_string(&path).is_ok_and(|now| now.trim() != value) {
            fs::write(&path, value).with_context(|| format!("cannot restore {}", path.display()))?;
        }
    }
    if !netns_dir_mounted {
        // Refused as busy where somebody else has named a namespace meanwhile, as it should.
        let _ = umount2(netns::NETNS_DIR, MntFlags::empty());
    }
    // Only where nothing of anybody else's is in it.
    let _ = fs::remove_dir(CNI_CACHE);
    fs::remove_dir_all(RUN_DIR).context("cannot remove the labs' folder")
}

/// Unmounts every file system mounted at or below `dir`, deepest first.
pub(crate) fn unmount_below(dir: &Path) {
    for point in mount_points_below(dir).iter().rev() {
        if let Err(error) = umount2(point, MntFlags::MNT_DETACH) {
            eprintln!("lab: cannot unmount {}: {error}", point.display());
        }
    }
}

/// The mount points at or below `dir`, parents first.
pub(crate) fn mount_points_below(dir: &Path) -> Vec<PathBuf> {
    let table = fs::read_to_string("/proc/self/mounts").unwrap_or_default();
    let below =
        |line: &str| Some(PathBuf::from(line.split(' ').nth(1)?)).filter(|point| point.starts_with(dir));
    let mut points: Vec<PathBuf> = table.lines().filter_map(below).collect();
    points.sort();
    points
}

/// Paths of the entries of `dir` whose names begin with `prefix`, sorted; none where there is no such folder.
pub(crate) fn names_with_prefix(dir: &Path, prefix: &str) -> Vec<PathBuf> {
    let Ok(entries) = fs::read_dir(dir) else { return Vec::new() };
    let wanted =
        |entry: fs::DirEntry| entry.file_name().to_string_lossy().starts_with(prefix).then(|| entry.path());
    let mut found: Vec<PathBuf> = entries.filter_map(|entry| wanted(entry.ok()?)).collect();
    found.sort();
    found
}

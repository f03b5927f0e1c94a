use std::{fs, path::Path};

use rustix::{
    fs::statfs,
    mount::{MountFlags, mount},
};

use crate::error::{IoContext as _, LoaderError, Result};

/// `BPF_FS_MAGIC`, include/uapi/linux/magic.h.
const BPF_FS_MAGIC: i64 = 0xcafe_4a11;

/// Makes sure that `path` is a folder on a BPF file system, and mounts one there if it is not. Says whether it
/// mounted.
///
/// # Errors
/// When the folder cannot be made, or the file system cannot be mounted (CAP_SYS_ADMIN).
pub fn ensure_bpffs(path: &Path) -> Result<bool> {
    fs::create_dir_all(path).at(path)?;
    if is_bpffs(path)? {
        return Ok(false);
    }
    mount(
        "bpf",
        path,
        "bpf",
        MountFlags::NOSUID | MountFlags::NODEV | MountFlags::NOEXEC,
        Some(c"mode=0700"),
    )
    .map_err(|error| LoaderError::MountBpffs { path: path.into(), source: error.into() })?;
    Ok(true)
}

/// Whether the path is on a BPF file system.
///
/// # Errors
/// When it cannot be looked at.
pub fn is_bpffs(path: &Path) -> Result<bool> {
    Ok(statfs(path).at(path)?.f_type == BPF_FS_MAGIC)
}

use std::{fs, path::PathBuf};

use crate::error::{IoContext as _, LoaderError, Result};

/// The root of the cgroup v2 hierarchy, which is not always /sys/fs/cgroup.
///
/// # Errors
/// When /proc/mounts cannot be read or names none.
pub fn cgroup2_root() -> Result<PathBuf> {
    let mounts = fs::read_to_string("/proc/mounts").at("/proc/mounts")?;
    find(&mounts).ok_or(LoaderError::NoCgroup2)
}

/// proc(5): device, mount point, type, ...; spaces are written as \040.
fn find(mounts: &str) -> Option<PathBuf> {
    mounts.lines().find_map(|line| {
        let mut fields = line.split(' ');
        let point = fields.nth(1)?;
        (fields.next()? == "cgroup2").then(|| PathBuf::from(point.replace("\\040", " ")))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hybrid_hierarchies_name_cgroup2_elsewhere() {
        let mounts = "tmpfs /sys/fs/cgroup tmpfs rw 0 0\ncgroup /sys/fs/cgroup/cpu cgroup rw,cpu 0 0\n\
                      cgroup2 /sys/fs/cgroup/unified cgroup2 rw 0 0\n";
        assert_eq!(find(mounts), Some(PathBuf::from("/sys/fs/cgroup/unified")));
        assert_eq!(find("proc /proc proc rw 0 0\n"), None);
    }
}

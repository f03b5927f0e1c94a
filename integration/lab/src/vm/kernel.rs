//! A kernel of Debian's, unpacked.

use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, ensure};

use super::packages::Archive;
use crate::tools::{find_program, target_dir};

/// The flavour for virtual machines: small.
const FLAVOUR: &str = "-cloud-amd64";
const IMAGE: &str = "linux-image-";

/// A kernel, and its modules.
#[derive(Clone, Debug)]
pub struct Kernel {
    /// `uname -r`.
    pub release: String,
    folder: PathBuf,
}

impl Kernel {
    /// The newest one of a release of Debian (`bookworm`, `trixie-backports`), downloaded where it is not there yet.
    ///
    /// # Errors
    /// When this machine is not Debian's, or the package has not what it should have.
    pub fn newest_of(debian: &str) -> Result<Self> {
        let folder = target_dir().join("lab/kernels").join(debian);
        fs::create_dir_all(&folder)?;
        let lock = File::create(folder.join("lock"))?;
        lock.lock()?;
        let archive = Archive::open(debian, folder.join("apt"))?;
        let mut releases: Vec<_> = archive
            .search(&format!("^{IMAGE}[0-9].*{}$", FLAVOUR))?
            .iter()
            .filter_map(|name| release(name))
            .collect();
        releases.sort_by_key(|release| numbers(release));
        let release = releases.pop().with_context(|| format!("{debian} has no kernel"))?;
        let kernel = Self { folder: folder.join(&release), release };
        if !kernel.folder.join("complete").exists() {
            kernel.unpack(&archive)?;
        }
        Ok(kernel)
    }

    /// The compressed kernel.
    pub fn image(&self) -> PathBuf {
        self.folder.join("vmlinuz")
    }

    /// The files of a module and of those that it needs, in the order in which they are loaded.
    ///
    /// # Errors
    /// When the kernel has no such module.
    pub fn modules(&self, name: &str) -> Result<Vec<PathBuf>> {
        let modprobe = find_program("modprobe").context("no modprobe: install kmod")?;
        let mut command = Command::new(modprobe);
        command.arg("-d").arg(self.folder.join("root")).args(["-S", &self.release, "--show-depends", name]);
        let output = command.output()?;
        ensure!(output.status.success(), "the kernel {} has no module {name}", self.release);
        let shown = String::from_utf8_lossy(&output.stdout);
        let paths = shown.lines().filter_map(|line| line.strip_prefix("insmod "));
        Ok(paths.map(|path| PathBuf::from(path.trim())).collect())
    }

    fn unpack(&self, archive: &Archive) -> Result<()> {
        let root = self.folder.join("root");
        let _ = fs::remove_dir_all(&self.folder);
        fs::create_dir_all(root.join("usr/lib"))?;
        // Both kinds of packages, those with /lib and those with /usr/lib, meet here, where depmod looks.
        std::os::unix::fs::symlink("usr/lib", root.join("lib"))?;
        let image = format!("{IMAGE}{}", self.release);
        // Newer ones are in parts: the kernel, and its modules.
        let parts = archive.depends(&image)?.into_iter().filter(|name| name.ends_with(&self.release));
        for package in parts.chain([image.clone()]) {
            archive.unpack(&package, &root)?;
        }
        let places = [
            root.join("boot").join(format!("vmlinuz-{}", self.release)),
            self.module_folder().join("vmlinuz"),
        ];
        let image = places.iter().find(|place| place.exists()).context("the package has no kernel")?;
        fs::rename(image, self.image())?;
        let depmod = find_program("depmod").context("no depmod: install kmod")?;
        let status = Command::new(depmod).arg("-b").arg(&root).arg(&self.release).status()?;
        ensure!(status.success(), "depmod failed");
        Ok(fs::write(self.folder.join("complete"), "")?)
    }

    fn module_folder(&self) -> PathBuf {
        self.folder.join("root/lib/modules").join(&self.release)
    }
}

/// A module's code, out of what it is compressed with.
pub fn unpacked_module(path: &Path) -> Result<Vec<u8>> {
    let tool = match path.extension().and_then(|extension| extension.to_str()) {
        Some("xz") => "xz",
        Some("zst") => "zstd",
        _ => return Ok(fs::read(path)?),
    };
    let output = Command::new(tool).arg("-dc").arg(path).output()?;
    ensure!(output.status.success(), "{} cannot be unpacked", path.display());
    Ok(output.stdout)
}

fn release(package: &str) -> Option<String> {
    package.strip_prefix(IMAGE).map(str::to_owned)
}

/// What a release is sorted by.
fn numbers(release: &str) -> Vec<u32> {
    release.split(|c: char| !c.is_ascii_digit()).filter_map(|number| number.parse().ok()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_newest_release_is_the_last() {
        let mut releases =
            ["6.12.117+deb13-cloud-amd64", "6.12.9+deb13-cloud-amd64", "7.3.4+deb13-cloud-amd64"];
        releases.sort_by_key(|release| numbers(release));
        assert_eq!(releases.last(), Some(&"7.3.4+deb13-cloud-amd64"));
    }
}

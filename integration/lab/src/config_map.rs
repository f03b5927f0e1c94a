//! A ConfigMap mount as kubelet makes one (kubernetes, pkg/volume/util/atomic_writer.go): the file is a link into the link
//! `..data`, which leads to a folder of its own for each version and is swapped by a rename.

use std::fs;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};

/// A mounted ConfigMap with one key.
#[derive(Debug)]
pub struct ConfigMap {
    folder: PathBuf,
    key: String,
    version: u32,
}

impl ConfigMap {
    /// Mounts one in the place of a file that is there, with the same content.
    ///
    /// # Errors
    /// When the folder takes no links.
    pub fn in_place_of(file: &Path) -> Result<Self> {
        let text = fs::read_to_string(file).with_context(|| format!("cannot read {}", file.display()))?;
        let folder = file.parent().context("a file without a folder")?.to_owned();
        let key =
            file.file_name().and_then(|name| name.to_str()).context("a file without a name")?.to_owned();
        let mut map = Self { folder, key, version: 0 };
        map.swap(&text)?;
        fs::remove_file(file)?;
        symlink(Path::new("..data").join(&map.key), file)?;
        Ok(map)
    }

    /// Another version takes the place of the one before, at once and whole.
    ///
    /// # Errors
    /// When the folder cannot be written.
    pub fn swap(&mut self, text: &str) -> Result<()> {
        let before = fs::read_link(self.folder.join("..data"));
        self.version += 1;
        let version = format!("..2026_01_01_00_00_00.{}", self.version);
        fs::create_dir(self.folder.join(&version))?;
        fs::write(self.folder.join(&version).join(&self.key), text)?;
        let next = self.folder.join("..data_tmp");
        symlink(&version, &next)?;
        fs::rename(&next, self.folder.join("..data"))?;
        if let Ok(before) = before {
            fs::remove_dir_all(self.folder.join(before))?;
        }
        Ok(())
    }
}

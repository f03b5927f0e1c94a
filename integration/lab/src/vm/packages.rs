//! Debian's packages of any release, whatever this machine's is: apt with a folder of its own, and this machine's mirror.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, ensure};

const KEYS: &str = "/usr/share/keyrings/debian-archive-keyring.gpg";
const SOURCES: &str = "/etc/apt";

/// apt for one release of Debian.
pub struct Archive {
    folder: PathBuf,
}

impl Archive {
    /// Of a release (`bookworm`), with its state and what it downloads in `folder`. Its lists are fetched once.
    ///
    /// # Errors
    /// When this machine is not Debian, or its mirror does not answer.
    pub fn open(release: &str, folder: PathBuf) -> Result<Self> {
        let mirror =
            mirror().context("/etc/apt names no mirror of Debian: its kernels are not to be had here")?;
        for part in ["lists/partial", "cache/archives/partial"] {
            fs::create_dir_all(folder.join(part))?;
        }
        let archive = Self { folder };
        let sources = archive.folder.join("sources.list");
        if !sources.exists() {
            let line = format!("deb [signed-by={KEYS}] {mirror} {release} main\n");
            fs::write(archive.folder.join("sources.new"), line)?;
            fs::rename(archive.folder.join("sources.new"), &sources)?;
            if let Err(error) = archive.apt("apt-get", &["update"]) {
                fs::remove_file(&sources)?;
                return Err(error);
            }
        }
        Ok(archive)
    }

    /// Names of packages that match a regular expression.
    ///
    /// # Errors
    /// When apt fails.
    pub fn search(&self, pattern: &str) -> Result<Vec<String>> {
        let found = self.apt("apt-cache", &["search", "--names-only", pattern])?;
        Ok(found.lines().filter_map(|line| line.split(' ').next()).map(str::to_owned).collect())
    }

    /// What a package depends on, as its fields say it.
    ///
    /// # Errors
    /// When apt fails.
    pub fn depends(&self, package: &str) -> Result<Vec<String>> {
        let shown = self.apt("apt-cache", &["depends", package])?;
        let names = shown.lines().filter_map(|line| line.trim().strip_prefix("Depends: "));
        Ok(names.map(str::to_owned).collect())
    }

    /// Downloads a package's file and unpacks it.
    ///
    /// # Errors
    /// When there is no such package, or it cannot be unpacked.
    pub fn unpack(&self, package: &str, into: &Path) -> Result<()> {
        let debs = self.folder.join("debs").join(package);
        fs::create_dir_all(&debs)?;
        self.apt_in(&debs, "apt-get", &["download", package])?;
        let deb = fs::read_dir(&debs)?.next().context("nothing was downloaded")??.path();
        let status = Command::new("dpkg-deb").arg("-x").arg(&deb).arg(into).status()?;
        ensure!(status.success(), "{} cannot be unpacked", deb.display());
        Ok(fs::remove_dir_all(debs)?)
    }

    fn apt(&self, tool: &str, arguments: &[&str]) -> Result<String> {
        self.apt_in(&self.folder, tool, arguments)
    }

    fn apt_in(&self, current: &Path, tool: &str, arguments: &[&str]) -> Result<String> {
        let mut command = Command::new(tool);
        command.current_dir(current).arg("-q");
        let folder = self.folder.display();
        for option in [
            format!("Dir::State={folder}"),
            format!("Dir::State::lists={folder}/lists"),
            format!("Dir::Cache={folder}/cache"),
            format!("Dir::Etc::sourcelist={folder}/sources.list"),
            "Dir::Etc::sourceparts=/dev/null".to_owned(),
            "APT::Architectures=amd64".to_owned(),
            // The folder is root's own.
            "APT::Sandbox::User=root".to_owned(),
            "Acquire::Languages=none".to_owned(),
        ] {
            command.args(["-o", &option]);
        }
        let output = command.args(arguments).output().with_context(|| format!("cannot start {tool}"))?;
        let said = String::from_utf8_lossy(&output.stderr);
        ensure!(output.status.success(), "{tool} {}: {said}", arguments.join(" "));
        Ok(String::from_utf8_lossy(&output.stdout).into_owned())
    }
}

/// This machine's mirror of Debian: sources.list(5), in either format.
fn mirror() -> Option<String> {
    let parts = fs::read_dir(Path::new(SOURCES).join("sources.list.d")).into_iter().flatten().flatten();
    let files = parts.map(|part| part.path()).chain([Path::new(SOURCES).join("sources.list")]);
    files.filter_map(|file| fs::read_to_string(file).ok()).find_map(|text| mirror_in(&text))
}

fn mirror_in(text: &str) -> Option<String> {
    let words =
        text.lines().filter(|line| !line.trim_start().starts_with('#')).flat_map(str::split_whitespace);
    let mut mirrors = words.map(|word| word.trim_end_matches('/')).filter(|word| word.contains("://"));
    mirrors.find(|word| word.ends_with("/debian")).map(str::to_owned)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_formats_name_a_mirror() {
        let new = "Types: deb\nURIs: http://mirror.test/debian/\nSuites: stable\n";
        let old = "# deb http://gone.test/debian stable main\ndeb http://mirror.test/debian stable main\n";
        for text in [new, old] {
            assert_eq!(mirror_in(text).as_deref(), Some("http://mirror.test/debian"));
        }
        assert_eq!(mirror_in("deb http://mirror.test/debian-security stable main\n"), None);
    }
}

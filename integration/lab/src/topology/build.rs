//! The mesh's program as each Go builds it.

use std::fmt;
use std::path::PathBuf;

use anyhow::Result;
use serde::Serialize;

use crate::tools;

/// How a binary is made.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Flavour {
    /// As `go build` does it.
    Plain,
    /// Without symbol table and DWARF.
    Stripped,
    /// With C code that has thread-local variables of its own, so that Go's are elsewhere.
    Cgo,
}

/// A build of the mesh's program.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Build {
    /// The toolchain, as `GOTOOLCHAIN` names it.
    pub toolchain: &'static str,
    /// How it builds.
    pub flavour: Flavour,
}

/// The Go versions that accuracy is measured for: oldest, two between, newest.
pub const TOOLCHAINS: [&str; 4] = ["go1.21.13", "go1.24.11", "go1.26.8", "go1.27.1"];
/// The one that most figures are of.
pub const USUAL: Build = Build { toolchain: "go1.26.8", flavour: Flavour::Plain };

impl Build {
    /// Every build that is measured: each toolchain, stripped and not, and one with cgo.
    pub fn all() -> Vec<Self> {
        let build = |toolchain, flavour| Self { toolchain, flavour };
        let both = TOOLCHAINS
            .into_iter()
            .flat_map(|toolchain| [build(toolchain, Flavour::Plain), build(toolchain, Flavour::Stripped)]);
        both.chain([build(USUAL.toolchain, Flavour::Cgo)]).collect()
    }

    /// `1.26`.
    pub fn version(&self) -> &'static str {
        let number = self.toolchain.trim_start_matches("go");
        number.rfind('.').map_or(number, |patch| &number[..patch])
    }

    /// Builds the program where it is not up to date; gives its path.
    ///
    /// # Errors
    /// Without a Go toolchain, or what the build said.
    pub fn program(&self) -> Result<PathBuf> {
        let (dir, _lock) = tools::bin_dir()?;
        let output = dir.join(format!("topology-{}", self.to_string().replace(' ', "-")));
        tools::go_build("integration/workloads/topology", ".", &output, |command| {
            command.env("GOTOOLCHAIN", self.toolchain);
            if self.flavour == Flavour::Stripped {
                command.args(["-ldflags", "-s -w"]);
            }
            if self.flavour == Flavour::Cgo {
                command.env("CGO_ENABLED", "1");
            }
            if matches!(self.version(), "1.26" | "1.27") {
                command.arg("-modfile=go.current.mod");
            }
        })?;
        Ok(output)
    }
}

/// `1.26`, `1.26 stripped`, `1.26 cgo`.
impl fmt::Display for Build {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.version())?;
        match self.flavour {
            Flavour::Plain => Ok(()),
            Flavour::Stripped => f.write_str(" stripped"),
            Flavour::Cgo => f.write_str(" cgo"),
        }
    }
}

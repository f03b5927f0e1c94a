//! The table of members for binaries without debugging information: `data/offsets.json`, made by `cargo xtask go-offsets` from
//! the debugging information of programs that each version built.
use std::{fmt, str::FromStr, sync::LazyLock};

use serde::{Deserialize, Serialize};

use crate::members::Members;

/// Go itself, among the modules.
pub const GO: &str = "go";

static TABLE: LazyLock<Vec<Offsets>> =
    LazyLock::new(|| serde_json::from_str(include_str!("../data/offsets.json")).unwrap_or_default());

/// Where the versions of a module from one release to another have their members: all of these were looked at.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Offsets {
    /// The module's path, or `go`.
    pub module: String,
    /// The first release.
    pub from: Release,
    /// The last.
    pub to: Release,
    /// The members.
    pub members: Members,
}

/// Major and minor version: what comes after them has never moved a member.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Release(pub u16, pub u16);

/// Why the table has nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Unknown {
    /// Nothing at all of this module.
    Module,
    /// The version is older than the oldest that was looked at.
    Older(Release),
    /// The version is newer than the newest that was looked at.
    Newer(Release),
}

/// The whole table.
pub fn table() -> &'static [Offsets] {
    &TABLE
}

/// What the table has of a module's release.
pub fn of(module: &str, release: Release) -> Result<&'static Members, Unknown> {
    let rows = || TABLE.iter().filter(|row| row.module == module);
    if let Some(row) = rows().find(|row| (row.from..=row.to).contains(&release)) {
        return Ok(&row.members);
    }
    let newest = rows().map(|row| row.to).max().ok_or(Unknown::Module)?;
    let oldest = rows().map(|row| row.from).min().ok_or(Unknown::Module)?;
    Err(if release > newest { Unknown::Newer(newest) } else { Unknown::Older(oldest) })
}

impl fmt::Display for Release {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}", self.0, self.1)
    }
}

impl FromStr for Release {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let (major, minor) = text.split_once('.').ok_or("a release is two numbers with a dot between")?;
        let number = |text: &str| text.parse().map_err(|_| "a release is two numbers");
        Ok(Self(number(major)?, number(minor)?))
    }
}

impl TryFrom<String> for Release {
    type Error = &'static str;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        text.parse()
    }
}

impl From<Release> for String {
    fn from(release: Release) -> Self {
        release.to_string()
    }
}

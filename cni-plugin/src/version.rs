//! The versions of the CNI specification, and the command VERSION.
use serde_json::{Value, json};

use crate::error::CniError;

/// Oldest first.
pub(crate) const SUPPORTED: [&str; 4] = ["0.3.1", "0.4.0", "1.0.0", "1.1.0"];
/// What is spoken where nobody said.
pub(crate) const NEWEST: &str = "1.1.0";
/// The version without CHECK.
pub(crate) const WITHOUT_CHECK: &str = "0.3.1";

/// The supported version of this name.
pub(crate) fn supported(name: &str) -> Option<&'static str> {
    SUPPORTED.into_iter().find(|version| *version == name)
}

/// The version of a configuration, where it is one of ours.
pub(crate) fn of(json: &[u8]) -> Option<&'static str> {
    let config: Value = serde_json::from_slice(json).ok()?;
    supported(config.get("cniVersion")?.as_str()?)
}

/// The answer to VERSION. Runtimes before spec 0.4.0 send no input.
pub(crate) fn answer(stdin: &[u8]) -> Result<String, CniError> {
    if !stdin.trim_ascii().is_empty() {
        serde_json::from_slice::<serde::de::IgnoredAny>(stdin).map_err(CniError::Decode)?;
    }
    let version = of(stdin).unwrap_or(NEWEST);
    Ok(json!({"cniVersion": version, "supportedVersions": SUPPORTED}).to_string())
}

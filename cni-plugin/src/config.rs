//! The configuration on stdin. Only what is no JSON object is refused: a wrong value of one of our own keys is
//! answered by its default and a log line, because refusing it would keep pods from starting.
use std::{
    collections::BTreeMap,
    io::{self, Read as _},
    path::PathBuf,
};

use serde::{Deserialize, de::DeserializeOwned};
use serde_json::value::RawValue;
use weft_loader::AttachMode;

use crate::{error::CniError, log::Level, version};

/// More than any configuration: prevResult of a pod with thousands of addresses is below 1 MiB.
const MAX_STDIN: u64 = 8 << 20;

/// What happens to a pod that cannot be traced now.
#[derive(Clone, Copy, Debug, Default, Deserialize, PartialEq, Eq)]
pub(crate) enum FailurePolicy {
    /// It starts, and the agent attaches later.
    #[default]
    Ignore,
    /// ADD fails, and the runtime tries again.
    Fail,
}

/// How the programs are attached; the agent's `capture.attach` should say the same.
#[derive(Clone, Copy, Debug, Default, Deserialize, PartialEq, Eq)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Attach {
    /// TCX where the kernel has it, else clsact.
    #[default]
    Auto,
    /// Clsact also where the kernel has TCX.
    Clsact,
}

impl From<Attach> for AttachMode {
    fn from(attach: Attach) -> Self {
        match attach {
            Attach::Auto => Self::Auto,
            Attach::Clsact => Self::Clsact,
        }
    }
}

/// An attachment that is in use, as GC lists them.
#[derive(Clone, Debug, Deserialize, PartialEq, Eq)]
pub(crate) struct Attachment {
    #[serde(rename = "containerID")]
    pub(crate) container_id: String,
    pub(crate) ifname: String,
}

/// One entry of a network's plugin list, as libcni hands it over. The key `cgroup` is for the agent, which attaches
/// sockops: nothing here reads it.
#[derive(Debug)]
pub(crate) struct Config {
    pub(crate) cni_version: Option<String>,
    /// `name`: the network's.
    pub(crate) network: Option<String>,
    /// `bpffs`: where the agent pinned the programs.
    pub(crate) bpffs: PathBuf,
    /// `stateDir`.
    pub(crate) state_dir: PathBuf,
    /// `failurePolicy`.
    pub(crate) failure_policy: FailurePolicy,
    /// `attach`.
    pub(crate) attach: Attach,
    /// `logLevel`.
    pub(crate) log_level: Level,
    /// `prevResult`, as its bytes came.
    pub(crate) prev_result: Option<String>,
    /// `cni.dev/valid-attachments`; absent means unknown, not none.
    pub(crate) valid_attachments: Option<Vec<Attachment>>,
    /// Own keys whose value was not understood.
    pub(crate) doubts: Vec<String>,
}

impl Default for Config {
    fn default() -> Self {
        Keys::default().into_config()
    }
}

impl Config {
    /// # Errors
    /// When it is no JSON object.
    pub(crate) fn parse(json: &[u8]) -> Result<Self, CniError> {
        let raw: BTreeMap<String, &RawValue> = serde_json::from_slice(json).map_err(CniError::Decode)?;
        Ok(Keys { raw, doubts: Vec::new() }.into_config())
    }

    /// The version to answer in.
    ///
    /// # Errors
    /// When it is none of ours.
    pub(crate) fn version(&self) -> Result<&'static str, CniError> {
        let found = &self.cni_version;
        found
            .as_deref()
            .and_then(version::supported)
            .ok_or_else(|| CniError::IncompatibleVersion { found: found.clone() })
    }
}

/// All of stdin.
///
/// # Errors
/// When it cannot be read, or does not end.
pub(crate) fn read_stdin() -> Result<Vec<u8>, CniError> {
    let mut json = Vec::new();
    io::stdin().lock().take(MAX_STDIN).read_to_end(&mut json).map_err(CniError::Io)?;
    if json.len() as u64 == MAX_STDIN { Err(CniError::TooLong { limit: MAX_STDIN }) } else { Ok(json) }
}

#[derive(Default)]
struct Keys<'a> {
    raw: BTreeMap<String, &'a RawValue>,
    doubts: Vec<String>,
}

impl Keys<'_> {
    fn into_config(mut self) -> Config {
        Config {
            cni_version: self.take("cniVersion"),
            network: self.take("name"),
            bpffs: self.folder("bpffs", "/sys/fs/bpf"),
            state_dir: self.folder("stateDir", "/run/weft"),
            failure_policy: self.take("failurePolicy").unwrap_or_default(),
            attach: self.take("attach").unwrap_or_default(),
            log_level: self.take("logLevel").unwrap_or_default(),
            prev_result: self.object("prevResult"),
            valid_attachments: self.take("cni.dev/valid-attachments"),
            doubts: self.doubts,
        }
    }

    fn take<T: DeserializeOwned>(&mut self, key: &str) -> Option<T> {
        let raw = self.raw.get(key)?.get();
        match serde_json::from_str(raw) {
            Ok(value) => value,
            Err(error) => {
                self.doubts.push(format!("{key}: {error}; the default holds"));
                None
            }
        }
    }

    fn folder(&mut self, key: &str, default: &str) -> PathBuf {
        let path: Option<PathBuf> = self.take(key);
        let relative = path.as_ref().is_some_and(|path| !path.is_absolute());
        if relative {
            self.doubts.push(format!("{key}: no absolute path; the default holds"));
        }
        path.filter(|_| !relative).unwrap_or_else(|| default.into())
    }

    fn object(&self, key: &str) -> Option<String> {
        let raw = self.raw.get(key)?.get();
        raw.starts_with('{').then(|| raw.to_owned())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(json: &str) -> Config {
        Config::parse(json.as_bytes()).unwrap()
    }

    #[test]
    fn every_key_is_optional() {
        let config = parse("{}");
        assert_eq!(config.bpffs, PathBuf::from("/sys/fs/bpf"));
        assert_eq!(config.state_dir, PathBuf::from("/run/weft"));
        assert_eq!((config.failure_policy, config.log_level), (FailurePolicy::Ignore, Level::Info));
        assert!(
            config.prev_result.is_none() && config.valid_attachments.is_none() && config.doubts.is_empty()
        );
    }

    #[test]
    fn own_keys_are_read() {
        let config = parse(
            r#"{"name":"net","bpffs":"/b","stateDir":"/s","failurePolicy":"Fail","logLevel":"debug","attach":"clsact"}"#,
        );
        assert_eq!(config.attach, Attach::Clsact);
        assert_eq!(config.network.as_deref(), Some("net"));
        assert_eq!((config.bpffs, config.state_dir), ("/b".into(), "/s".into()));
        assert_eq!((config.failure_policy, config.log_level), (FailurePolicy::Fail, Level::Debug));
    }

    #[test]
    fn a_wrong_value_is_doubted_and_the_default_holds() {
        let config =
            parse(r#"{"bpffs":7,"stateDir":"run","failurePolicy":"fail","logLevel":["x"],"name":null}"#);
        assert_eq!(config.bpffs, PathBuf::from("/sys/fs/bpf"));
        assert_eq!(config.state_dir, PathBuf::from("/run/weft"));
        assert_eq!(config.failure_policy, FailurePolicy::Ignore);
        assert_eq!(config.doubts.len(), 4, "{:?}", config.doubts);
    }

    #[test]
    fn prev_result_keeps_its_bytes() {
        let prev = r#"{ "big":123456789012345678901234567890, "odd":1.0e+05 , "x":[ ] }"#;
        assert_eq!(parse(&format!(r#"{{"prevResult":{prev}}}"#)).prev_result.as_deref(), Some(prev));
        assert_eq!(parse(r#"{"prevResult":null}"#).prev_result, None);
        assert_eq!(parse(r#"{"prevResult":"ips"}"#).prev_result, None);
    }

    #[test]
    fn attachments_that_are_not_understood_are_unknown() {
        let list = parse(r#"{"cni.dev/valid-attachments":[{"containerID":"a","ifname":"eth0"}]}"#);
        assert_eq!(list.valid_attachments.unwrap().len(), 1);
        let broken = parse(r#"{"cni.dev/valid-attachments":[{"containerID":"a"}]}"#);
        assert_eq!(broken.valid_attachments, None);
    }
}

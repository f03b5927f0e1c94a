//! The environment: what the runtime asks, and about which container.
use std::{ffi::OsString, path::PathBuf};

use crate::error::CniError;

/// A Kubernetes name has at most 253 characters (RFC 1123 subdomain), a UID 36; longer ones are nobody's.
const MAX_NAME: usize = 253;
/// IFNAMSIZ less the terminator (include/uapi/linux/if.h).
const MAX_INTERFACE: usize = 15;
/// A record's file is named `<container id>@<interface>.json`, and file names end at 255 bytes.
const MAX_CONTAINER_ID: usize = 200;

/// CNI_COMMAND.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Command {
    Add,
    Del,
    Check,
    Gc,
    Status,
    Version,
}

impl Command {
    pub(crate) fn from_env(variable: &impl Fn(&str) -> Option<OsString>) -> Result<Self, CniError> {
        match variable("CNI_COMMAND").as_deref().and_then(|value| value.to_str()) {
            Some("ADD") => Ok(Self::Add),
            Some("DEL") => Ok(Self::Del),
            Some("CHECK") => Ok(Self::Check),
            Some("GC") => Ok(Self::Gc),
            Some("STATUS") => Ok(Self::Status),
            Some("VERSION") => Ok(Self::Version),
            _ => Err(CniError::InvalidEnvironment { names: vec!["CNI_COMMAND"] }),
        }
    }
}

/// Whether a command can do without CNI_NETNS: a later DEL comes without.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum NetnsPath {
    Required,
    Optional,
}

/// One attachment: a container's interface.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Args {
    /// CNI_CONTAINERID: safe as part of a file's name.
    pub(crate) container_id: String,
    /// CNI_NETNS; empty where it is optional and absent.
    pub(crate) netns: PathBuf,
    /// CNI_IFNAME: safe as part of a file's name.
    pub(crate) interface: String,
    /// K8S_POD_NAMESPACE of CNI_ARGS.
    pub(crate) namespace: Option<String>,
    /// K8S_POD_NAME of CNI_ARGS.
    pub(crate) name: Option<String>,
    /// K8S_POD_UID of CNI_ARGS.
    pub(crate) uid: Option<String>,
}

impl Args {
    /// # Errors
    /// The names of all variables that are missing or break the specification's rules.
    pub(crate) fn parse(
        variable: &impl Fn(&str) -> Option<OsString>,
        netns_path: NetnsPath,
    ) -> Result<Self, CniError> {
        let text = |name| variable(name).and_then(|value| value.into_string().ok()).unwrap_or_default();
        let mut args = Self {
            container_id: text("CNI_CONTAINERID"),
            netns: variable("CNI_NETNS").unwrap_or_default().into(),
            interface: text("CNI_IFNAME"),
            ..Self::default()
        };
        let netns_missing = netns_path == NetnsPath::Required && args.netns.as_os_str().is_empty();
        let wrong = [
            ("CNI_CONTAINERID", !is_container_id(&args.container_id)),
            ("CNI_NETNS", netns_missing),
            ("CNI_IFNAME", !is_interface(&args.interface)),
        ];
        let names: Vec<_> = wrong.into_iter().filter_map(|(name, wrong)| wrong.then_some(name)).collect();
        if !names.is_empty() {
            return Err(CniError::InvalidEnvironment { names });
        }
        args.add_pod(&text("CNI_ARGS"));
        Ok(args)
    }

    /// CNI_ARGS is `K=V;K=V` in any order. What is no pair or not ours is the runtime's business.
    fn add_pod(&mut self, pairs: &str) {
        for (key, value) in pairs.split(';').filter_map(|pair| pair.split_once('=')) {
            let value = (1..=MAX_NAME).contains(&value.len()).then(|| value.to_owned());
            match key {
                "K8S_POD_NAMESPACE" => self.namespace = value,
                "K8S_POD_NAME" => self.name = value,
                "K8S_POD_UID" => self.uid = value,
                _ => {}
            }
        }
    }

    /// `namespace/name (interface)`, or the container's id where the pod has no name: what log lines begin with.
    pub(crate) fn subject(&self) -> String {
        match (&self.namespace, &self.name) {
            (Some(namespace), Some(name)) => format!("{namespace}/{name} ({})", self.interface),
            _ => format!("container {} ({})", self.container_id, self.interface),
        }
    }
}

/// CNI 1.1.0, "Parameters": begins with an alphanumeric, then those and `_`, `.`, `-`.
fn is_container_id(id: &str) -> bool {
    id.len() <= MAX_CONTAINER_ID
        && id.starts_with(|first: char| first.is_ascii_alphanumeric())
        && id.chars().all(|other| other.is_ascii_alphanumeric() || "_.-".contains(other))
}

/// net/core/dev.c, dev_valid_name.
fn is_interface(name: &str) -> bool {
    (1..=MAX_INTERFACE).contains(&name.len())
        && name != "."
        && name != ".."
        && !name.contains(|other: char| other == '/' || other == ':' || other.is_whitespace())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(pairs: &[(&str, &str)], netns_path: NetnsPath) -> Result<Args, CniError> {
        let variable =
            |name: &str| pairs.iter().find(|(key, _)| *key == name).map(|(_, value)| OsString::from(value));
        Args::parse(&variable, netns_path)
    }

    #[test]
    fn cni_args_come_in_any_order_with_strangers_among_them() {
        let args = parse(
            &[
                ("CNI_CONTAINERID", "a1-b_2.c"),
                ("CNI_NETNS", "/run/netns/x"),
                ("CNI_IFNAME", "eth0"),
                (
                    "CNI_ARGS",
                    "K8S_POD_UID=u;IgnoreUnknown=1;nonsense;K8S_POD_NAME=orders;K8S_POD_NAMESPACE=shop;A=b=c",
                ),
            ],
            NetnsPath::Required,
        )
        .unwrap();
        assert_eq!(args.subject(), "shop/orders (eth0)");
        assert_eq!(args.uid.as_deref(), Some("u"));
    }

    #[test]
    fn an_empty_or_endless_pod_name_is_no_name() {
        let endless = format!("K8S_POD_NAMESPACE=;K8S_POD_NAME={}", "x".repeat(MAX_NAME + 1));
        let args = parse(
            &[("CNI_CONTAINERID", "c"), ("CNI_IFNAME", "eth0"), ("CNI_ARGS", &endless)],
            NetnsPath::Optional,
        )
        .unwrap();
        assert_eq!((args.namespace.as_deref(), args.name.as_deref()), (None, None));
        assert_eq!(args.subject(), "container c (eth0)");
    }

    #[test]
    fn every_wrong_variable_is_named() {
        let error = parse(&[("CNI_CONTAINERID", "../x"), ("CNI_IFNAME", "a/b")], NetnsPath::Required);
        assert_eq!(
            error.unwrap_err().to_string(),
            "environment variables that are missing or invalid: CNI_CONTAINERID, CNI_NETNS, CNI_IFNAME"
        );
    }

    #[test]
    fn names_that_are_no_file_names_are_refused() {
        for id in ["", "-a", ".a", "a/b", "a b", "ä", &"a".repeat(MAX_CONTAINER_ID + 1)] {
            assert!(!is_container_id(id), "{id}");
        }
        for name in ["", ".", "..", "a:b", "eth 0", "sixteen_letters_"] {
            assert!(!is_interface(name), "{name}");
        }
    }
}

//! Who is who.
use std::{collections::BTreeMap, env};

use anyhow::{Result, bail};
use ipnetwork::IpNetwork;
use serde::Deserialize;

use super::choice::one_of;

/// The most labels of pods that are passed on: each is a label of a metric.
const MAX_LABELS: usize = 16;
/// A prefix of 253 bytes, a slash, and a name of 63 (Kubernetes, "Labels and Selectors", syntax).
const LONGEST_KEY: usize = 317;

/// The section `identity`.
#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Identity {
    /// Whether a cluster is asked.
    pub kubernetes: Kubernetes,
    /// The node's name in the cluster; empty: the environment's `NODE_NAME`, else the host's name.
    pub node: String,
    /// Labels of pods that are passed on.
    pub labels: Vec<String>,
    /// Names of networks, for peers that are no pods; the most specific one wins.
    pub networks: BTreeMap<IpNetwork, String>,
}

/// `auto` or `off`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(try_from = "String")]
pub enum Kubernetes {
    /// The API server is asked where `KUBECONFIG`, or a service account, says which and as whom.
    #[default]
    Auto,
    /// Nobody is asked.
    Off,
}

impl Identity {
    /// # Errors
    /// When a label cannot be one.
    pub fn check(&self) -> Result<()> {
        if self.labels.len() > MAX_LABELS {
            bail!("identity.labels has {} entries: {MAX_LABELS} are allowed", self.labels.len());
        }
        let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"./_-".contains(&byte);
        for label in &self.labels {
            if label.is_empty() || label.len() > LONGEST_KEY || !label.bytes().all(plain) {
                bail!(
                    "identity.labels has {label:?}: the key of a label is allowed, such as app.kubernetes.io/version"
                );
            }
        }
        Ok(())
    }

    /// The node's name in the cluster.
    pub fn node(&self) -> String {
        let told = Some(self.node.clone()).filter(|node| !node.is_empty());
        let environment = || env::var("NODE_NAME").ok().filter(|node| !node.is_empty());
        // Kubelet's own default, in lower case (kubernetes, pkg/util/node: GetHostname).
        let host = || rustix::system::uname().nodename().to_string_lossy().to_lowercase();
        told.or_else(environment).unwrap_or_else(host)
    }
}

impl TryFrom<String> for Kubernetes {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        one_of("identity.kubernetes", &text, [("auto", Self::Auto), ("off", Self::Off)])
    }
}

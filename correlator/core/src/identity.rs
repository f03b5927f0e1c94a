//! What a cluster says of pods and addresses.
use std::{collections::BTreeMap, net::IpAddr};

use serde::{Deserialize, Serialize};

use crate::span::key;

/// Who a pod is beyond its name: the resource of its spans and metrics. What is unknown is empty or absent.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Identity {
    /// Kubernetes uid, as the pod's runtime has it.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub uid: String,
    /// `k8s.node.name`.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub node: String,
    /// What controls it: `k8s.deployment.name` and the like.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub workload: Option<Workload>,
    /// `k8s.replicaset.name`, where one controls it, a Deployment's too.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub replica_set: String,
    /// `service.name`.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub service_name: String,
    /// What a mesh takes it for, where its labels say so.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub application: Option<Box<Application>>,
    /// Labels that the configuration asks for.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub labels: BTreeMap<String, String>,
}

/// What a pod's labels say that it is a part of, as Istio reads them (istio.io, "Istio Standard Metrics", labels). What they do
/// not say is empty.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Application {
    /// The label `app`.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub app: String,
    /// The label `version`.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub version: String,
    /// The canonical service.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub service: String,
    /// Its revision.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub revision: String,
}

/// What controls a pod.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Workload {
    /// `Deployment`, `StatefulSet`, `DaemonSet`, `Job`, ...
    pub kind: String,
    /// Its name; its namespace is the pod's.
    pub name: String,
}

impl Workload {
    /// The conventions' key for its name; they have none for other kinds.
    pub fn key(&self) -> Option<&'static str> {
        Some(match self.kind.as_str() {
            "CronJob" => key::K8S_CRONJOB_NAME,
            "DaemonSet" => key::K8S_DAEMONSET_NAME,
            "Deployment" => key::K8S_DEPLOYMENT_NAME,
            "Job" => key::K8S_JOB_NAME,
            "ReplicaSet" => key::K8S_REPLICASET_NAME,
            "StatefulSet" => key::K8S_STATEFULSET_NAME,
            _ => return None,
        })
    }
}

/// Whose an address is that is no pod's of this node.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Peer {
    /// A pod's.
    Pod {
        /// Kubernetes namespace.
        namespace: String,
        /// Pod name.
        name: String,
    },
    /// A service's: it stands for the pods behind it.
    Service {
        /// Kubernetes namespace.
        namespace: String,
        /// Service name.
        name: String,
    },
}

/// A change in what the cluster says.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ClusterUpdate {
    /// Of a pod of this node.
    Pod {
        /// Kubernetes namespace.
        namespace: String,
        /// Pod name.
        name: String,
        /// Who it is; absent when there is no such pod any more.
        identity: Option<Identity>,
    },
    /// Of an address.
    Address {
        /// It.
        address: IpAddr,
        /// Whose it is; absent when it is nobody's any more.
        peer: Option<Peer>,
    },
}

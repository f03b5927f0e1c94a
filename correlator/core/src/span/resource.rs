//! Who a pod is to OpenTelemetry: one resource for all its spans and metrics.
use super::attribute::{Attribute, Attributes, key};
use crate::Pod;

/// What is said of the pod in the netns with this cookie. A netns that nobody named is a service of its own, told by its
/// cookie, so that two of them never become one.
pub fn resource(netns: u64, pod: Option<&Pod>, node: Option<&str>) -> Vec<Attribute> {
    let mut attributes = Attributes::default();
    match pod.filter(|pod| !pod.name.is_empty()) {
        Some(pod) => {
            attributes.text(key::SERVICE_NAME, &pod.name);
            attributes.text(key::SERVICE_NAMESPACE, &pod.namespace);
            attributes.text(key::K8S_NAMESPACE_NAME, &pod.namespace);
            attributes.text(key::K8S_POD_NAME, &pod.name);
            attributes.text(key::K8S_POD_UID, &pod.uid);
        }
        None => attributes.text(key::SERVICE_NAME, &format!("netns-{netns}")),
    }
    attributes.text(key::K8S_NODE_NAME, node.unwrap_or(""));
    attributes.list
}

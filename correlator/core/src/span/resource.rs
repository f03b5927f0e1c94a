//! Who a pod is to OpenTelemetry: one resource for all its spans and metrics.
use super::attribute::{Attribute, Attributes, key};
use crate::{Identity, Pod};

/// What is said of the pod in the netns with this cookie, of which a cluster may have told more. A netns that nobody named is
/// a service of its own, told by its cookie, so that two of them never become one.
pub fn resource(
    netns: u64,
    pod: Option<&Pod>,
    identity: Option<&Identity>,
    node: Option<&str>,
) -> Vec<Attribute> {
    let mut attributes = Attributes::default();
    let unknown = Identity::default();
    let Identity { uid, node: told, workload, service_name, labels, .. } = identity.unwrap_or(&unknown);
    match pod.filter(|pod| !pod.name.is_empty()) {
        Some(pod) => {
            attributes.text(key::SERVICE_NAME, or(service_name, &pod.name));
            attributes.text(key::SERVICE_NAMESPACE, &pod.namespace);
            attributes.text(key::K8S_NAMESPACE_NAME, &pod.namespace);
            attributes.text(key::K8S_POD_NAME, &pod.name);
            attributes.text(key::K8S_POD_UID, or(&pod.uid, uid));
        }
        None => attributes.text(key::SERVICE_NAME, &format!("netns-{netns}")),
    }
    attributes.text(key::K8S_NODE_NAME, or(told, node.unwrap_or("")));
    if let Some(workload) = workload
        && let Some(key) = workload.key()
    {
        attributes.text(key, &workload.name);
    }
    labels.iter().for_each(|(name, value)| attributes.label(name, value));
    attributes.list
}

fn or<'a>(text: &'a str, instead: &'a str) -> &'a str {
    if text.is_empty() { instead } else { text }
}

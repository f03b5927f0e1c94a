//! What a pod's object says of the pod.
use std::{collections::BTreeMap, net::IpAddr};

use k8s_openapi::{
    api::core::v1::Pod,
    apimachinery::pkg::apis::meta::v1::{ObjectMeta, OwnerReference},
};
use weft_core::{Application, Identity, Workload};

/// What the runtime has for a static pod's uid (kubernetes, pkg/kubelet/types: ConfigHashAnnotationKey).
const STATIC_UID: &str = "kubernetes.io/config.hash";
/// How an operator names a service (semantic conventions, "Specify resource attributes using Kubernetes annotations").
const SERVICE_NAME: &str = "resource.opentelemetry.io/service.name";
/// Recommended labels, in the conventions' order.
const SERVICE_LABELS: [&str; 2] = ["app.kubernetes.io/instance", "app.kubernetes.io/name"];
/// What Istio calls a pod's canonical service and its revision after, in its order (istio, pkg/model: GetOrDefault of
/// CanonicalServiceName and CanonicalServiceRevision). What it says where no label does is not here.
const CANONICAL_NAME: [&str; 3] = ["service.istio.io/canonical-name", "app.kubernetes.io/name", "app"];
const CANONICAL_REVISION: [&str; 3] =
    ["service.istio.io/canonical-revision", "app.kubernetes.io/version", "version"];
const TEMPLATE_HASH: &str = "pod-template-hash";

/// Who the pod is, with those of its labels that are `wanted`.
pub fn identity(pod: &Pod, wanted: &[String]) -> Identity {
    let metadata = &pod.metadata;
    let workload = workload(metadata);
    let own = wanted.iter().filter_map(|key| Some((key.clone(), label(metadata, key)?.to_owned())));
    Identity {
        uid: annotation(metadata, STATIC_UID).or(metadata.uid.as_deref()).unwrap_or_default().to_owned(),
        node: pod.spec.as_ref().and_then(|spec| spec.node_name.clone()).unwrap_or_default(),
        service_name: service_name(metadata, workload.as_ref()),
        replica_set: replica_set(metadata),
        application: application(metadata),
        workload,
        labels: own.collect::<BTreeMap<_, _>>(),
    }
}

/// Addresses of the host that the pod has for its own, or is on: nobody's alone.
pub fn host_addresses(pod: &Pod) -> Vec<IpAddr> {
    let Some(status) = &pod.status else { return Vec::new() };
    let all = status.host_ips.iter().flatten().map(|ip| ip.ip.as_str()).chain(status.host_ip.as_deref());
    all.filter_map(|ip| ip.parse().ok()).collect()
}

/// What controls the pod; of a ReplicaSet that a Deployment made, the Deployment: its name is the Deployment's and the hash of
/// the template, which is a label of the pod (kubernetes, pkg/controller/deployment/sync.go).
fn workload(metadata: &ObjectMeta) -> Option<Workload> {
    let owner = controller(metadata)?;
    let of_template =
        label(metadata, TEMPLATE_HASH).and_then(|hash| owner.name.strip_suffix(hash)?.strip_suffix('-'));
    Some(match (owner.kind.as_str(), of_template) {
        ("ReplicaSet", Some(name)) => Workload { kind: "Deployment".to_owned(), name: name.to_owned() },
        (kind, _) => Workload { kind: kind.to_owned(), name: owner.name.clone() },
    })
}

fn controller(metadata: &ObjectMeta) -> Option<&OwnerReference> {
    metadata.owner_references.iter().flatten().find(|owner| owner.controller == Some(true))
}

fn replica_set(metadata: &ObjectMeta) -> String {
    let owner = controller(metadata).filter(|owner| owner.kind == "ReplicaSet");
    owner.map(|owner| owner.name.clone()).unwrap_or_default()
}

fn application(metadata: &ObjectMeta) -> Option<Box<Application>> {
    let first = |keys: &[&str]| {
        let mut labels = keys.iter().filter_map(|key| label(metadata, key));
        labels.find(|label| !label.is_empty()).unwrap_or_default().to_owned()
    };
    let said = Application {
        app: first(&["app"]),
        version: first(&["version"]),
        service: first(&CANONICAL_NAME),
        revision: first(&CANONICAL_REVISION),
    };
    (said != Application::default()).then(|| Box::new(said))
}

/// In the order of the semantic conventions ("How service.name should be calculated").
fn service_name(metadata: &ObjectMeta, workload: Option<&Workload>) -> String {
    let labels = SERVICE_LABELS.into_iter().filter_map(|key| label(metadata, key));
    let owner = workload.map(|workload| workload.name.as_str());
    let names = annotation(metadata, SERVICE_NAME)
        .into_iter()
        .chain(labels)
        .chain(owner)
        .chain(metadata.name.as_deref());
    names.filter(|name| !name.is_empty()).map(str::to_owned).next().unwrap_or_default()
}

fn label<'a>(metadata: &'a ObjectMeta, key: &str) -> Option<&'a str> {
    metadata.labels.as_ref()?.get(key).map(String::as_str)
}

fn annotation<'a>(metadata: &'a ObjectMeta, key: &str) -> Option<&'a str> {
    metadata.annotations.as_ref()?.get(key).map(String::as_str)
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    fn of(metadata: Value) -> Identity {
        let pod = json!({"metadata": metadata, "spec": {"nodeName": "n1", "containers": []}});
        identity(&serde_json::from_value(pod).unwrap(), &["tier".to_owned(), "team".to_owned()])
    }

    fn owned(kind: &str, name: &str, labels: Value) -> Identity {
        let owner =
            json!({"apiVersion": "apps/v1", "kind": kind, "name": name, "uid": "x", "controller": true});
        of(json!({"name": "p", "uid": "u", "labels": labels, "ownerReferences": [owner]}))
    }

    fn shown(identity: &Identity) -> String {
        identity.workload.as_ref().map_or("-".to_owned(), |Workload { kind, name }| format!("{kind}/{name}"))
    }

    #[test]
    fn a_deployment_is_told_by_the_templates_hash() {
        let hash = json!({"pod-template-hash": "6d4cf56db6"});
        assert_eq!(shown(&owned("ReplicaSet", "web-api-6d4cf56db6", hash.clone())), "Deployment/web-api");
        assert_eq!(shown(&owned("ReplicaSet", "web-other", hash)), "ReplicaSet/web-other");
        assert_eq!(shown(&owned("ReplicaSet", "web-6d4cf56db6", json!({}))), "ReplicaSet/web-6d4cf56db6");
        assert_eq!(shown(&owned("StatefulSet", "db", json!({}))), "StatefulSet/db");
        assert_eq!(shown(&of(json!({"name": "bare"}))), "-");
    }

    #[test]
    fn a_replica_set_is_told_whoever_made_it() {
        let hash = json!({"pod-template-hash": "6d4cf56db6"});
        assert_eq!(owned("ReplicaSet", "web-api-6d4cf56db6", hash).replica_set, "web-api-6d4cf56db6");
        assert_eq!(owned("StatefulSet", "db", json!({})).replica_set, "");
    }

    #[test]
    fn an_application_is_what_istio_takes_a_pod_for() {
        let named = |labels| {
            let Application { app, version, service, revision } =
                *of(json!({"name": "p", "labels": labels})).application.unwrap_or_default();
            [app, version, service, revision].join("|")
        };
        assert_eq!(named(json!({"app": "web", "version": "v1"})), "web|v1|web|v1");
        let labels =
            json!({"app": "web", "app.kubernetes.io/name": "shop", "app.kubernetes.io/version": "2.1"});
        assert_eq!(named(labels), "web||shop|2.1");
        assert_eq!(named(json!({"app": "web", "service.istio.io/canonical-name": "x"})), "web||x|");
        assert_eq!(named(json!({})), "|||");
    }

    #[test]
    fn labels_that_nobody_asked_for_are_left_out() {
        let identity = of(json!({"name": "p", "labels": {"tier": "front", "secret": "x"}}));
        assert_eq!(identity.labels, BTreeMap::from([("tier".to_owned(), "front".to_owned())]));
        assert_eq!((identity.node.as_str(), identity.service_name.as_str()), ("n1", "p"));
    }

    #[test]
    fn a_service_is_named_by_whoever_says_it_most_plainly() {
        let name = |metadata| of(metadata).service_name;
        let labels = json!({"app.kubernetes.io/instance": "shop-1", "app.kubernetes.io/name": "shop"});
        let annotations = json!({"resource.opentelemetry.io/service.name": "checkout"});
        assert_eq!(name(json!({"name": "p", "labels": labels, "annotations": annotations})), "checkout");
        assert_eq!(name(json!({"name": "p", "labels": labels})), "shop-1");
        assert_eq!(owned("DaemonSet", "logs", json!({})).service_name, "logs");
    }

    #[test]
    fn a_static_pod_has_the_uid_that_its_runtime_has() {
        let annotations = json!({"kubernetes.io/config.hash": "cafe", "kubernetes.io/config.mirror": "cafe"});
        assert_eq!(of(json!({"name": "p", "uid": "u", "annotations": annotations})).uid, "cafe");
    }
}

//! Who pods are, as the cluster says, and how it is about asking it.
use weft_core::{Identity, PodSnapshot, Snapshot};
use weft_kube::{Resource, Status};
use weft_metrics::exposition::{Kind, Page, Point};

use super::{count, labelled, labels_of};

pub(super) fn write(page: &mut Page<'_>, snapshot: &Snapshot, status: &Status) {
    let help = "Who a pod is: to be joined on k8s_namespace_name and k8s_pod_name";
    let mut family = page.family(&count("weft.pod", help, Kind::Info));
    let told = |pod: &PodSnapshot| Some((labels_of(pod), pod.identity.clone()?));
    // Of two of one name the one that lives.
    for (own, identity) in snapshot.pods.iter().filter(|pod| !pod.gone).filter_map(told) {
        let labels = labels(&identity);
        let labels: Vec<_> = labels.iter().map(|(name, value)| (name.as_str(), *value)).collect();
        family.value(&Point::of(&own, &labels), 1);
    }
    drop(family);
    watches(page, snapshot, status);
}

/// Under the conventions' names.
fn labels(identity: &Identity) -> Vec<(String, &str)> {
    let Identity { uid, node, workload, service_name, labels, replica_set: _, application: _ } = identity;
    let (kind, name) =
        workload.as_ref().map(|workload| (&*workload.kind, &*workload.name)).unwrap_or_default();
    let known = [
        ("k8s.pod.uid", uid.as_str()),
        ("k8s.node.name", node),
        ("k8s.workload.kind", kind),
        ("k8s.workload.name", name),
        ("service.name", service_name),
    ];
    let known = known.into_iter().filter(|(_, value)| !value.is_empty());
    let known = known.map(|(name, value)| (name.to_owned(), value));
    known.chain(labels.iter().map(|(key, value)| (label_name(key), value.as_str()))).collect()
}

/// `k8s.pod.label.<key>` as Prometheus writes it.
fn label_name(key: &str) -> String {
    let plain = |c: char| if c.is_ascii_alphanumeric() { c } else { '_' };
    format!("k8s.pod.label.{}", key.chars().map(plain).collect::<String>())
}

fn watches(page: &mut Page<'_>, snapshot: &Snapshot, status: &Status) {
    let resources = status.resources();
    let each = || Resource::ALL.iter().map(|resource| resource.name()).zip(&resources);
    let help = "1 where the resource was listed whole and is watched";
    let up = each().map(|(name, status)| (name, status.up.into()));
    labelled(page, &count("weft.kubernetes.watch_up", help, Kind::Gauge), "resource", up);
    let objects = each().map(|(name, status)| (name, status.objects));
    labelled(
        page,
        &count("weft.kubernetes.objects", "Objects that are known", Kind::Gauge),
        "resource",
        objects,
    );
    let help = "Answers of the API server that were errors, and connections that failed";
    let errors = each().map(|(name, status)| (name, status.errors));
    labelled(page, &count("weft.kubernetes.errors", help, Kind::Counter), "resource", errors);
    let (_, no_room) = status.addresses();
    let help = "Objects and addresses that found no room";
    let left_out = each().map(|(name, status)| (name, status.left_out)).chain([("addresses", no_room)]);
    labelled(page, &count("weft.kubernetes.left_out", help, Kind::Counter), "resource", left_out);
    let help = "Pods of which the cluster did not say in time who they are";
    page.family(&count("weft.kubernetes.missing_identities", help, Kind::Counter))
        .value(&Point::default(), snapshot.missing_identities);
}

//! What Grafana Beyla says of a pod with each of its series (its docs/sources/metrics.md and configure/, and pkg/export/prom):
//! the labels that dashboards of its select by. Of the series themselves see [`crate::requests`].
use weft_core::{Identity, Workload};

use crate::{
    PodLabels, Registry,
    exposition::{Family, Label, Point},
};

/// What is told of a pod; what is unknown is empty.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Service {
    labels: Vec<(&'static str, String)>,
}

impl Service {
    /// Of a pod, of which the cluster may have told.
    pub(crate) fn of(pod: &PodLabels, identity: Option<&Identity>) -> Self {
        let PodLabels { namespace, name, netns: _ } = pod;
        let unknown = Identity::default();
        let Identity { uid, node, workload, replica_set, service_name, .. } = identity.unwrap_or(&unknown);
        let service = if service_name.is_empty() { name } else { service_name };
        let joined = |by: &str, last: &str| match namespace.as_str() {
            "" => last.to_owned(),
            namespace => format!("{namespace}{by}{last}"),
        };
        let mut labels = vec![
            ("service.name", service.clone()),
            ("service.namespace", namespace.clone()),
            ("instance", joined(".", name)),
            ("job", joined("/", service)),
            ("k8s.pod.uid", uid.clone()),
            ("k8s.node.name", node.clone()),
        ];
        let kind = workload.as_ref().map_or("Pod", |workload| &workload.kind);
        let owner = workload.as_ref().map_or(name, |workload| &workload.name);
        if identity.is_some() {
            labels.extend([("k8s.kind", kind.to_owned()), ("k8s.owner.name", owner.clone())]);
        }
        labels.extend(workload.as_ref().and_then(Workload::key).map(|key| (key, owner.clone())));
        if kind != "ReplicaSet" {
            labels.push(("k8s.replicaset.name", replica_set.clone()));
        }
        labels.retain(|(_, value)| !value.is_empty());
        Self { labels }
    }

    pub(crate) fn labels(&self) -> impl Iterator<Item = Label<'_>> {
        self.labels.iter().map(|(name, value)| (*name, value.as_str()))
    }

    /// `service.name`, which Beyla gives as the address that a server was asked at.
    pub(crate) fn name(&self) -> &str {
        self.labels.first().map_or("", |(_, name)| name)
    }
}

/// What stands for the service in `target_info` and `traces_target_info`: a series for each pod that has requests.
pub fn write_targets(out: &mut Family<'_>, registry: &Registry) {
    for pod in registry.pods() {
        pod.show_pod(|netns, name, identity| {
            let pod = PodLabels::of(name, netns);
            let service = Service::of(&pod, identity);
            let mut labels: Vec<_> = service.labels().collect();
            labels.extend([("source", "weft"), ("telemetry.sdk.name", "weft"), ("os.type", "linux")]);
            out.value(&Point::of(&pod, &labels), 1);
        });
        out.rest();
    }
}

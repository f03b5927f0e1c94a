use crate::exposition::Label;

/// The labels of a pod. A netns that nobody named is told by its cookie, so that two of them never share a series.
#[derive(Clone, Debug)]
pub struct PodLabels {
    /// Its namespace; empty where nobody named it.
    pub namespace: String,
    /// Its name.
    pub name: String,
    /// Its netns cookie.
    pub netns: u64,
}

impl PodLabels {
    /// Of the pod with this netns cookie.
    pub fn new(namespace: &str, name: &str, netns: u64) -> Self {
        let name = if name.is_empty() { format!("netns-{netns}") } else { name.to_owned() };
        Self { namespace: namespace.to_owned(), name, netns }
    }

    /// The same of what is `namespace/name`, where anybody named it.
    pub(crate) fn of(pod: Option<&str>, netns: u64) -> Self {
        let (namespace, name) = pod.and_then(|pod| pod.split_once('/')).unwrap_or_default();
        Self::new(namespace, name, netns)
    }

    /// Under the conventions' names.
    pub fn labels(&self) -> [Label<'_>; 2] {
        [("k8s.namespace.name", &self.namespace), ("k8s.pod.name", &self.name)]
    }
}

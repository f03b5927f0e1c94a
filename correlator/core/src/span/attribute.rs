//! What is said of a span: keys of the semantic conventions, and `weft.*` for what they have none for.
use std::borrow::Cow;

/// The most bytes of a value that somebody else chose; what is longer is cut, and ends in [`CUT`].
pub const MAX_VALUE: usize = 1024;
/// What a value ends in that was cut.
pub const CUT: char = '\u{2026}';

/// A key and its value.
#[derive(Clone, Debug, PartialEq)]
pub struct Attribute {
    /// One of [`key`], or a label of the pod's behind [`key::K8S_POD_LABEL`].
    pub key: Cow<'static, str>,
    /// What it is.
    pub value: Value,
}

/// What an attribute can be.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Value {
    /// At most [`MAX_VALUE`] bytes, and [`CUT`].
    Text(Cow<'static, str>),
    /// Durations are in ns.
    Number(i64),
    /// True or false.
    Flag(bool),
    /// Several names.
    Names(Vec<&'static str>),
}

/// Every key that a span, its events and its resource may have.
#[expect(missing_docs, reason = "the conventions say what each means; weft's own are in docs/TRACES.md")]
pub mod key {
    pub const CLIENT_ADDRESS: &str = "client.address";
    pub const CLIENT_PORT: &str = "client.port";
    pub const ERROR_TYPE: &str = "error.type";
    pub const HTTP_REQUEST_BODY_SIZE: &str = "http.request.body.size";
    pub const HTTP_REQUEST_METHOD: &str = "http.request.method";
    pub const HTTP_REQUEST_METHOD_ORIGINAL: &str = "http.request.method_original";
    pub const HTTP_RESPONSE_BODY_SIZE: &str = "http.response.body.size";
    pub const HTTP_RESPONSE_STATUS_CODE: &str = "http.response.status_code";
    pub const HTTP_ROUTE: &str = "http.route";
    pub const K8S_CRONJOB_NAME: &str = "k8s.cronjob.name";
    pub const K8S_DAEMONSET_NAME: &str = "k8s.daemonset.name";
    pub const K8S_DEPLOYMENT_NAME: &str = "k8s.deployment.name";
    pub const K8S_JOB_NAME: &str = "k8s.job.name";
    pub const K8S_NAMESPACE_NAME: &str = "k8s.namespace.name";
    pub const K8S_NODE_NAME: &str = "k8s.node.name";
    /// Before the name of a label, which the key goes on with.
    pub const K8S_POD_LABEL: &str = "k8s.pod.label";
    pub const K8S_POD_NAME: &str = "k8s.pod.name";
    pub const K8S_POD_UID: &str = "k8s.pod.uid";
    pub const K8S_REPLICASET_NAME: &str = "k8s.replicaset.name";
    pub const K8S_STATEFULSET_NAME: &str = "k8s.statefulset.name";
    pub const NETWORK_PEER_ADDRESS: &str = "network.peer.address";
    pub const NETWORK_PEER_PORT: &str = "network.peer.port";
    pub const NETWORK_PROTOCOL_VERSION: &str = "network.protocol.version";
    pub const RPC_METHOD: &str = "rpc.method";
    pub const RPC_METHOD_ORIGINAL: &str = "rpc.method_original";
    pub const RPC_RESPONSE_STATUS_CODE: &str = "rpc.response.status_code";
    pub const RPC_SYSTEM_NAME: &str = "rpc.system.name";
    pub const SERVER_ADDRESS: &str = "server.address";
    pub const SERVER_PORT: &str = "server.port";
    pub const SERVICE_NAME: &str = "service.name";
    pub const SERVICE_NAMESPACE: &str = "service.namespace";
    pub const URL_FULL: &str = "url.full";
    pub const URL_PATH: &str = "url.path";
    pub const URL_QUERY: &str = "url.query";
    pub const URL_SCHEME: &str = "url.scheme";
    pub const URL_TEMPLATE: &str = "url.template";
    pub const WEFT_ANOMALIES: &str = "weft.anomalies";
    pub const WEFT_BLOCKED: &str = "weft.flow_control.blocked";
    pub const WEFT_COMPLETE: &str = "weft.complete";
    pub const WEFT_EVIDENCE: &str = "weft.evidence";
    pub const WEFT_MESSAGE: &str = "weft.message";
    pub const WEFT_PEER_NETWORK: &str = "weft.peer.network";
    pub const WEFT_PEER_POD: &str = "weft.peer.pod";
    pub const WEFT_PEER_SERVICE: &str = "weft.peer.service";
}

/// Attributes as they are collected, and how many of their values had to be cut.
#[derive(Debug, Default)]
pub(super) struct Attributes {
    pub(super) list: Vec<Attribute>,
    pub(super) cut: u32,
}

impl Attributes {
    /// For a span: as many as most have.
    pub(super) fn new() -> Self {
        Self { list: Vec::with_capacity(24), cut: 0 }
    }

    pub(super) fn name(&mut self, key: &'static str, value: &'static str) {
        self.list.push(Attribute { key: key.into(), value: Value::Text(Cow::Borrowed(value)) });
    }

    /// What somebody else chose; an empty one says nothing.
    pub(super) fn text(&mut self, key: &'static str, value: &str) {
        if !value.is_empty() {
            let (text, cut) = cut(value);
            self.cut += u32::from(cut);
            self.list.push(Attribute { key: key.into(), value: Value::Text(Cow::Owned(text)) });
        }
    }

    pub(super) fn display(&mut self, key: &'static str, value: &impl std::fmt::Display) {
        self.list.push(Attribute { key: key.into(), value: Value::Text(Cow::Owned(value.to_string())) });
    }

    pub(super) fn number(&mut self, key: &'static str, value: u64) {
        let value = i64::try_from(value).unwrap_or(i64::MAX);
        self.list.push(Attribute { key: key.into(), value: Value::Number(value) });
    }

    /// The label `name` of a pod.
    pub(super) fn label(&mut self, name: &str, value: &str) {
        let (name, value) = (cut(name).0, cut(value).0);
        let key = format!("{}.{name}", key::K8S_POD_LABEL).into();
        self.list.push(Attribute { key, value: Value::Text(value.into()) });
    }

    pub(super) fn push(&mut self, key: &'static str, value: Value) {
        self.list.push(Attribute { key: key.into(), value });
    }
}

/// A value as it may be shown, and whether it had to be cut.
pub(super) fn cut(text: &str) -> (String, bool) {
    if text.len() <= MAX_VALUE {
        return (text.to_owned(), false);
    }
    let mut cut = text[..text.floor_char_boundary(MAX_VALUE)].to_owned();
    cut.push(CUT);
    (cut, true)
}

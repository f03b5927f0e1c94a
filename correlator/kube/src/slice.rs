//! What an EndpointSlice says of addresses.
use std::net::IpAddr;

use k8s_openapi::api::{core::v1::ObjectReference, discovery::v1::EndpointSlice};
use weft_core::Peer;

/// The pods behind it. Endpoints that are no pods (written by hand, the API server's) say of nobody who he is, and neither do
/// pods of other namespaces than the slice's: who may write in one has no say in another.
pub fn addresses(slice: &EndpointSlice) -> Vec<(IpAddr, Peer)> {
    let Some(namespace) = &slice.metadata.namespace else { return Vec::new() };
    let mut all = Vec::new();
    for endpoint in slice.endpoints.iter() {
        let is_own = |target: &&ObjectReference| {
            target.kind.as_deref() == Some("Pod")
                && target.namespace.as_ref().is_none_or(|of_target| of_target == namespace)
        };
        let target = endpoint.target_ref.as_ref().filter(is_own);
        let Some(name) = target.and_then(|target| target.name.clone()) else { continue };
        let peer = Peer::Pod { namespace: namespace.clone(), name };
        all.extend(endpoint.addresses.iter().filter_map(|ip| Some((ip.parse().ok()?, peer.clone()))));
    }
    all
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn pods_are_named_and_nothing_else_is() {
        let pod = json!({"kind": "Pod", "namespace": "shop", "name": "orders-1"});
        let slice = json!({"addressType": "IPv4", "metadata": {"namespace": "shop", "name": "orders-x"}, "endpoints": [
            {"addresses": ["10.1.0.5"], "targetRef": pod},
            {"addresses": ["10.9.9.9"]},
            {"addresses": ["10.9.9.8"], "targetRef": {"kind": "Node", "name": "n"}},
            {"addresses": ["10.1.0.6"], "targetRef": {"kind": "Pod", "namespace": "kube-system", "name": "dns"}},
        ]});
        let found = addresses(&serde_json::from_value(slice).unwrap());
        let peer = Peer::Pod { namespace: "shop".into(), name: "orders-1".into() };
        assert_eq!(found, [("10.1.0.5".parse().unwrap(), peer)]);
    }
}

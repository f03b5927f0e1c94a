//! What an EndpointSlice says of addresses.
use std::net::IpAddr;

use k8s_openapi::api::discovery::v1::EndpointSlice;
use weft_core::Peer;

/// The pods behind it. Endpoints that are no pods (written by hand, the API server's) say of nobody who he is.
pub fn addresses(slice: &EndpointSlice) -> Vec<(IpAddr, Peer)> {
    let mut all = Vec::new();
    for endpoint in slice.endpoints.iter() {
        let Some(target) =
            endpoint.target_ref.as_ref().filter(|target| target.kind.as_deref() == Some("Pod"))
        else {
            continue;
        };
        let namespace = target.namespace.as_ref().or(slice.metadata.namespace.as_ref());
        let (Some(namespace), Some(name)) = (namespace, &target.name) else { continue };
        let peer = Peer::Pod { namespace: namespace.clone(), name: name.clone() };
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
        ]});
        let found = addresses(&serde_json::from_value(slice).unwrap());
        let peer = Peer::Pod { namespace: "shop".into(), name: "orders-1".into() };
        assert_eq!(found, [("10.1.0.5".parse().unwrap(), peer)]);
    }
}

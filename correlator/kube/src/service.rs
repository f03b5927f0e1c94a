//! What a service's object says of addresses.
use std::net::IpAddr;

use k8s_openapi::api::core::v1::Service;
use weft_core::Peer;

/// The service's cluster addresses, which stand for it and nobody else. (External addresses and balancers' may be nodes' own.) A
/// headless one has none.
pub fn addresses(service: &Service) -> Vec<(IpAddr, Peer)> {
    let Some(spec) = &service.spec else { return Vec::new() };
    let cluster = spec.cluster_ips.iter().flatten().chain(&spec.cluster_ip);
    let name = |of: &Option<String>| of.clone().unwrap_or_default();
    let peer =
        Peer::Service { namespace: name(&service.metadata.namespace), name: name(&service.metadata.name) };
    // `None` is what a headless service has for one.
    let mut all: Vec<IpAddr> = cluster.filter_map(|ip| ip.parse().ok()).collect();
    all.sort_unstable();
    all.dedup();
    all.into_iter().map(|address| (address, peer.clone())).collect()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn both_families_and_nothing_that_a_node_may_have() {
        let service = json!({
            "metadata": {"namespace": "shop", "name": "orders"},
            "spec": {"clusterIP": "10.96.0.20", "clusterIPs": ["10.96.0.20", "fd00::20"], "externalIPs": ["192.0.2.9"]},
            "status": {"loadBalancer": {"ingress": [{"ip": "198.51.100.7"}, {"hostname": "x.example"}]}},
        });
        let found = addresses(&serde_json::from_value(service).unwrap());
        let expected = ["10.96.0.20", "fd00::20"];
        assert_eq!(found.iter().map(|(address, _)| address.to_string()).collect::<Vec<_>>(), expected);
        assert!(
            found
                .iter()
                .all(|(_, peer)| *peer == Peer::Service { namespace: "shop".into(), name: "orders".into() })
        );
    }

    #[test]
    fn a_headless_service_has_no_address() {
        let service =
            json!({"metadata": {"name": "db"}, "spec": {"clusterIP": "None", "clusterIPs": ["None"]}});
        assert_eq!(addresses(&serde_json::from_value(service).unwrap()), []);
    }
}

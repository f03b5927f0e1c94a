//! What the interface plugin before us said: the only part of prevResult that is looked into.
use std::net::IpAddr;

use serde::Deserialize;

/// A record keeps the first ones; a pod has one or two.
const MAX_ADDRESSES: usize = 64;

/// CNI 1.1.0, "ADD Success"; what has another form is not read.
#[derive(Default, Deserialize)]
#[serde(default)]
struct Result {
    interfaces: Vec<Interface>,
    ips: Vec<Ip>,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct Interface {
    sandbox: Option<String>,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct Ip {
    address: String,
    interface: Option<usize>,
}

/// The pod's addresses: those on an interface in a sandbox, or on none that is named.
pub(crate) fn addresses(prev_result: &str) -> Vec<IpAddr> {
    let result: Result = serde_json::from_str(prev_result).unwrap_or_default();
    let in_pod = |index: usize| {
        let interface = result.interfaces.get(index);
        interface.is_none_or(|interface| interface.sandbox.as_deref().is_some_and(|path| !path.is_empty()))
    };
    result
        .ips
        .iter()
        .filter(|ip| ip.interface.is_none_or(in_pod))
        .filter_map(|ip| ip.address.split('/').next()?.parse().ok())
        .take(MAX_ADDRESSES)
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_of_the_pod_in_both_families() {
        let bridge = r#"{"cniVersion":"1.0.0","interfaces":[{"name":"cni0"},{"name":"veth1","mac":"x"},
            {"name":"eth0","sandbox":"/run/netns/p"}],
            "ips":[{"address":"10.1.0.5/24","gateway":"10.1.0.1","interface":2},{"address":"fd00::5/64","interface":2},
                   {"address":"10.1.0.1/24","interface":0}]}"#;
        assert_eq!(addresses(bridge), ["10.1.0.5", "fd00::5"].map(|ip| ip.parse::<IpAddr>().unwrap()));
    }

    #[test]
    fn an_address_without_an_interface_is_the_pods() {
        assert_eq!(addresses(r#"{"ips":[{"version":"4","address":"10.1.0.5/24"}]}"#).len(), 1);
    }

    #[test]
    fn other_forms_are_not_read() {
        for odd in ["{}", r#"{"ips":7}"#, r#"{"ips":[{"address":"x/24"}]}"#, r#"{"ips":[{"interface":-1}]}"#]
        {
            assert!(addresses(odd).is_empty(), "{odd}");
        }
    }
}

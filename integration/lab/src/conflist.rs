//! The network configuration list that a lab gives to libcni.

use std::path::{Path, PathBuf};

use serde_json::{Map, Value, json};

use crate::registry::Claim;

/// The chained plugin: where its binary is and what its conflist entry says besides `type`, `bpffs` and
/// `stateDir`, which are the lab's own.
#[derive(Clone, Debug, Default)]
pub struct WeftCni {
    /// The binary, named `weft-cni`.
    pub binary: PathBuf,
    /// Further keys, such as `failurePolicy`; they win over the lab's own.
    pub keys: Map<String, Value>,
}

/// The list: bridge with host-local in both families, and weft-cni behind it where asked for.
pub(crate) fn document(
    claim: &Claim,
    cni_version: &str,
    ipam_dir: &Path,
    weft_cni: Option<(&WeftCni, &Path, &Path)>,
) -> Value {
    let mut plugins = vec![bridge(claim, ipam_dir)];
    if let Some((plugin, bpffs, state_dir)) = weft_cni {
        let mut entry = Map::new();
        entry.insert("type".to_owned(), json!("weft-cni"));
        entry.insert("bpffs".to_owned(), json!(bpffs));
        entry.insert("stateDir".to_owned(), json!(state_dir));
        entry.extend(plugin.keys.clone());
        plugins.push(Value::Object(entry));
    }
    json!({"cniVersion": cni_version, "name": claim.id, "plugins": plugins})
}

fn bridge(claim: &Claim, ipam_dir: &Path) -> Value {
    let v4 = format!("{}/24", claim.subnet.v4);
    let v6 = format!("{}/64", claim.subnet.v6);
    json!({
        "type": "bridge",
        "bridge": claim.id,
        "isGateway": true,
        "ipMasq": false,
        "ipam": {"type": "host-local", "dataDir": ipam_dir, "ranges": [[{"subnet": v4}], [{"subnet": v6}]]},
    })
}

#[cfg(test)]
mod tests {
    use std::net::{Ipv4Addr, Ipv6Addr};

    use super::*;
    use crate::subnet::Subnet;

    #[test]
    fn the_plugin_is_chained_last_and_its_own_keys_win() {
        let subnet =
            Subnet { v4: Ipv4Addr::new(10, 64, 1, 0), v6: Ipv6Addr::new(0xfd77, 0, 0, 1, 0, 0, 0, 0) };
        let claim = Claim { id: "wl01234567".to_owned(), subnet, dir: PathBuf::from("/lab") };
        let keys = Map::from_iter([
            ("failurePolicy".to_owned(), json!("Fail")),
            ("bpffs".to_owned(), json!("/elsewhere")),
        ]);
        let plugin = WeftCni { binary: PathBuf::from("/bin/weft-cni"), keys };
        let paths = (&plugin, Path::new("/lab/bpf"), Path::new("/lab/state"));
        let list = document(&claim, "1.0.0", Path::new("/lab/ipam"), Some(paths));
        assert_eq!(list["cniVersion"], "1.0.0");
        assert_eq!(list["plugins"][0]["ipam"]["ranges"][0][0]["subnet"], "10.64.1.0/24");
        assert_eq!(list["plugins"][0]["ipam"]["ranges"][1][0]["subnet"], "fd77:0:0:1::/64");
        let entry = json!({
            "type": "weft-cni", "bpffs": "/elsewhere", "stateDir": "/lab/state", "failurePolicy": "Fail",
        });
        assert_eq!(list["plugins"][1], entry);
    }
}

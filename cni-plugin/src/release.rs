//! What ADD did, undone. The map's entries stay: the agent reads their last counters, then removes them.
use weft_loader::{
    Device, Pins, detach,
    state::{PodRecord, StateDir},
};

use crate::{config::Config, error::chain, pod::Pod};

/// Where the programs may sit: the pod, and its device on the host.
struct Place {
    cookie: u64,
    device: Device,
}

/// Unpins the links and removes the record; each is tried whatever came of the other. `seen` is what the netns
/// shows now. Says what could not be done.
pub(crate) fn release(config: &Config, record: &PodRecord, seen: &Pod) -> Vec<String> {
    let mut failed = Vec::new();
    if let Some(Place { cookie, device }) = place(record, seen) {
        failed.extend(detach(&Pins::new(&config.bpffs), &device, cookie).err());
    }
    let state = StateDir::new(&config.state_dir);
    failed.extend(state.remove(&record.container_id, &record.interface).err());
    failed.iter().map(|error| chain(error)).collect()
}

/// The record is right about which pod it was, even where CNI_NETNS leads to another one by now. The device's name
/// matters to the filters of a clsact qdisc only, and those are gone with the device: it is named where the netns
/// still leads to it, because its index may be another device's by now.
fn place(record: &PodRecord, seen: &Pod) -> Option<Place> {
    let cookie = record.netns_cookie.or(seen.cookie)?;
    let here = seen.device.as_ref().filter(|_| seen.cookie == Some(cookie));
    let ifindex = record.host_ifindex.or(here.map(|device| device.ifindex))?;
    let name = here.filter(|device| device.ifindex == ifindex).map(|device| device.name.clone());
    Some(Place { cookie, device: Device { name: name.unwrap_or_default(), ifindex } })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn recorded(cookie: Option<u64>, host_ifindex: Option<u32>) -> PodRecord {
        PodRecord { netns_cookie: cookie, host_ifindex, ..PodRecord::default() }
    }

    fn seen(cookie: u64, ifindex: u32) -> Pod {
        Pod { cookie: Some(cookie), device: Some(Device { name: "veth1".into(), ifindex }), inode: None }
    }

    fn found(record: &PodRecord, seen: &Pod) -> Option<(u64, u32, String)> {
        place(record, seen).map(|Place { cookie, device }| (cookie, device.ifindex, device.name))
    }

    #[test]
    fn the_record_alone_is_enough() {
        assert_eq!(found(&recorded(Some(7), Some(3)), &Pod::default()), Some((7, 3, String::new())));
    }

    #[test]
    fn the_netns_alone_is_enough() {
        assert_eq!(found(&recorded(None, None), &seen(7, 3)), Some((7, 3, "veth1".into())));
    }

    #[test]
    fn a_netns_path_that_leads_to_another_pod_by_now_is_not_believed() {
        assert_eq!(found(&recorded(Some(7), Some(3)), &seen(8, 4)), Some((7, 3, String::new())));
        assert_eq!(found(&recorded(Some(7), None), &seen(8, 4)), None);
    }

    #[test]
    fn who_knows_nothing_undoes_nothing() {
        assert_eq!(found(&recorded(None, None), &Pod::default()), None);
    }
}

//! A pod's interface, seen from inside its netns.
use std::path::Path;

use weft_loader::{
    Device, Result,
    netns::{Netns, current_cookie},
};

use crate::missed::Missed;

/// What can be known of an interface. Absent: it could not be found out.
#[derive(Debug, Default)]
pub(crate) struct Pod {
    /// Inode number of its netns.
    pub(crate) inode: Option<u64>,
    /// Cookie of its netns.
    pub(crate) cookie: Option<u64>,
    /// The device on the host that its packets pass.
    pub(crate) device: Option<Device>,
}

/// Looks into the netns; says too what could not be found out.
pub(crate) fn look(netns: &Path, interface: &str) -> (Pod, Option<Missed>) {
    let netns = match Netns::open(netns) {
        Ok(netns) => netns,
        Err(error) => return (Pod::default(), Some(Missed::Netns(error))),
    };
    let inode = netns.inode().ok();
    match cookie_and_device(&netns, interface) {
        // Entered into the map, it would make every socket of the host a pod's.
        Ok((cookie, _)) if current_cookie().is_ok_and(|host| host == cookie) => {
            (Pod::default(), Some(Missed::HostNetns))
        }
        Ok((cookie, Ok(device))) => (Pod { inode, cookie: Some(cookie), device: Some(device) }, None),
        Ok((cookie, Err(error))) => {
            (Pod { inode, cookie: Some(cookie), device: None }, Some(Missed::Interface(error)))
        }
        Err(error) => (Pod { inode, ..Pod::default() }, Some(Missed::Netns(error))),
    }
}

/// The netns is entered twice only where there is no such interface.
fn cookie_and_device(netns: &Netns, interface: &str) -> Result<(u64, Result<Device>)> {
    match netns.pod_link(interface) {
        Ok(link) => Ok((link.netns, link.host_device())),
        Err(error) => Ok((netns.cookie()?, Err(error))),
    }
}

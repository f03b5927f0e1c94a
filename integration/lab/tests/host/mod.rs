//! What the kernel says is attached to a pod, asked past the code under test where that matters.

use std::time::Duration;

use anyhow::Result;
use aya::programs::{ProgramInfo, SchedClassifier, TcAttachType};
use weft_lab::Pod;
use weft_loader::{Device, Pins, netlink};

/// How long something may take that happens by itself. No test fails for being slow before that.
pub const PATIENCE: Duration = Duration::from_secs(60);

/// Directions of a device with the program that sits there.
const DIRECTIONS: [(TcAttachType, &str); 2] =
    [(TcAttachType::Ingress, "tc_ingress"), (TcAttachType::Egress, "tc_egress")];

/// The loader's own filters, by priority and handle (`tc-probes/loader`, attach.rs): "weft" in ASCII.
const FILTER: (u16, u32) = (50, 0x7765_6674);

/// The host's side of the pod's veth pair.
pub fn device(pod: &Pod) -> Result<Device> {
    Ok(netlink::link_by_name(pod.host_veth())?.device())
}

/// How often the pinned programs sit on a device, `[ingress, egress]`: as TCX or as filters.
pub fn instances(pins: &Pins, device: &Device) -> Result<[usize; 2]> {
    let mut count = [0; 2];
    for (count, (direction, name)) in count.iter_mut().zip(DIRECTIONS) {
        let ours = ProgramInfo::from_pin(pins.program(name))?.id();
        let (_, there) = SchedClassifier::query_tcx(&device.name, direction)?;
        let filters = netlink::filters(device.ifindex, direction == TcAttachType::Ingress)?;
        *count = there.iter().filter(|program| program.id() == ours).count()
            + filters.iter().filter(|filter| **filter == FILTER).count();
    }
    Ok(count)
}

use aya_ebpf::helpers::bpf_ktime_get_ns;
use weft_abi::{CONTROL_FILTER_PORTS, Control, Header, VANTAGE_SOCKETS, Vantage, VantageKey};

use crate::{
    kernel,
    maps::{CONTROL, VANTAGES},
};

/// The interface index in the key of a pod's sockets.
pub const SOCKETS: u32 = 0;

/// The pod's entry, or nothing when the device or socket is no pod's.
#[inline(always)]
pub fn find(netns: u64, ifindex: u32) -> Option<*mut Vantage> {
    VANTAGES.get_ptr_mut(&VantageKey { netns, ifindex, pad: 0 })
}

/// `LOOPBACK_IFINDEX` (include/net/flow.h): every netns has one of this index, and no other device has it.
const LOOPBACK: u32 = 1;

/// The entry of a packet's device. Which netns a device is in takes three reads of the kernel's memory. All pods' devices but
/// loopback are in the netns that the programs were loaded from, so their index alone tells them.
#[inline(always)]
pub fn of_device(skb: *const u8, ifindex: u32) -> Option<*mut Vantage> {
    if ifindex != LOOPBACK
        && let Some(vantage) = find(kernel::devices_netns(), ifindex)
    {
        return Some(vantage);
    }
    of_device_anywhere(skb, ifindex)
}

/// The same for a device of any netns. In that from which the programs were loaded it is asked once a CPU: from then on the device
/// is known by its address. Another device of the same index is another address, and one that was moved to another netns with its
/// index is still the same pod's.
#[inline(always)]
fn of_device_anywhere(skb: *const u8, ifindex: u32) -> Option<*mut Vantage> {
    let device = kernel::device(skb)?;
    let usual = kernel::devices_netns();
    if let Some(vantage) = find(usual, ifindex) {
        // SAFETY: the map's lookup gave a valid pointer to this CPU's value.
        if unsafe { (*vantage).device } == device {
            return Some(vantage);
        }
    }
    let netns = kernel::device_netns(device)?;
    let vantage = find(netns, ifindex)?;
    if netns == usual {
        // SAFETY: as above.
        unsafe { (*vantage).device = device }
    }
    Some(vantage)
}

/// What the agent said, read once a run: the bank that a segment is counted in must be the bank in its record.
pub struct Word {
    pub now: u64,
    pub alive: bool,
    pub bank: u8,
    pub filter_ports: bool,
    pub max_capture: u32,
}

#[inline(always)]
pub fn word() -> Option<Word> {
    let control: &Control = CONTROL.get(0)?;
    // SAFETY: no memory is touched.
    let now = unsafe { bpf_ktime_get_ns() };
    Some(Word {
        now,
        alive: now < control.alive_until,
        bank: (control.generation & 1) as u8,
        filter_ports: control.flags & CONTROL_FILTER_PORTS != 0,
        max_capture: control.max_capture,
    })
}

#[inline(always)]
pub fn header(kind: u8, detail: u8, vantage: *mut Vantage, ifindex: u32, word: &Word) -> Header {
    // SAFETY: `vantage` came from the map's lookup.
    let (netns, vantage_kind) = unsafe { ((*vantage).netns, (*vantage).kind as u8) };
    Header { kind, detail, vantage: vantage_kind, bank: word.bank, ifindex, time: word.now, netns }
}

/// The header of what a pod's sockets and processes do.
#[inline(always)]
pub fn sockets_header(kind: u8, detail: u8, netns: u64, word: &Word) -> Header {
    let (vantage, ifindex) = (VANTAGE_SOCKETS, SOCKETS);
    Header { kind, detail, vantage, bank: word.bank, ifindex, time: word.now, netns }
}

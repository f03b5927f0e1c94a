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
fn find(netns: u64, ifindex: u32) -> Option<*mut Vantage> {
    VANTAGES.get_ptr_mut(&VantageKey { netns, ifindex, pad: 0 })
}

/// The entry of a pod's sockets.
#[inline(always)]
pub fn of_sockets(netns: u64) -> Option<*mut Vantage> {
    if is_hosts(netns) { None } else { find(netns, SOCKETS) }
}

/// Most sockets that are no pod's are the host's: those are told without looking.
#[inline(always)]
pub fn is_hosts(netns: u64) -> bool {
    netns == kernel::devices_netns()
}

/// `LOOPBACK_IFINDEX` (include/net/flow.h): every netns has one of this index, and no other device has it.
const LOOPBACK: u32 = 1;

/// The entry of a packet's device. Which netns a device is in takes three reads of the kernel's memory: all pods' devices but
/// loopback are in the host's, so their index alone tells them.
#[inline(always)]
pub fn of_device(skb: *const u8, ifindex: u32) -> Option<*mut Vantage> {
    if ifindex != LOOPBACK
        && let Some(vantage) = find(kernel::devices_netns(), ifindex)
    {
        return Some(vantage);
    }
    find(kernel::device_netns(skb)?, ifindex)
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

//! The few rtnetlink requests that need no runtime: links and qdiscs of the calling thread's netns, over a
//! blocking socket.
use std::io;

use netlink_packet_core::{
    NLM_F_ACK, NLM_F_CREATE, NLM_F_DUMP, NLM_F_EXCL, NLM_F_REQUEST, NetlinkMessage, NetlinkPayload,
};
use netlink_packet_route::{
    RouteNetlinkMessage,
    link::{InfoKind, LinkAttribute, LinkInfo, LinkMessage},
    tc::{TcAttribute, TcHandle, TcMessage},
};
use netlink_sys::{Socket, SocketAddr, protocols::NETLINK_ROUTE};

use crate::{
    Device,
    error::{LoaderError, Result},
};

const CLSACT: &str = "clsact";
const EEXIST: i32 = 17;

/// A network device.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Link {
    /// Interface index in its own netns.
    pub ifindex: u32,
    /// Name.
    pub name: String,
    /// Whether it is one end of a veth pair.
    pub veth: bool,
    /// IFLA_LINK: of a veth, the interface index of the other end, in the other end's netns.
    pub peer: Option<u32>,
    /// IFLA_LINK_NETNSID: present when the other end is in another netns.
    pub peer_netns_id: Option<i32>,
}

impl Link {
    /// The link as something to attach to.
    pub fn device(&self) -> Device {
        Device { name: self.name.clone(), ifindex: self.ifindex }
    }
}

/// All devices of the calling thread's netns.
///
/// # Errors
/// When the kernel refuses, or answers nonsense.
pub fn links() -> Result<Vec<Link>> {
    let request = RouteNetlinkMessage::GetLink(LinkMessage::default());
    let answers = talk("RTM_GETLINK", request, NLM_F_REQUEST | NLM_F_DUMP)?;
    Ok(answers.into_iter().filter_map(as_link).collect())
}

/// The device of this name in the calling thread's netns.
///
/// # Errors
/// When there is none, or the kernel refuses.
pub fn link_by_name(name: &str) -> Result<Link> {
    let mut message = LinkMessage::default();
    message.attributes.push(LinkAttribute::IfName(name.into()));
    one_link(message)
}

/// The device of this interface index in the calling thread's netns.
///
/// # Errors
/// When there is none, or the kernel refuses.
pub fn link_by_index(ifindex: u32) -> Result<Link> {
    let mut message = LinkMessage::default();
    message.header.index = ifindex;
    one_link(message)
}

/// Whether a clsact qdisc sits on the device.
///
/// # Errors
/// When the kernel refuses.
pub fn has_clsact(ifindex: u32) -> Result<bool> {
    let mut message = TcMessage::default();
    message.header.index = ifindex.cast_signed();
    let answers =
        talk("RTM_GETQDISC", RouteNetlinkMessage::GetQueueDiscipline(message), NLM_F_REQUEST | NLM_F_DUMP)?;
    Ok(answers.into_iter().any(|answer| is_clsact(&answer, ifindex)))
}

/// Priority and handle of every filter in one direction of a device's clsact qdisc.
///
/// # Errors
/// When the kernel refuses.
pub fn filters(ifindex: u32, ingress: bool) -> Result<Vec<(u16, u32)>> {
    let mut message = TcMessage::default();
    message.header.index = ifindex.cast_signed();
    // TC_H_MIN_INGRESS and TC_H_MIN_EGRESS, include/uapi/linux/pkt_sched.h.
    message.header.parent = TcHandle { major: 0xffff, minor: if ingress { 0xfff2 } else { 0xfff3 } };
    let answers =
        talk("RTM_GETTFILTER", RouteNetlinkMessage::GetTrafficFilter(message), NLM_F_REQUEST | NLM_F_DUMP)?;
    Ok(answers.iter().filter_map(priority_and_handle).collect())
}

/// `tcm_info` holds the priority above the protocol (include/uapi/linux/pkt_sched.h, TC_H_MAJ).
fn priority_and_handle(answer: &RouteNetlinkMessage) -> Option<(u16, u32)> {
    let RouteNetlinkMessage::NewTrafficFilter(message) = answer else { return None };
    Some(((message.header.info >> 16) as u16, message.header.handle.into()))
}

/// Adds a clsact qdisc where there is none.
///
/// # Errors
/// [`LoaderError::ClsactTaken`] when another ingress qdisc is there.
pub fn ensure_clsact(device: &Device) -> Result<()> {
    if has_clsact(device.ifindex)? {
        return Ok(());
    }
    let mut message = TcMessage::default();
    message.header.index = device.ifindex.cast_signed();
    message.header.parent = TcHandle::CLSACT;
    message.header.handle = TcHandle { major: 0xffff, minor: 0 };
    message.attributes.push(TcAttribute::Kind(CLSACT.into()));
    let flags = NLM_F_REQUEST | NLM_F_ACK | NLM_F_CREATE | NLM_F_EXCL;
    match talk("RTM_NEWQDISC", RouteNetlinkMessage::NewQueueDiscipline(message), flags) {
        Ok(_) => Ok(()),
        // Either someone added one just now, or an ingress qdisc has the place.
        Err(LoaderError::Netlink { source, .. }) if source.raw_os_error() == Some(EEXIST) => {
            if has_clsact(device.ifindex)? { Ok(()) } else { Err(taken(device)) }
        }
        Err(error) if has_ingress(device.ifindex) => {
            tracing::debug!(%error, "clsact refused");
            Err(taken(device))
        }
        Err(error) => Err(error),
    }
}

fn taken(device: &Device) -> LoaderError {
    LoaderError::ClsactTaken { device: device.name.clone() }
}

fn has_ingress(ifindex: u32) -> bool {
    let mut message = TcMessage::default();
    message.header.index = ifindex.cast_signed();
    talk("RTM_GETQDISC", RouteNetlinkMessage::GetQueueDiscipline(message), NLM_F_REQUEST | NLM_F_DUMP)
        .is_ok_and(|answers| answers.iter().any(|answer| qdisc_kind(answer, ifindex) == Some("ingress")))
}

fn one_link(message: LinkMessage) -> Result<Link> {
    let answers = talk("RTM_GETLINK", RouteNetlinkMessage::GetLink(message), NLM_F_REQUEST)?;
    answers.into_iter().find_map(as_link).ok_or_else(|| LoaderError::Netlink {
        request: "RTM_GETLINK",
        source: io::Error::from(io::ErrorKind::NotFound),
    })
}

fn as_link(answer: RouteNetlinkMessage) -> Option<Link> {
    let RouteNetlinkMessage::NewLink(message) = answer else { return None };
    let mut link = Link {
        ifindex: message.header.index,
        name: String::new(),
        veth: false,
        peer: None,
        peer_netns_id: None,
    };
    for attribute in message.attributes {
        match attribute {
            LinkAttribute::IfName(name) => link.name = name,
            LinkAttribute::Link(peer) => link.peer = Some(peer),
            LinkAttribute::LinkNetNsId(id) => link.peer_netns_id = Some(id),
            LinkAttribute::LinkInfo(infos) => link.veth = infos.contains(&LinkInfo::Kind(InfoKind::Veth)),
            _ => {}
        }
    }
    Some(link)
}

fn is_clsact(answer: &RouteNetlinkMessage, ifindex: u32) -> bool {
    qdisc_kind(answer, ifindex) == Some(CLSACT)
}

fn qdisc_kind(answer: &RouteNetlinkMessage, ifindex: u32) -> Option<&str> {
    let RouteNetlinkMessage::NewQueueDiscipline(message) = answer else { return None };
    if message.header.index != ifindex.cast_signed() {
        return None;
    }
    message.attributes.iter().find_map(|attribute| match attribute {
        TcAttribute::Kind(kind) => Some(kind.as_str()),
        _ => None,
    })
}

/// One request and all its answers.
fn talk(request: &'static str, message: RouteNetlinkMessage, flags: u16) -> Result<Vec<RouteNetlinkMessage>> {
    exchange(message, flags).map_err(|source| LoaderError::Netlink { request, source })
}

fn exchange(message: RouteNetlinkMessage, flags: u16) -> io::Result<Vec<RouteNetlinkMessage>> {
    let mut socket = Socket::new(NETLINK_ROUTE)?;
    socket.bind_auto()?;
    socket.connect(&SocketAddr::new(0, 0))?;
    let mut packet = NetlinkMessage::from(message);
    packet.header.flags = flags;
    packet.header.sequence_number = 1;
    packet.finalize();
    let mut bytes = vec![0; packet.buffer_len()];
    packet.serialize(&mut bytes);
    socket.send(&bytes, 0)?;
    receive(&socket, flags & NLM_F_DUMP != 0)
}

/// Reads until the dump is done, or the one answer or acknowledgement is there.
fn receive(socket: &Socket, dump: bool) -> io::Result<Vec<RouteNetlinkMessage>> {
    let mut answers = Vec::new();
    loop {
        let (bytes, _) = socket.recv_from_full()?;
        let mut rest = bytes.as_slice();
        while !rest.is_empty() {
            let message = NetlinkMessage::<RouteNetlinkMessage>::deserialize(rest)
                .map_err(|error| io::Error::new(io::ErrorKind::InvalidData, error.to_string()))?;
            // Messages are aligned to 4 bytes (netlink(7)).
            let len = (message.header.length as usize).next_multiple_of(4).clamp(1, rest.len());
            match message.payload {
                NetlinkPayload::Done(_) => return Ok(answers),
                NetlinkPayload::Error(error) => {
                    return error.code.map_or_else(|| Ok(answers), |_| Err(error.to_io()));
                }
                NetlinkPayload::InnerMessage(answer) => answers.push(answer),
                _ => {}
            }
            rest = rest.get(len..).unwrap_or_default();
        }
        if !dump && !answers.is_empty() {
            return Ok(answers);
        }
    }
}

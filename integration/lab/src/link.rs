//! The few rtnetlink requests that a lab needs. All of them act in the calling thread's namespace.

use anyhow::{Context, Result, bail};
use netlink_packet_core::{NLM_F_ACK, NLM_F_REQUEST, NetlinkHeader, NetlinkMessage, NetlinkPayload};
use netlink_packet_route::RouteNetlinkMessage;
use netlink_packet_route::link::{LinkAttribute, LinkFlags, LinkMessage};
use netlink_sys::{Socket, SocketAddr, protocols::NETLINK_ROUTE};
use nix::net::if_::if_nametoindex;

/// Removes the link; one that does not exist is fine.
///
/// # Errors
/// What the kernel answered.
pub(crate) fn remove(name: &str) -> Result<()> {
    let Ok(index) = if_nametoindex(name) else { return Ok(()) };
    let mut link = LinkMessage::default();
    link.header.index = index;
    request(RouteNetlinkMessage::DelLink(link)).with_context(|| format!("cannot remove the link {name}"))
}

/// Sets the link up.
///
/// # Errors
/// When there is no such link, or what the kernel answered.
pub(crate) fn set_up(name: &str) -> Result<()> {
    let mut link = LinkMessage::default();
    link.header.index = if_nametoindex(name).with_context(|| format!("no link {name}"))?;
    link.header.flags = LinkFlags::Up;
    link.header.change_mask = LinkFlags::Up;
    request(RouteNetlinkMessage::SetLink(link)).with_context(|| format!("cannot set the link {name} up"))
}

/// Lets the link carry segments of so many bytes in one (BIG TCP: more than 64 KiB), in both families.
///
/// # Errors
/// When there is no such link, or what the kernel answered: the driver's limit may be lower.
pub(crate) fn set_gso_max_size(name: &str, bytes: u32) -> Result<()> {
    let mut link = LinkMessage::default();
    link.header.index = if_nametoindex(name).with_context(|| format!("no link {name}"))?;
    link.attributes = vec![LinkAttribute::GsoMaxSize(bytes), LinkAttribute::GsoIpv4MaxSize(bytes)];
    request(RouteNetlinkMessage::SetLink(link))
        .with_context(|| format!("{name}: no segments of {bytes} bytes"))
}

fn request(message: RouteNetlinkMessage) -> Result<()> {
    let mut socket = Socket::new(NETLINK_ROUTE)?;
    socket.bind_auto()?;
    socket.connect(&SocketAddr::new(0, 0))?;
    let mut packet = NetlinkMessage::new(NetlinkHeader::default(), NetlinkPayload::from(message));
    packet.header.flags = NLM_F_REQUEST | NLM_F_ACK;
    packet.finalize();
    let mut buffer = vec![0; packet.buffer_len()];
    packet.serialize(&mut buffer);
    socket.send(&buffer, 0)?;
    let (answer, _) = socket.recv_from_full()?;
    match NetlinkMessage::<RouteNetlinkMessage>::deserialize(&answer)?.payload {
        NetlinkPayload::Error(error) if error.code.is_none() => Ok(()),
        NetlinkPayload::Error(error) => Err(error.to_io().into()),
        other => bail!("unexpected answer from rtnetlink: {other:?}"),
    }
}

//! Which end of a connection is the pod: a capture does not say at whose device it was made.
use ipnetwork::IpNetwork;
use weft_abi::{DIRECTION_EGRESS, DIRECTION_INGRESS, Tuple, tcp_flag};

use crate::{generations::Generations, layers::TcpPacket};

/// Connections that are remembered, and servers.
const CONNECTIONS: usize = 131_072;
const SERVERS: usize = 65_536;

/// An address and a port.
type End = ([u8; 16], u16);

/// The vantage, and both ends, the lower one first.
type Connection = (u32, End, End);

/// Tells the pod's end of each connection: one of the given addresses, or else the server. That is the end that a SYN was
/// sent to. Of a connection without a SYN in the capture it is the end that another connection's SYN was sent to, or else
/// that with the lower port, or else that of the first packet's destination.
#[derive(Debug)]
pub(crate) struct Ends {
    local: Vec<IpNetwork>,
    connections: Generations<Connection, Known>,
    servers: Generations<(u32, End), ()>,
}

/// What is known of a connection.
#[derive(Clone, Copy, Debug)]
struct Known {
    server: End,
    /// A FIN or RST passed: the next SYN begins another one.
    over: bool,
}

impl Ends {
    pub(crate) fn new(local: Vec<IpNetwork>) -> Self {
        Self { local, connections: Generations::new(CONNECTIONS), servers: Generations::new(SERVERS) }
    }

    /// `DIRECTION_*` of a packet at a vantage; nothing where neither end is one of those that were asked for.
    pub(crate) fn direction(&mut self, vantage: u32, packet: &TcpPacket<'_>) -> Option<u8> {
        let Tuple { source, destination, .. } = packet.tuple;
        match (self.local.is_empty(), self.is_local(source), self.is_local(destination)) {
            (false, false, false) => None,
            (false, true, false) => Some(DIRECTION_INGRESS),
            (false, false, true) => Some(DIRECTION_EGRESS),
            _ => Some(self.by_server(vantage, packet)),
        }
    }

    fn is_local(&self, address: [u8; 16]) -> bool {
        let address = std::net::IpAddr::from(address).to_canonical();
        self.local.iter().any(|network| network.contains(address))
    }

    fn by_server(&mut self, vantage: u32, packet: &TcpPacket<'_>) -> u8 {
        let (source, destination) = ends(&packet.tuple);
        let connection = (vantage, source.min(destination), source.max(destination));
        let has = |flag| packet.flags & flag != 0;
        let over = has(tcp_flag::FIN) || has(tcp_flag::RST);
        let known = self.connections.get(&connection).filter(|known| !(known.over && has(tcp_flag::SYN)));
        let server = match known {
            Some(known) => {
                known.over |= over;
                known.server
            }
            None => {
                let server = self.guess(vantage, packet);
                self.connections.insert(connection, Known { server, over });
                server
            }
        };
        if server == source { DIRECTION_INGRESS } else { DIRECTION_EGRESS }
    }

    fn guess(&mut self, vantage: u32, packet: &TcpPacket<'_>) -> End {
        let (source, destination) = ends(&packet.tuple);
        let has = |flag| packet.flags & flag != 0;
        let said = match (has(tcp_flag::SYN), has(tcp_flag::ACK)) {
            (true, false) => Some(destination),
            (true, true) => Some(source),
            _ => None,
        };
        if let Some(server) = said {
            if self.servers.get(&(vantage, server)).is_none() {
                self.servers.insert((vantage, server), ());
            }
            return server;
        }
        let mut serves = |end| self.servers.get(&(vantage, end)).is_some();
        match (serves(source), serves(destination)) {
            (true, false) => source,
            (false, true) => destination,
            _ if source.1 < destination.1 => source,
            _ => destination,
        }
    }

    /// Connections that were forgotten while others came: what was guessed of one may be guessed otherwise later.
    pub(crate) fn forgotten(&self) -> u64 {
        self.connections.evicted()
    }
}

fn ends(tuple: &Tuple) -> (End, End) {
    ((tuple.source, tuple.source_port), (tuple.destination, tuple.destination_port))
}

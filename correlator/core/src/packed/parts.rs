//! The parts of an exchange, member by member: one that is forgotten does not compile.
use super::code::{Pack, Reader, Writer};
use crate::{
    Anomalies, App, Connection, Endpoint, ErrorCode, Evidence, Exchange, FlowControl, FlowId, Grpc, Likely,
    Link, MessageSpan, Messages, Phases, Propagation, Protocol, Side, SpanId, Tcp, Tls, TlsVersion, TraceId,
};

macro_rules! structures {
    ($($name:ident { $($member:ident),* $(,)? })*) => {$(
        impl Pack for $name {
            fn pack(&self, to: &mut Writer) {
                let Self { $($member),* } = self;
                $($member.pack(to);)*
            }

            fn unpack(from: &mut Reader<'_>) -> Option<Self> {
                // In the order in which they are written.
                Some(Self { $($member: Pack::unpack(from)?),* })
            }
        }
    )*};
}

structures! {
    Exchange {
        flow, vantage, side, protocol, method, path, authority, status, stream_id, socket_cookie, request_seq,
        request_ack, request, response, grpc, propagation, flow_control, reset, connection, complete, anomalies,
    }
    FlowId { netns, ifindex, local, peer }
    MessageSpan { first_byte, last_byte, bytes, body_bytes }
    Grpc { status, request, response, first_message, timeout_ns, compressed, cancelled }
    Messages { count, bytes }
    Propagation { trace, span, request_id }
    FlowControl { request_blocked_ns, response_blocked_ns }
    Connection { tls, tcp }
    Tls { version, sni, alpn, alpn_offered }
    Tcp { connect_ns, rtt_us, retransmitted_segments }
    App { read, write_returned, goid, tid, pid }
    Link { trace_id, parent_span_id, evidence, likely }
    Likely { trace_id, span_id }
    Phases { network, socket_wait, run_queue, gc, handler, downstream, unknown }
}

macro_rules! wrapped {
    ($($name:ident),*) => {$(
        impl Pack for $name {
            fn pack(&self, to: &mut Writer) {
                self.0.pack(to);
            }

            fn unpack(from: &mut Reader<'_>) -> Option<Self> {
                Pack::unpack(from).map(Self)
            }
        }
    )*};
}
wrapped!(ErrorCode, TlsVersion);

/// Ids have no short form.
macro_rules! ids {
    ($($name:ident: $number:ty),*) => {$(
        impl Pack for $name {
            fn pack(&self, to: &mut Writer) {
                to.raw(&self.0.to_le_bytes());
            }

            fn unpack(from: &mut Reader<'_>) -> Option<Self> {
                from.array().map(<$number>::from_le_bytes).map(Self)
            }
        }
    )*};
}
ids!(SpanId: u64, TraceId: u128);

/// Each by its place in a list of all.
macro_rules! choices {
    ($($name:ident: $all:expr;)*) => {$(
        impl Pack for $name {
            fn pack(&self, to: &mut Writer) {
                (*self as u8).pack(to);
            }

            fn unpack(from: &mut Reader<'_>) -> Option<Self> {
                $all.get(usize::from(u8::unpack(from)?)).copied()
            }
        }
    )*};
}
choices! {
    Side: [Self::Server, Self::Client];
    Protocol: [Self::Http1, Self::Http2, Self::Grpc, Self::Tls, Self::Tcp];
    Evidence: Self::ALL;
}

impl Pack for Anomalies {
    fn pack(&self, to: &mut Writer) {
        self.bits().pack(to);
    }

    fn unpack(from: &mut Reader<'_>) -> Option<Self> {
        Pack::unpack(from).map(Self::from_bits)
    }
}

/// The twelve bytes before an IPv4 address that is mapped into IPv6 (RFC 4291, 2.5.5.2).
const MAPPED: [u8; 12] = [0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff];

impl Pack for Endpoint {
    fn pack(&self, to: &mut Writer) {
        let Self { address, port } = self;
        let v4 = address.strip_prefix(&MAPPED);
        v4.is_some().pack(to);
        to.raw(v4.unwrap_or(address));
        port.pack(to);
    }

    fn unpack(from: &mut Reader<'_>) -> Option<Self> {
        let mut address = [0; 16];
        if bool::unpack(from)? {
            let (before, v4) = address.split_at_mut(MAPPED.len());
            before.copy_from_slice(&MAPPED);
            v4.copy_from_slice(from.raw(v4.len())?);
        } else {
            address = from.array()?;
        }
        Some(Self { address, port: Pack::unpack(from)? })
    }
}

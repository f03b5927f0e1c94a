//! What is known of a connection of which nobody follows what is said over it.
use serde::Serialize;

/// What is known of a connection that is a row of its own.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Connection {
    /// What its hello messages said.
    pub tls: Option<Tls>,
    /// What the pod's socket said.
    pub tcp: Tcp,
}

/// What the two hello messages of TLS say in the clear (RFC 8446, 4.1). Names have the bytes of host names; others are
/// percent-encoded.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Tls {
    /// What the server chose; absent while it has not answered.
    pub version: Option<TlsVersion>,
    /// The server name that the client asked for.
    pub sni: Option<String>,
    /// The application protocol that the server chose; from TLS 1.3 on it does not say so in the clear.
    pub alpn: Option<String>,
    /// Those that the client offered, in its order; the first eight.
    pub alpn_offered: Vec<String>,
}

/// A version of TLS as on the wire (RFC 8446, 4.1.2).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct TlsVersion(pub u16);

impl TlsVersion {
    /// As people say it; nothing for what is none.
    pub const fn name(self) -> Option<&'static str> {
        Some(match self.0 {
            0x0300 => "ssl3",
            0x0301 => "1.0",
            0x0302 => "1.1",
            0x0303 => "1.2",
            0x0304 => "1.3",
            _ => return None,
        })
    }
}

/// What the pod's socket said of a connection; absent while it did not.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Tcp {
    /// From connect(2) to the established connection; of connections that the pod opened.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub connect_ns: Option<u64>,
    /// The last smoothed round-trip time.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub rtt_us: Option<u32>,
    /// Segments that the pod sent again.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub retransmitted_segments: Option<u32>,
}

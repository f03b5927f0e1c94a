/// Why a capture cannot be read, or not further. What came before was handed on.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ImportError {
    /// It does not begin as a capture.
    #[error(
        "this is no capture: it begins neither as pcap nor as pcapng (tcpdump -w and dumpcap write these; unpack a \
         compressed one first)"
    )]
    NotACapture,
    /// Another version of the format.
    #[error(
        "the capture has version {major}.{minor} of {format}, which nobody here knows: save it again as pcapng"
    )]
    Version {
        /// `pcap` or `pcapng`.
        format: &'static str,
        /// The file's.
        major: u16,
        /// The file's.
        minor: u16,
    },
    /// No interface has packets that can be read.
    #[error(
        "link type {link_type} is not known: Ethernet (1), Linux cooked (113, 276), raw IP (101, 228, 229) and loopback (0, 108) are; \
         capture on another interface"
    )]
    LinkType {
        /// The file's (<https://www.tcpdump.org/linktypes.html>).
        link_type: u16,
    },
    /// A length that nothing has.
    #[error("the {what} at byte {offset} announces {length} bytes: the capture is damaged from there on")]
    Damaged {
        /// What is there.
        what: &'static str,
        /// Where it begins.
        offset: u64,
        /// What it announces.
        length: u64,
    },
}

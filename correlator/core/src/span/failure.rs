//! What went wrong with an exchange, if anything did.
use std::fmt;

use crate::{Anomaly, ErrorCode, Exchange, Side, semconv};

/// Why a span is an error; shown as the conventions' `error.type`, which has few values.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Failure {
    /// The response's status.
    Status(u16),
    /// The call's status.
    Code(u32),
    /// One of the ends broke the stream off.
    Reset(ErrorCode),
    /// The connection ended, or made no sense any more, before both messages were over.
    Broken(Anomaly),
}

/// What nobody is to blame for but who watches: an exchange without an end because of these has not failed.
const UNSEEN: [Anomaly; 5] =
    [Anomaly::JoinedMidway, Anomaly::Gap, Anomaly::TooManyPending, Anomaly::Evicted, Anomaly::UnknownHeaders];
/// Why messages have no end, what tells most first.
const BROKEN: [Anomaly; 4] =
    [Anomaly::GoAway, Anomaly::ProtocolError, Anomaly::RequestWithoutResponse, Anomaly::Truncated];

impl Exchange {
    /// Whether its span is an error, by the conventions: HTTP's 4xx are the client's alone, and of gRPC's codes only some are
    /// the server's. An exchange whose end was not seen has not failed.
    pub fn failure(&self) -> Option<Failure> {
        self.failed_status(self.side).or_else(|| self.broken_off())
    }

    /// Whether it is worth keeping: 5xx, any status of gRPC but OK, and what was broken off. The same at both its ends.
    pub fn has_failed(&self) -> bool {
        let status = match self.grpc_status() {
            Some(code) => semconv::is_grpc_error(Side::Client, code),
            None => self.status.is_some_and(|status| semconv::is_http_error(Side::Server, status.into())),
        };
        status || self.broken_off().is_some()
    }

    /// `grpc-status`, where it is a call that has one.
    pub fn grpc_status(&self) -> Option<u32> {
        self.grpc.as_deref().and_then(|grpc| grpc.status)
    }

    /// A call without a status of its own failed as the request that it is (PROTOCOL-HTTP2.md of grpc/grpc).
    fn failed_status(&self, side: Side) -> Option<Failure> {
        match self.grpc_status() {
            Some(code) => semconv::is_grpc_error(side, code).then_some(Failure::Code(code)),
            None => self
                .status
                .filter(|status| semconv::is_http_error(side, (*status).into()))
                .map(Failure::Status),
        }
    }

    /// A client that does not want its call's answer any more is no error of the server (semantic conventions,
    /// rpc/grpc.md, CANCELLED).
    fn broken_off(&self) -> Option<Failure> {
        let cancelled = self.grpc.as_deref().is_some_and(|grpc| grpc.cancelled);
        if self.complete || self.protocol.is_connection() || cancelled && self.side == Side::Server {
            return None;
        }
        if let Some(reset) = self.reset {
            return Some(Failure::Reset(reset));
        }
        let has = |anomaly: &Anomaly| self.anomalies.contains(*anomaly);
        let seen = !UNSEEN.iter().any(has);
        BROKEN.into_iter().find(has).filter(|_| seen).map(Failure::Broken)
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match *self {
            Self::Status(status) => write!(f, "{status}"),
            Self::Code(code) => match semconv::grpc_code(code) {
                Some(name) => f.write_str(name),
                None => write!(f, "{code}"),
            },
            Self::Reset(code) => match code.name() {
                Some(name) => f.write_str(name),
                None => write!(f, "0x{:x}", code.0),
            },
            Self::Broken(anomaly) => f.write_str(anomaly.name()),
        }
    }
}

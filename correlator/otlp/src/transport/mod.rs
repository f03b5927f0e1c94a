//! One attempt to bring a request to the backend: OTLP/gRPC or OTLP/HTTP over the same connections.
mod answer;
mod codec;
mod connect;
mod grpc;
mod http;

use std::time::Duration;

pub use connect::TransportError;
use tokio::time::timeout;

use crate::{counts::Signal, request::Request, settings::Protocol, settings::Settings};

/// The way to a backend.
#[derive(Clone, Debug)]
pub(crate) struct Transport {
    way: Way,
    timeout: Duration,
}

#[derive(Clone, Debug)]
enum Way {
    Grpc(grpc::Grpc),
    Http(http::Http),
}

/// The backend has it, but for so many items, and says why.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Accepted {
    pub(crate) rejected: u64,
    pub(crate) message: String,
}

/// The backend does not have it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Failure {
    /// It will not take it.
    Final(String),
    /// It may take it later, and may have said when at the earliest.
    Later { after: Option<Duration>, why: String },
}

impl Failure {
    fn later(why: impl Into<String>) -> Self {
        Self::Later { after: None, why: why.into() }
    }
}

impl Transport {
    /// Nothing is connected yet.
    ///
    /// # Errors
    /// When the authorities to trust cannot be read.
    pub(crate) fn new(settings: &Settings) -> Result<Self, TransportError> {
        let client = connect::client(settings)?;
        let way = match settings.protocol {
            Protocol::Grpc => Way::Grpc(grpc::Grpc::new(client, settings)),
            Protocol::Http => Way::Http(http::Http::new(client, settings)),
        };
        Ok(Self { way, timeout: settings.timeout })
    }

    /// Sends it once.
    pub(crate) async fn send(&self, signal: Signal, request: &Request) -> Result<Accepted, Failure> {
        let sent = async {
            match &self.way {
                Way::Grpc(grpc) => grpc.send(signal, request).await,
                Way::Http(http) => http.send(signal, request).await,
            }
        };
        let limit = self.timeout;
        timeout(limit, sent)
            .await
            .unwrap_or_else(|_| Err(Failure::later(format!("no answer within {} s", limit.as_secs_f64()))))
    }
}

/// An error with what caused it, in one line.
fn chain(error: &(dyn std::error::Error + 'static)) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        let said = error.to_string();
        if !text.contains(&said) {
            text = format!("{text}: {said}");
        }
        cause = error.source();
    }
    text
}

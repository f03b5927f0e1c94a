use serde::Serialize;

use crate::{App, JoinedExchange, MessageSpan, Side};

/// Where the time of an exchange went, in ns, as far as it was measured: what was not is absent, never 0.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Phases {
    /// First to last byte of the request, and of the response. A client's needs the server's side of the exchange, and
    /// is absent.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub network: Option<u64>,
    /// Last byte of the incoming message on the wire until the call that read it returned.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub socket_wait: Option<u64>,
}

impl JoinedExchange {
    /// Where its time went; of a row that is a connection nobody knows.
    pub fn phases(&self) -> Phases {
        let Self { exchange, app: App { read, .. } } = self;
        if exchange.protocol.is_connection() {
            return Phases::default();
        }
        let response = exchange.response.filter(|_| exchange.complete);
        let (network, incoming) = match exchange.side {
            Side::Server => {
                (response.map(|response| transfer(&exchange.request, &response)), Some(exchange.request))
            }
            Side::Client => (None, response),
        };
        // The call returns after the bytes came. A time before them is another CPU's, a little off: no wait.
        let socket_wait = read.zip(incoming).map(|(read, message)| read.since(message.last_byte));
        Phases { network, socket_wait }
    }
}

fn transfer(request: &MessageSpan, response: &MessageSpan) -> u64 {
    let duration = |message: &MessageSpan| message.last_byte.since(message.first_byte);
    duration(request).saturating_add(duration(response))
}

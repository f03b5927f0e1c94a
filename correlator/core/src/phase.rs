//! Where the time of an exchange went.
use serde::Serialize;

use crate::{App, JoinedExchange, Ktime, MessageSpan, Side};

mod spans;
#[cfg(test)]
mod tests;

use spans::Spans;

/// Where the time of an exchange went, in ns, as far as it was measured: what was not is absent, never 0. What is there of
/// a server's side adds up to its duration, with `unknown`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Phases {
    /// A server's: first to last byte of the request, and of the response. A client's: its duration less the server's.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub network: Option<u64>,
    /// Last byte of the incoming message on the wire until the call that read it returned.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub socket_wait: Option<u64>,
    /// The handler's goroutine was able to run and did not.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub run_queue: Option<u64>,
    /// The world was stopped.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub gc: Option<u64>,
    /// The request was read and no byte of the response passed yet, less what follows.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub handler: Option<u64>,
    /// Requests that this one caused were open.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub downstream: Option<u64>,
    /// What none of them explains of a server's side; absent where nothing is left.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub unknown: Option<u64>,
}

/// When something else than the handler was at work for an exchange; absent where nobody looked.
#[derive(Clone, Debug, Default)]
pub(crate) struct Windows {
    /// Requests that it caused; those without an end are open.
    pub(crate) downstream: Option<Vec<(Ktime, Option<Ktime>)>>,
    /// The world stood still.
    pub(crate) stops: Option<Vec<(Ktime, Ktime)>>,
    /// The handler's goroutine was able to run and did not.
    pub(crate) waits: Option<Vec<(Ktime, Ktime)>>,
    /// How long the exchange took at its server, in ns.
    pub(crate) server_ns: Option<u64>,
}

impl JoinedExchange {
    /// Where its time went; of a row that is a connection nobody knows.
    pub(crate) fn phases(&self, windows: &Windows) -> Phases {
        if self.exchange.protocol.is_connection() {
            return Phases::default();
        }
        match self.exchange.side {
            Side::Server => self.server_phases(windows),
            Side::Client => self.client_phases(windows),
        }
    }

    fn client_phases(&self, windows: &Windows) -> Phases {
        let Self { exchange, app: App { read, .. } } = self;
        let response = exchange.response.filter(|_| exchange.complete);
        let duration = response.map(|response| response.last_byte.since(exchange.request.first_byte));
        let network = duration.zip(windows.server_ns).and_then(|(whole, server)| whole.checked_sub(server));
        Phases { network, socket_wait: read.zip(response).map(wait), ..Phases::default() }
    }

    fn server_phases(&self, windows: &Windows) -> Phases {
        let Self { exchange, app: App { read, .. } } = self;
        let request = exchange.request;
        let response = exchange.response.filter(|_| exchange.complete);
        let mut phases = Phases {
            network: response.map(|response| transfer(&request, &response)),
            socket_wait: read.map(|read| wait((read, request))),
            ..Phases::default()
        };
        if let (Some(read), Some(response)) = (read, response) {
            let came = request.last_byte;
            phases.divide(came, (*read).max(came), response.first_byte, windows);
            let whole = response.last_byte.since(request.first_byte);
            phases.unknown = whole.checked_sub(phases.sum()).filter(|rest| *rest > 0);
        }
        phases
    }
}

impl Phases {
    /// How many there are.
    pub(crate) const COUNT: usize = 7;

    /// All of them, each with its name in metrics and in the JSON.
    pub fn by_name(&self) -> [(&'static str, Option<u64>); Self::COUNT] {
        let Self { network, socket_wait, run_queue, gc, handler, downstream, unknown } = *self;
        [
            ("network", network),
            ("socket_wait", socket_wait),
            ("run_queue", run_queue),
            ("gc", gc),
            ("handler", handler),
            ("downstream", downstream),
            ("unknown", unknown),
        ]
    }

    /// Divides the time from the request's last byte to the response's first one. What two of them claim is the first
    /// one's: downstream, gc, run_queue.
    fn divide(&mut self, came: Ktime, read: Ktime, answered: Ktime, windows: &Windows) {
        let Windows { downstream, stops, waits, server_ns: _ } = windows;
        let handling = Spans::of([(read, answered)]);
        let open = |(began, ended): &(Ktime, Option<Ktime>)| (*began, ended.unwrap_or(answered));
        let downstream = downstream.as_ref().map(|spans| Spans::of(spans.iter().map(open)).within(&handling));
        let stops = stops.as_ref().map(|spans| Spans::of(spans.iter().copied()).within(&handling));
        let waits = waits.as_ref().map(|spans| Spans::of(spans.iter().copied()));
        let mut taken = Spans::default();
        let mut claim = |spans: &Option<Spans>| {
            let left = spans.as_ref().map(|spans| spans.without(&taken));
            left.iter().for_each(|left| taken = taken.with(left));
            left.map(|left| left.length())
        };
        self.downstream = claim(&downstream);
        self.gc = claim(&stops);
        let handling_waits = claim(&waits.as_ref().map(|waits| waits.within(&handling)));
        self.handler = Some(handling.without(&taken).length());
        // Before it was read the goroutine may have waited for a processor, and not for bytes.
        let early = waits.map(|waits| waits.within(&Spans::of([(came, read)])).length());
        self.run_queue = handling_waits.zip(early).map(|(handling, early)| handling + early);
        self.socket_wait = self.socket_wait.map(|wait| wait.saturating_sub(early.unwrap_or(0)));
    }

    fn sum(&self) -> u64 {
        self.by_name().into_iter().filter_map(|(_, ns)| ns).fold(0, u64::saturating_add)
    }
}

/// The call returns after the bytes came. A time before them is another CPU's, a little off: no wait.
fn wait((read, message): (Ktime, MessageSpan)) -> u64 {
    read.since(message.last_byte)
}

fn transfer(request: &MessageSpan, response: &MessageSpan) -> u64 {
    let duration = |message: &MessageSpan| message.last_byte.since(message.first_byte);
    duration(request).saturating_add(duration(response))
}

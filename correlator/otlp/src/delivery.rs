//! One request until the backend has it, does not want it, or the time is over.
use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use tokio::{
    sync::watch,
    time::{Instant, sleep, sleep_until},
};

use crate::{
    counts::{Counts, Outcome, Signal},
    request::Request,
    retry::Backoff,
    transport::{Accepted, Failure, Transport},
};

/// The most characters of a backend's own words in the log.
const WORDS: usize = 300;

/// Whether the agent ends, and until when it waits.
#[derive(Clone, Debug)]
pub(crate) struct Stop(pub(crate) watch::Receiver<Option<Instant>>);

/// What requests of one signal are delivered with.
#[derive(Debug)]
pub(crate) struct Delivery {
    signal: Signal,
    transport: Transport,
    endpoint: String,
    counts: Arc<Counts>,
    stop: Stop,
    /// The last attempt failed: that is said once, and so is its end.
    failing: AtomicBool,
    /// A partial success was reported.
    partial: AtomicBool,
}

impl Stop {
    /// The agent ends.
    pub(crate) async fn began(&mut self) -> Instant {
        match self.0.wait_for(Option::is_some).await {
            Ok(until) => until.unwrap_or_else(Instant::now),
            // Whoever could say so is gone.
            Err(_) => Instant::now(),
        }
    }

    /// Nothing is waited for any more.
    pub(crate) async fn is_over(&mut self) {
        let until = self.began().await;
        sleep_until(until).await;
    }

    fn has_begun(&self) -> bool {
        self.0.borrow().is_some()
    }
}

impl Delivery {
    pub(crate) fn new(
        signal: Signal,
        transport: Transport,
        endpoint: String,
        counts: Arc<Counts>,
        stop: Stop,
    ) -> Self {
        let (failing, partial) = Default::default();
        Self { signal, transport, endpoint, counts, stop, failing, partial }
    }

    /// Delivers it, and says whether the backend need not be told again. Every item is counted.
    pub(crate) async fn deliver(&self, request: &Request, limit: Instant) -> bool {
        let mut stop = self.stop.clone();
        let settled = tokio::select! {
            settled = self.attempts(request) => Some(settled),
            () = sleep_until(limit) => None,
            () = stop.is_over() => None,
        };
        match &settled {
            Some(Ok(accepted)) => self.accepted(request, accepted),
            Some(Err(why)) => self.refused(request, why),
            None => self.count(Outcome::GivenUp, request.items),
        }
        settled.is_some()
    }

    /// Until it is settled.
    async fn attempts(&self, request: &Request) -> Result<Accepted, String> {
        let mut backoff = Backoff::default();
        loop {
            match self.transport.send(self.signal, request).await {
                Ok(accepted) => return Ok(accepted),
                Err(Failure::Final(why)) => return Err(why),
                Err(Failure::Later { after, why }) => {
                    self.failed(&why);
                    self.pause(backoff.wait(after, fastrand::f64())).await;
                    self.counts.add_retry(self.signal);
                }
            }
        }
    }

    /// Waits; when the agent begins to end, no longer.
    async fn pause(&self, wait: Duration) {
        if self.stop.has_begun() {
            return sleep(wait).await;
        }
        let mut stop = self.stop.clone();
        tokio::select! {
            () = sleep(wait) => {}
            _ = stop.began() => {}
        }
    }

    fn failed(&self, why: &str) {
        if !self.failing.swap(true, Ordering::Relaxed) {
            let (signal, endpoint, why) = (self.signal.name(), &self.endpoint, words(why));
            tracing::warn!("export.otlp: {signal} do not reach {endpoint}, and are sent again: {why}");
        }
    }

    fn refused(&self, request: &Request, why: &str) {
        self.count(Outcome::Rejected, request.items);
        if !self.failing.swap(true, Ordering::Relaxed) {
            let (signal, endpoint, why) = (self.signal.name(), &self.endpoint, words(why));
            tracing::warn!("export.otlp: {endpoint} does not want {signal}, which are dropped: {why}");
        }
    }

    fn accepted(&self, request: &Request, Accepted { rejected, message }: &Accepted) {
        let rejected = (*rejected).min(request.items);
        self.count(Outcome::Rejected, rejected);
        self.count(Outcome::Sent, request.items - rejected);
        if (rejected > 0 || !message.is_empty()) && !self.partial.swap(true, Ordering::Relaxed) {
            let (signal, endpoint, said) = (self.signal.name(), &self.endpoint, words(message));
            tracing::warn!(
                "export.otlp: {endpoint} rejected {rejected} of {} {signal}: {said}",
                request.items
            );
        }
        if self.failing.swap(false, Ordering::Relaxed) {
            tracing::info!("export.otlp: {} reach {} again", self.signal.name(), self.endpoint);
        }
    }

    fn count(&self, outcome: Outcome, items: u64) {
        self.counts.add(self.signal, outcome, items);
    }
}

/// What somebody else wrote, for the log.
fn words(text: &str) -> String {
    let plain = text.chars().map(|letter| if letter.is_control() { ' ' } else { letter });
    plain.take(WORDS).collect()
}

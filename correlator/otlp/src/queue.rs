//! Spans that wait to be sent. The pipeline puts them here and never waits: past a bound they are counted.
use std::{
    sync::{Arc, atomic::Ordering},
    time::Duration,
};

use tokio::{
    sync::mpsc::{Receiver, Sender, channel},
    time::timeout,
};
use weft_core::span::{Attribute, Span, Value};

use crate::{
    counts::{Counts, Outcome, Signal},
    settings::Limits,
};

/// The most spans of a batch.
const BATCH: usize = 2048;
/// How long the first one waits for others.
const GATHER: Duration = Duration::from_secs(1);

/// Where spans are put.
#[derive(Clone, Debug)]
pub struct Spans {
    sender: Sender<Waiting>,
    counts: Arc<Counts>,
    limits: Limits,
}

#[derive(Debug)]
struct Waiting {
    span: Arc<Span>,
    bytes: u64,
}

/// Where they are taken from.
#[derive(Debug)]
pub(crate) struct Queue {
    receiver: Receiver<Waiting>,
    /// Of the next batch.
    gathered: Vec<Waiting>,
    counts: Arc<Counts>,
}

/// Spans that were taken. They count as waiting until this goes.
#[derive(Debug)]
pub(crate) struct Batch {
    pub(crate) spans: Vec<Arc<Span>>,
    bytes: u64,
    counts: Arc<Counts>,
}

/// A queue and its other end.
pub(crate) fn queue(limits: Limits, counts: &Arc<Counts>) -> (Spans, Queue) {
    let (sender, receiver) = channel(limits.spans.max(1));
    let spans = Spans { sender, counts: Arc::clone(counts), limits };
    (spans, Queue { receiver, gathered: Vec::new(), counts: Arc::clone(counts) })
}

impl Spans {
    /// Puts one there, or counts it.
    pub fn push(&self, span: Arc<Span>) {
        let waiting = &self.counts.waiting;
        let bytes = bytes(&span);
        // Only one thread puts spans here; what others take away meanwhile errs to the safe side.
        let items_then = waiting.items.load(Ordering::Relaxed) + 1;
        let bytes_then = waiting.bytes.load(Ordering::Relaxed) + bytes;
        let room = items_then <= self.limits.spans as u64 && bytes_then <= self.limits.bytes as u64;
        if room {
            waiting.items.fetch_add(1, Ordering::Relaxed);
            waiting.bytes.fetch_add(bytes, Ordering::Relaxed);
        }
        if !room || self.sender.try_send(Waiting { span, bytes }).is_err() {
            self.counts.add(Signal::Spans, Outcome::QueueFull, 1);
            if room {
                waiting.items.fetch_sub(1, Ordering::Relaxed);
                waiting.bytes.fetch_sub(bytes, Ordering::Relaxed);
            }
        }
    }
}

impl Queue {
    /// Waits for spans, and a while for more; nothing when there will be none. Dropped before its end it loses none.
    pub(crate) async fn next(&mut self) -> Option<Batch> {
        if self.gathered.is_empty() && self.receiver.recv_many(&mut self.gathered, BATCH).await == 0 {
            return None;
        }
        // Until it is full, there are no more, or the time is over.
        let _ = timeout(GATHER, self.fill()).await;
        Some(self.batch())
    }

    /// What there is, without waiting.
    pub(crate) fn rest(&mut self) -> Option<Batch> {
        let room = BATCH.saturating_sub(self.gathered.len());
        let more = std::iter::from_fn(|| self.receiver.try_recv().ok()).take(room);
        self.gathered.extend(more);
        (!self.gathered.is_empty()).then(|| self.batch())
    }

    async fn fill(&mut self) {
        while self.gathered.len() < BATCH {
            let room = BATCH - self.gathered.len();
            if self.receiver.recv_many(&mut self.gathered, room).await == 0 {
                return;
            }
        }
    }

    fn batch(&mut self) -> Batch {
        let waiting = std::mem::take(&mut self.gathered);
        let bytes = waiting.iter().map(|waiting| waiting.bytes).sum();
        let spans = waiting.into_iter().map(|waiting| waiting.span).collect();
        Batch { spans, bytes, counts: Arc::clone(&self.counts) }
    }
}

impl Drop for Batch {
    fn drop(&mut self) {
        let waiting = &self.counts.waiting;
        waiting.items.fetch_sub(self.spans.len() as u64, Ordering::Relaxed);
        waiting.bytes.fetch_sub(self.bytes, Ordering::Relaxed);
    }
}

/// What a span takes, within some tens of bytes.
fn bytes(span: &Span) -> u64 {
    let own = size_of::<Span>() + span.name.len() + list(&span.attributes);
    let events: usize = span.events.iter().map(|event| size_of_val(event) + list(&event.attributes)).sum();
    (own + events) as u64
}

fn list(attributes: &Vec<Attribute>) -> usize {
    let text = |attribute: &Attribute| match &attribute.value {
        Value::Text(std::borrow::Cow::Owned(text)) => text.capacity(),
        Value::Names(names) => size_of_val(&names[..]),
        Value::Text(_) | Value::Number(_) | Value::Flag(_) => 0,
    };
    attributes.capacity() * size_of::<Attribute>() + attributes.iter().map(text).sum::<usize>()
}

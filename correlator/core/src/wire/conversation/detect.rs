use super::{
    super::{
        direction::Direction,
        http1::{HeadStep, State},
        protocol::{Guess, NOTHING_KNOWN, STATUS_LINE, guess, is_usual_request_line},
        stream::Chunk,
        work::Work,
    },
    Conversation, Link, Spoken, spend,
};
use crate::Protocol;

/// In a connection that was joined in its middle, HTTP/1 shows at the next turn of the talk, because a message
/// begins there. After so many turns without a message it is something else.
const MAX_TURNS: u8 = 16;
/// A record's type, version and length (RFC 8446, 5.1).
const TLS_HEADER: usize = 5;
/// Enough for any guess.
const FIRST_BYTES: usize = 96;

impl Conversation {
    /// Looks at bytes of a connection of which nobody knows what it speaks. Uses the chunk up where that does
    /// not change.
    pub(super) fn detect(
        &mut self,
        link: &Link,
        direction: Direction,
        chunk: &mut Chunk<'_>,
        work: &mut Work<'_>,
    ) {
        match self.reader(direction).state {
            State::Head => self.detect_start(link, direction, chunk, work),
            _ => self.detect_midway(direction, chunk, work),
        }
    }

    fn detect_start(
        &mut self,
        link: &Link,
        direction: Direction,
        chunk: &mut Chunk<'_>,
        work: &mut Work<'_>,
    ) {
        let front = chunk.front();
        let guess = match self.reader(direction).partial() {
            _ if front.is_empty() => Guess::Other(Protocol::Tcp),
            [] => guess(without_blank_lines(front)),
            partial => guess_over(partial, front),
        };
        match guess {
            Guess::NeedMore => {
                self.pass_blank_lines(direction, chunk, work);
                if chunk.len > 0 {
                    self.wait_for_more(direction, chunk, work);
                }
            }
            Guess::Request => self.set_http1(direction, work),
            Guess::Response => {
                let begun = self.reader(direction).partial().len() as u64;
                work.safe(direction, chunk.offset.saturating_sub(begun), STATUS_LINE);
                self.set_http1(direction.reverse(), work);
            }
            Guess::Other(Protocol::Http2) => self.begin_http2(link, direction, work),
            Guess::Settings => self.begin_http2(link, direction.reverse(), work),
            Guess::Other(protocol) => self.recognise(direction, protocol, chunk, work),
        }
    }

    /// A protocol that is known by its first bytes, which are the same for everyone, or none.
    fn recognise(
        &mut self,
        direction: Direction,
        protocol: Protocol,
        chunk: &Chunk<'_>,
        work: &mut Work<'_>,
    ) {
        if work.redacts() {
            let waited = self.reader(direction).partial();
            let (start, bytes) =
                (chunk.offset.saturating_sub(waited.len() as u64), [waited, chunk.front()].concat());
            let header = bytes.get(..TLS_HEADER).unwrap_or(&bytes);
            work.safe(direction, start, if protocol == Protocol::Tls { header } else { NOTHING_KNOWN });
        }
        self.set_opaque(protocol, work);
    }

    /// Those before the first message; within its beginning they are a part of it.
    fn pass_blank_lines(&mut self, direction: Direction, chunk: &mut Chunk<'_>, work: &mut Work<'_>) {
        if !self.reader(direction).at_boundary() {
            return;
        }
        let front = chunk.front();
        let blank = front.len() - without_blank_lines(front).len();
        let segment_start = chunk.segment_start;
        let mut lines = chunk.take(blank as u64);
        chunk.segment_start = segment_start;
        work.safe(direction, lines.offset, lines.front());
        spend(direction, &mut lines, work);
    }

    fn wait_for_more(&mut self, direction: Direction, chunk: &mut Chunk<'_>, work: &mut Work<'_>) {
        let reader = self.reader(direction);
        let kept: HeadStep<()> = if reader.at_boundary() {
            reader.begin(chunk);
            reader.keep(direction, chunk, work)
        } else {
            reader.append(direction, chunk, work)
        };
        if let HeadStep::Failed(_) = kept {
            self.set_opaque(Protocol::Tcp, work);
        }
    }

    fn detect_midway(&mut self, direction: Direction, chunk: &mut Chunk<'_>, work: &mut Work<'_>) {
        if self.join_http2(direction, chunk, work) {
            return;
        }
        let guess = if chunk.segment_start { guess(chunk.front()) } else { Guess::NeedMore };
        match guess {
            Guess::Request if is_usual_request_line(chunk.front()) => {
                work.safe_line(direction, chunk);
                return self.set_http1(direction, work);
            }
            // A response alone may be quoted in a body; the next request will tell.
            Guess::Response => return,
            Guess::Other(Protocol::Tls) => return self.recognise(direction, Protocol::Tls, chunk, work),
            _ => {}
        }
        self.turns += u8::from(self.last.replace(direction).is_some_and(|last| last != direction));
        if self.turns >= MAX_TURNS {
            self.set_opaque(Protocol::Tcp, work);
        }
    }

    fn set_http1(&mut self, requests: Direction, work: &mut Work<'_>) {
        self.spoken = Spoken::Http1(requests);
        work.tally.stats.flows_http1 += 1;
    }
}

/// RFC 9112, 2.2: a server ignores at least one before a request, and those in use ignore any number.
fn without_blank_lines(bytes: &[u8]) -> &[u8] {
    let lines = bytes.iter().take_while(|byte| matches!(byte, b'\r' | b'\n')).count();
    bytes.get(lines..).unwrap_or_default()
}

fn guess_over(partial: &[u8], more: &[u8]) -> Guess {
    let mut bytes = [0; FIRST_BYTES];
    let mut len = 0;
    for (place, byte) in bytes.iter_mut().zip(partial.iter().chain(more)) {
        *place = *byte;
        len += 1;
    }
    guess(bytes.get(..len).unwrap_or_default())
}

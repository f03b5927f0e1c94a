//! Frames in the middle of a stream, where segments begin and within them. What a payload looks like is its sender's choice,
//! so one header alone proves nothing: a chain is believed, of headers that each lie where the one before says. It must be the
//! longer the more else looks like a header: bodies of small numbers are full of what does.
use std::collections::VecDeque;

use memchr::memchr_iter;

use super::{
    super::stream::Chunk,
    frame::{FrameHeader, HEADER},
    sync::is_usual_header,
};

/// What a chain must weigh ([`Fit`]) where nothing else looks like a header. To begin with a segment, or to end with one, weighs
/// one, too, and both weigh three, whatever else is in it. Of random bytes one in six millions begins a header of any stream, and one in 10^17 a chain
/// within a segment.
const ENOUGH: u32 = 3;
/// What it must weigh more for each doubling of what else looks like one, from so many on: the bytes of a header that lies
/// across two chunks may seem to begin another.
const FOR_OTHERS: u32 = 4;
const FEW: usize = 4;
/// The most headers of a chain that goes on in other chunks: empty frames weigh nothing.
const LONGEST: usize = 256;
/// The most chains that go on; the oldest gives way.
const MOST_CHAINS: usize = 4;
/// With more of them in a chunk of at most 16 KiB they are no headers: of the shortest frames in use fewer fit in.
const MOST_CANDIDATES: usize = 2048;
/// A frame of so many bytes has a header whose first byte is not 0.
const LONG_FRAME: u32 = 1 << 16;

/// Where in the stream a header is, and the header.
type Place = (u64, [u8; HEADER]);

/// What the connection says of a frame that may be one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Fit {
    /// It has no place in this direction.
    No,
    /// It may be there, and says nothing for its chain.
    Weightless,
    /// It weighs one, if it is not empty.
    Likely,
    /// Its stream is open: the first one of a chain weighs one more.
    Open,
}

/// What looks like a header.
struct Candidate {
    at: u64,
    header: [u8; HEADER],
    fit: Fit,
    /// It is in a chain.
    taken: bool,
}

/// Headers, each where the one before says.
#[derive(Default)]
struct Chain {
    /// The last ones, as many as weigh less than enough: a recording that shows these and no more is read in the same way.
    headers: VecDeque<Link>,
    /// Where the next one must be.
    next: u64,
    /// Of all of them.
    weight: u32,
    open: bool,
    begins: bool,
    /// Candidates in its chunks that are not its headers, nor overlap with one.
    others: usize,
}

/// One of a chain's headers.
struct Link {
    place: Place,
    fit: Fit,
    /// A segment begins with it.
    begins: bool,
}

/// The search through one direction's chunks, while it is not known where in its frames it is.
#[derive(Default)]
pub(super) struct Search {
    /// The last bytes before `end`, for a header that two chunks share.
    tail: [u8; HEADER - 1],
    tail_len: u8,
    /// Behind the last chunk.
    end: u64,
    /// Candidates in the last chunk, half of those in the one before, and so on.
    recent: usize,
    /// Chains that go on behind the last chunk.
    chains: Vec<Chain>,
    /// Places looked at.
    #[cfg(test)]
    looked: u64,
}

impl Search {
    /// The next bytes, and how to judge a frame. Gives the headers of a chain that is believed; at least the last one begins in
    /// the chunk.
    pub(super) fn take(
        &mut self,
        chunk: &Chunk<'_>,
        max_frame: u32,
        fit: impl Fn(FrameHeader) -> Fit,
    ) -> Option<Vec<Place>> {
        if chunk.offset != self.end || chunk.hole > 0 {
            self.tail_len = 0;
        }
        let mut candidates = self.look(chunk, max_frame, fit);
        let mut chains = std::mem::take(&mut self.chains);
        self.recent = self.recent / 2 + candidates.len();
        self.remember(chunk);
        if candidates.len() > MOST_CANDIDATES {
            return None;
        }
        chains.extend(candidates.iter().map(|candidate| Chain { next: candidate.at, ..Chain::default() }));
        chains.into_iter().find_map(|chain| self.follow(chain, chunk, &mut candidates))
    }

    /// Bytes before this offset are missing.
    pub(super) fn gap(&mut self, end: u64) {
        self.chains.retain(|chain| chain.next >= end);
        self.tail_len = 0;
    }

    /// Whatever looks like a header, in this order.
    fn look(
        &mut self,
        chunk: &Chunk<'_>,
        max_frame: u32,
        fit: impl Fn(FrameHeader) -> Fit,
    ) -> Vec<Candidate> {
        let mut found = Vec::new();
        for at in places(chunk, self.tail_len.into(), max_frame) {
            #[cfg(test)]
            {
                self.looked += 1;
            }
            let header = self.header(chunk, at).filter(|header| is_usual_header(*header, max_frame));
            let Some(header) = header else { continue };
            let fit = fit(FrameHeader::parse(header));
            if fit != Fit::No {
                found.push(Candidate { at, header, fit, taken: false });
            }
        }
        found
    }

    /// Follows a chain through the chunk; gives its headers if it is believed. A chain that comes to a header of another is the
    /// end of that one.
    fn follow(
        &mut self,
        mut chain: Chain,
        chunk: &Chunk<'_>,
        candidates: &mut [Candidate],
    ) -> Option<Vec<Place>> {
        let (first, mut explained) = (chain.next, 0);
        while let Ok(index) = candidates.binary_search_by_key(&chain.next, |candidate| candidate.at) {
            let candidate = candidates.get_mut(index).filter(|candidate| !candidate.taken)?;
            candidate.taken = true;
            chain.add(candidate, chunk);
            explained += overlapping(candidates, index);
        }
        chain.others += candidates.len().saturating_sub(explained);
        let here = chain.headers.back().is_some_and(|link| link.place.0 >= chunk.offset);
        if chain.headers.is_empty() || chain.next + (HEADER as u64) <= chunk.end() {
            return None;
        }
        let all = chunk.segment_start && first == chunk.offset;
        let end = if chain.next == chunk.end() { 1 + u32::from(all) } else { 0 };
        if here && weight(&chain.headers) + end >= ENOUGH {
            let alone = !is_elsewhere(&chain, first, candidates);
            if end == 2 || alone && chain.weight + end >= self.enough(&chain, explained) {
                return Some(chain.headers.into_iter().map(|link| link.place).collect());
            }
            chain.shorten(ENOUGH - end);
        }
        self.keep(chain);
        None
    }

    /// What a chain must weigh that explains so many of the chunk's candidates.
    fn enough(&self, chain: &Chain, explained: usize) -> u32 {
        let others = chain.others.max(self.recent.saturating_sub(explained)) / FEW;
        ENOUGH + FOR_OTHERS * (usize::BITS - others.leading_zeros())
    }

    /// The chain goes on behind the chunk.
    fn keep(&mut self, chain: Chain) {
        if chain.headers.len() > LONGEST {
            return;
        }
        if self.chains.len() == MOST_CHAINS {
            self.chains.remove(0);
        }
        self.chains.push(chain);
    }

    /// The bytes there, as far as they were captured, in this chunk and at the end of the one before.
    fn header(&self, chunk: &Chunk<'_>, at: u64) -> Option<[u8; HEADER]> {
        let first = chunk.offset + chunk.hole;
        if let Some(from) = at.checked_sub(first) {
            return chunk.data.get(usize::try_from(from).ok()?..)?.first_chunk().copied();
        }
        let tail = self.tail.get(..usize::from(self.tail_len))?;
        let from = tail.len().checked_sub(usize::try_from(first - at).ok()?)?;
        let mut bytes = tail.get(from..)?.iter().chain(chunk.data);
        let mut header = [0; HEADER];
        for place in &mut header {
            *place = *bytes.next()?;
        }
        Some(header)
    }

    fn remember(&mut self, chunk: &Chunk<'_>) {
        self.end = chunk.end();
        let captured = chunk.hole + chunk.data.len() as u64 == chunk.len;
        let before = self.tail.get(..usize::from(self.tail_len)).unwrap_or_default();
        let data = chunk.data.get(chunk.data.len().saturating_sub(HEADER - 1)..).unwrap_or_default();
        let last: Vec<u8> = before.iter().chain(data).copied().collect();
        let kept = last.get(last.len().saturating_sub(HEADER - 1)..).unwrap_or_default();
        self.tail_len = if captured { kept.len() as u8 } else { 0 };
        self.tail.iter_mut().zip(kept).for_each(|(place, byte)| *place = *byte);
    }
}

impl Chain {
    fn add(&mut self, candidate: &Candidate, chunk: &Chunk<'_>) {
        let Candidate { at, header, fit, .. } = *candidate;
        let length = FrameHeader::parse(header).length;
        let (open, begins) = (fit == Fit::Open, chunk.segment_start && at == chunk.offset);
        self.headers.push_back(Link { place: (at, header), fit, begins });
        self.weight +=
            weighs(length, fit) + u32::from(open && !self.open) + u32::from(begins && !self.begins);
        (self.open, self.begins) = (self.open || open, self.begins || begins);
        self.next = at + HEADER as u64 + u64::from(length);
    }

    /// Drops the first headers, until the others weigh less than this.
    fn shorten(&mut self, enough: u32) {
        while weight(&self.headers) >= enough {
            self.headers.pop_front();
        }
    }
}

fn weighs(length: u32, fit: Fit) -> u32 {
    u32::from(length > 0 && fit != Fit::Weightless)
}

fn weight(headers: &VecDeque<Link>) -> u32 {
    let each = headers.iter().map(|link| weighs(FrameHeader::parse(link.place.1).length, link.fit));
    let open = headers.iter().any(|link| link.fit == Fit::Open);
    let begins = headers.iter().any(|link| link.begins);
    each.sum::<u32>() + u32::from(open) + u32::from(begins)
}

/// How many candidates overlap with the one at this index, which is one of them: the bytes of a header may seem to begin others.
fn overlapping(candidates: &[Candidate], index: usize) -> usize {
    let Some(own) = candidates.get(index).map(|candidate| candidate.at) else { return 0 };
    let near = |candidate: &&Candidate| candidate.at.abs_diff(own) < HEADER as u64;
    let before = candidates.iter().take(index).rev().take_while(near).count();
    before + candidates.iter().skip(index).take_while(near).count()
}

/// Whether a chain's last header is elsewhere, too, behind where it began here: then it is a pattern of the payload.
fn is_elsewhere(chain: &Chain, first: u64, candidates: &[Candidate]) -> bool {
    let Some(Link { place: (_, last), .. }) = chain.headers.back() else { return false };
    let own = |at: u64| chain.headers.iter().any(|link| link.place.0 == at);
    candidates.iter().any(|other| other.at > first && other.header == *last && !own(other.at))
}

/// Where a header may begin: in the last bytes of the chunk before, and at every zero, which all headers but those of long
/// frames begin with.
fn places(chunk: &Chunk<'_>, tail: u64, max_frame: u32) -> impl Iterator<Item = u64> {
    let first = chunk.offset + chunk.hole;
    let zeros = memchr_iter(0, chunk.data).filter(move |_| max_frame < LONG_FRAME);
    let every = if max_frame < LONG_FRAME { 0 } else { chunk.data.len() as u64 };
    (first - tail..first).chain(zeros.map(move |at| first + at as u64)).chain(first..first + every)
}

#[cfg(test)]
mod tests;

//! A head that is longer than may be buffered: what matters of it is kept, its other lines are passed over as they come.
use memchr::{memchr, memchr2};

use super::{
    super::{
        direction::Direction,
        stream::Chunk,
        work::{HEAD_BYTES, Work},
    },
    field::LineKind,
    head::Parsed,
    lines::HeadEnd,
    reader::{HeadStep, Reader},
};
use crate::Anomaly;

/// The start line and the lines that matter may have so many bytes, or as many as a whole head where that is more. The
/// same as for a header block of HTTP/2.
const ROOM: usize = 64 * 1024;
/// By so many bytes of a line it must be known whether the line matters.
const BEGINNING: usize = 256;
/// What stands for a line that was passed over, where the next one must not seem to fold onto the one before.
const PLACEHOLDER: &[u8] = b"x:\r\n";

/// A head of which not all has come.
pub(super) enum Partial {
    /// As it came.
    Whole {
        bytes: Vec<u8>,
        end: HeadEnd,
    },
    Long(LongHead),
}

/// A head that is too long to be kept whole, as far as it came.
pub(in super::super) struct LongHead {
    /// The start line and the lines that matter, with their ends, and what is kept of the line that is coming.
    kept: Vec<u8>,
    /// Where in that the line begins.
    line_at: usize,
    /// Where in the stream the line begins.
    line_start: u64,
    fate: Fate,
    /// The last line was passed over, and what folds onto it is, too.
    passed: bool,
    /// Of a line that is passed over, the last byte was a CR.
    cr: bool,
    /// For redaction: what folds onto the last line is masked.
    sensitive: bool,
}

/// What is done with the line that is coming.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Fate {
    /// Too little of it came to tell; that is kept.
    Open,
    Kept,
    Passed,
}

/// What bytes did for a head.
enum Fed {
    /// More are needed.
    More,
    /// It ends behind so many of them.
    End(usize),
    /// Nobody can tell what it says, or too much of it matters.
    Bad,
}

impl LongHead {
    fn new(start: u64) -> Self {
        Self {
            kept: Vec::new(),
            line_at: 0,
            line_start: start,
            fate: Fate::Kept,
            passed: false,
            cr: false,
            sensitive: false,
        }
    }

    /// What is kept of it: it begins with the start line.
    pub(super) fn kept(&self) -> &[u8] {
        &self.kept
    }

    /// The next bytes, which are here in the stream.
    fn feed(&mut self, offset: u64, bytes: &[u8], direction: Direction, work: &mut Work<'_>) -> Fed {
        let mut taken = 0;
        while let Some(rest) = bytes.get(taken..).filter(|rest| !rest.is_empty()) {
            let len = memchr(b'\n', rest).map_or(rest.len(), |at| at + 1);
            let part = rest.get(..len).unwrap_or_default();
            let at = offset + taken as u64;
            taken += len;
            let bad = if self.fate == Fate::Passed {
                !self.pass(at, part, direction, work)
            } else {
                !self.keep(part, direction, work)
            };
            if bad {
                return Fed::Bad;
            }
            if part.ends_with(b"\n") {
                if self.end_line(direction, work) {
                    return Fed::End(taken);
                }
                self.line_start = offset + taken as u64;
            }
        }
        Fed::More
    }

    /// A part of a line that may matter; says whether all is well.
    fn keep(&mut self, part: &[u8], direction: Direction, work: &mut Work<'_>) -> bool {
        self.kept.extend_from_slice(part);
        if self.kept.len() > room(work) {
            return false;
        }
        let line = self.line();
        if self.fate == Fate::Kept || line.ends_with(b"\n") || line.len() < BEGINNING {
            return true;
        }
        match LineKind::of(line) {
            LineKind::Matters => self.fate = Fate::Kept,
            LineKind::Fold if !self.passed => self.fate = Fate::Kept,
            LineKind::NoField => return false,
            LineKind::Fold | LineKind::Other => return self.begin_passing(direction, work),
        }
        true
    }

    /// The line that is coming does not matter. But with a byte in it that no value has it may hide one that does, for
    /// somebody.
    fn begin_passing(&mut self, direction: Direction, work: &mut Work<'_>) -> bool {
        let beginning = self.kept.split_off(self.line_at);
        (self.fate, self.passed, self.sensitive) = (Fate::Passed, true, true);
        let plain = self.is_plain(&beginning);
        if plain {
            work.safe_passed(direction, self.line_start, &beginning, true);
        }
        plain
    }

    fn pass(&mut self, at: u64, part: &[u8], direction: Direction, work: &mut Work<'_>) -> bool {
        let plain = self.is_plain(part);
        if plain {
            work.safe_passed(direction, at, part, false);
        }
        plain
    }

    /// Whether a part of a line has no CR but that of its end, and no NUL.
    fn is_plain(&mut self, part: &[u8]) -> bool {
        let cr = std::mem::replace(&mut self.cr, part.ends_with(b"\r"));
        let text = part.strip_suffix(b"\n").unwrap_or(part);
        let text = text.strip_suffix(b"\r").unwrap_or(text);
        memchr2(b'\r', 0, text).is_none() && !(cr && part != b"\n")
    }

    /// A line is whole; says whether it ends the head.
    fn end_line(&mut self, direction: Direction, work: &mut Work<'_>) -> bool {
        self.tell(direction, work);
        self.cr = false;
        if std::mem::replace(&mut self.fate, Fate::Open) == Fate::Passed {
            return false;
        }
        let is_start = self.line_at == 0;
        let text = text(self.line());
        if text.is_empty() && !is_start {
            return true;
        }
        let plain = memchr2(b'\r', 0, text).is_none();
        let kind = LineKind::of(text);
        let goes = plain && !is_start && (kind == LineKind::Other || kind == LineKind::Fold && self.passed);
        if goes {
            self.kept.truncate(self.line_at);
        } else if kind == LineKind::Fold && self.passed {
            let at = self.line_at;
            self.kept.splice(at..at, PLACEHOLDER.iter().copied());
        }
        self.passed = goes;
        self.line_at = self.kept.len();
        false
    }

    /// What is kept of the line that is coming.
    fn line(&self) -> &[u8] {
        self.kept.get(self.line_at..).unwrap_or_default()
    }

    /// Says what of the line that is coming may be seen by others, as far as it is kept.
    pub(super) fn tell(&mut self, direction: Direction, work: &mut Work<'_>) {
        let line = self.kept.get(self.line_at..).unwrap_or_default();
        if self.line_at == 0 {
            work.safe_head(direction, self.line_start, line);
        } else if self.fate != Fate::Passed {
            self.sensitive = work.safe_field(direction, self.line_start, line, self.sensitive);
        }
    }
}

/// Without its end.
fn text(line: &[u8]) -> &[u8] {
    let line = line.strip_suffix(b"\n").unwrap_or(line);
    line.strip_suffix(b"\r").unwrap_or(line)
}

/// What may be kept of one head. With half of all room for heads in use no more than of a short one: who holds much gives
/// way before the many that hold little.
fn room(work: &Work<'_>) -> usize {
    let limit = work.config.max_header_bytes;
    if work.tally.heads > HEAD_BYTES / 2 { limit } else { limit.max(ROOM) }
}

impl Reader {
    /// Whether it is a head that is longer than may be buffered.
    pub(in super::super) fn is_long(&self) -> bool {
        matches!(self.partial.as_deref(), Some(Partial::Long(_)))
    }

    /// The head is longer than may be buffered: what of it came, and what comes, is looked at line by line.
    pub(super) fn long<T>(
        &mut self,
        direction: Direction,
        chunk: &mut Chunk<'_>,
        work: &mut Work<'_>,
        parse: impl Fn(&[u8], usize) -> Parsed<T>,
    ) -> HeadStep<T> {
        work.tally.count(Anomaly::HeaderTooLarge);
        self.odd.insert(Anomaly::HeaderTooLarge);
        let begun = self.take_partial(direction, work);
        work.decoded(direction, begun.len() as u64);
        self.span.bytes += begun.len() as u64;
        let mut head = LongHead::new(self.start);
        let fed = head.feed(self.start, &begun, direction, work);
        work.tally.heads += head.kept().len() as u64;
        self.partial = Some(Box::new(Partial::Long(head)));
        match fed {
            Fed::More => self.more_long(direction, chunk, work, parse),
            Fed::End(_) | Fed::Bad => HeadStep::Failed(Anomaly::Garbage),
        }
    }

    /// More bytes of such a head.
    pub(super) fn more_long<T>(
        &mut self,
        direction: Direction,
        chunk: &mut Chunk<'_>,
        work: &mut Work<'_>,
        parse: impl Fn(&[u8], usize) -> Parsed<T>,
    ) -> HeadStep<T> {
        let bytes = chunk.front();
        let Some(Partial::Long(head)) = self.partial.as_deref_mut() else {
            return HeadStep::Failed(Anomaly::Garbage);
        };
        let before = head.kept().len() as u64;
        let fed = head.feed(chunk.offset, bytes, direction, work);
        work.tally.heads = work.tally.heads.saturating_sub(before) + head.kept().len() as u64;
        let taken = match fed {
            _ if work.tally.heads > HEAD_BYTES => {
                work.tally.head_overflows += 1;
                return HeadStep::Failed(Anomaly::Evicted);
            }
            Fed::End(taken) => taken,
            Fed::More if bytes.len() as u64 == chunk.len => {
                self.take_head(direction, chunk, chunk.len, work);
                return HeadStep::Partial;
            }
            Fed::More => return HeadStep::Failed(Anomaly::Gap),
            Fed::Bad => return HeadStep::Failed(Anomaly::Garbage),
        };
        let Parsed::Complete(parsed, _) = parse(head.kept(), usize::MAX) else {
            return HeadStep::Failed(Anomaly::Garbage);
        };
        self.release(work);
        self.take_head(direction, chunk, taken as u64, work);
        HeadStep::Complete(parsed)
    }
}

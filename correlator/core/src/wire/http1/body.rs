//! Where a message's body ends (RFC 9112, 6 and 7), over bytes that nobody captured too.
use super::{
    super::{
        redaction::MASK,
        stream::Chunk,
        stretch::{ChunkEnd, ChunkRun, Stretch},
    },
    head::Framing,
};

/// The extension of one chunk, and the trailers of a message, may have this many bytes.
const MAX_EXTRA: u32 = 64 * 1024;

/// A message's body, as far as it came.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in super::super) enum Body {
    /// So many bytes are left.
    Fixed(u64),
    Chunked(Chunked),
    UntilClose,
}

/// A place in a chunked body.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in super::super) struct Chunked {
    at: At,
    /// Bytes so far of the extension, or of the trailers.
    extra: u32,
    /// Lines with a size so far.
    lines: u32,
    rhythm: Rhythm,
}

/// How far chunks are from each other: who sends a large body mostly sends pieces of one size.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Rhythm {
    /// Bytes that came since the last line with a size was over, where that is known.
    since: Option<u64>,
    /// Bytes between the last two.
    last: u64,
    /// It was as many between the two before.
    alike: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum At {
    /// In the size: its value so far, and whether it has digits.
    Size(u64, bool),
    /// Behind the size, before the line's end.
    Extension(u64),
    /// In the data: so much is left.
    Data(u64),
    /// At the line's end behind the data.
    DataEnd,
    /// In the trailer section; whether its line is blank so far.
    Trailer(bool),
}

/// What a chunk of the stream did to a body.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(in super::super) struct Progress {
    /// Bytes of the chunk that belong to the message.
    pub(in super::super) bytes: u64,
    /// Of these, bytes of the body itself.
    pub(in super::super) body_bytes: u64,
    pub(in super::super) state: Reached,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(in super::super) enum Reached {
    #[default]
    Within,
    End,
    /// What should be framing is none, or was not captured.
    Lost,
}

impl Body {
    /// The body behind a head; nothing where the framing is unknown.
    pub(in super::super) fn new(framing: Framing) -> Option<Self> {
        match framing {
            Framing::Length(bytes) => Some(Self::Fixed(bytes)),
            Framing::Chunked => Some(Self::Chunked(Chunked::new())),
            Framing::UntilClose => Some(Self::UntilClose),
            Framing::Unknown => None,
        }
    }

    /// How many bytes from here on belong to the message whatever they are.
    pub(in super::super) fn known_ahead(&self) -> u64 {
        match *self {
            Self::Fixed(left) => left,
            Self::Chunked(Chunked { at: At::Data(left), .. }) => left,
            Self::Chunked(_) => 0,
            Self::UntilClose => u64::MAX,
        }
    }

    pub(in super::super) fn is_complete(&self) -> bool {
        *self == Self::Fixed(0)
    }

    /// Takes bytes that are known by number only.
    pub(in super::super) fn skip(&mut self, bytes: u64) -> Progress {
        let taken = bytes.min(self.known_ahead());
        match self {
            Self::Fixed(left) => *left -= taken,
            Self::Chunked(chunked) => chunked.skip(taken),
            Self::UntilClose => {}
        }
        let state = match self {
            Self::Fixed(0) => Reached::End,
            _ if taken < bytes => Reached::Lost,
            _ => Reached::Within,
        };
        Progress { bytes: taken, body_bytes: taken, state }
    }

    /// Takes what of the chunk belongs to the message.
    pub(in super::super) fn take(&mut self, chunk: &mut Chunk<'_>) -> Progress {
        let mut total = self.take_run(chunk).unwrap_or_default();
        while chunk.len > 0 && total.state == Reached::Within {
            let step = self.step(chunk);
            chunk.advance(step.bytes);
            total.bytes += step.bytes;
            total.body_bytes += step.body_bytes;
            total.state = step.state;
        }
        total
    }

    /// Takes the chunks that a program read.
    fn take_run(&mut self, chunk: &mut Chunk<'_>) -> Option<Progress> {
        let Self::Chunked(chunked) = self else { return None };
        let Some(Stretch::Chunks(run)) = chunk.stretch else { return None };
        let (part, _) = chunk.take_stretch()?;
        Some(chunked.pass(run, part.len))
    }

    /// Gives the framing in the chunk, with nothing in it but sizes and the ends of lines.
    pub(in super::super) fn framing(mut self, chunk: &Chunk<'_>, mut give: impl FnMut(u64, &[u8])) {
        let mut chunk = *chunk;
        let mut state = self.take_run(&mut chunk).unwrap_or_default().state;
        while chunk.len > 0 && state == Reached::Within {
            let before = self;
            let step = self.step(&chunk);
            if let Self::Chunked(chunked) = before
                && chunked.is_framing()
            {
                let taken = chunk.front().get(..step.bytes as usize).unwrap_or_default();
                give(chunk.offset, &chunked.masked(taken));
            }
            chunk.advance(step.bytes);
            state = step.state;
        }
    }

    fn step(&mut self, chunk: &Chunk<'_>) -> Progress {
        match self {
            Self::Chunked(chunked) if chunked.is_framing() => chunked.framing(chunk.front()),
            _ => {
                let ahead = chunk.len.min(self.known_ahead());
                self.skip(ahead)
            }
        }
    }
}

impl Chunked {
    fn new() -> Self {
        Self { at: At::Size(0, false), extra: 0, lines: 0, rhythm: Rhythm::default() }
    }

    /// How many bytes of chunks come next, where the place in the body is one at which a program can begin to read: in a
    /// chunk, or before a line with a size.
    pub(in super::super) fn place(self) -> Option<u64> {
        match self.at {
            At::Data(left) => Some(left),
            At::Size(_, false) => Some(0),
            _ => None,
        }
    }

    /// Whether a chunk ends, or a line with a size begins here. Which of them a program takes it for shows at once: none begins
    /// with what the other one begins with.
    pub(in super::super) fn is_between_chunks(self) -> bool {
        matches!(self.at, At::DataEnd | At::Size(_, false))
    }

    /// Bytes from one chunk's end to the next one's, where the last two were alike; else 0.
    pub(in super::super) fn period(self) -> u32 {
        self.rhythm.period()
    }

    /// Lines with a size so far.
    pub(in super::super) fn lines(self) -> u32 {
        self.lines
    }

    fn pass(&mut self, run: ChunkRun, bytes: u64) -> Progress {
        self.lines = self.lines.saturating_add(run.lines);
        // What came of a chunk since its line, and of the next one's: the program does not say.
        self.rhythm.since = None;
        (self.at, self.extra) = match run.end {
            ChunkEnd::Data(left) => (At::Data(left), 0),
            ChunkEnd::DataEnd => (At::DataEnd, 0),
            ChunkEnd::Size(size, has_digits) => (At::Size(size, has_digits), 0),
            ChunkEnd::Extension(size, bytes) => (At::Extension(size), bytes),
        };
        Progress { bytes, body_bytes: u64::from(run.body).min(bytes), state: Reached::Within }
    }

    fn is_framing(&self) -> bool {
        !matches!(self.at, At::Data(_))
    }

    fn skip(&mut self, bytes: u64) {
        self.rhythm.pass(bytes);
        if let At::Data(left) = &mut self.at {
            *left -= bytes;
            if *left == 0 {
                self.at = At::DataEnd;
            }
        }
    }

    /// Takes framing until data begins, the bytes end, or the body does.
    fn framing(&mut self, bytes: &[u8]) -> Progress {
        let progress = |bytes, state| Progress { bytes, body_bytes: 0, state };
        for (taken, byte) in (1..).zip(bytes) {
            self.rhythm.pass(1);
            match self.next(*byte) {
                Next::At(at) => {
                    self.at = at;
                    if !self.is_framing() {
                        self.lines = self.lines.saturating_add(1);
                        self.rhythm.line();
                    }
                }
                Next::End => return progress(taken, Reached::End),
                Next::Bad => return progress(taken, Reached::Lost),
            }
            if !self.is_framing() {
                return progress(taken, Reached::Within);
            }
        }
        let not_captured = bytes.is_empty();
        progress(bytes.len() as u64, if not_captured { Reached::Lost } else { Reached::Within })
    }

    fn next(&mut self, byte: u8) -> Next {
        match (self.at, byte) {
            (At::Size(size, _), b'0'..=b'9' | b'a'..=b'f' | b'A'..=b'F') => digit(size, byte),
            (At::Size(size, true) | At::Extension(size), b'\n') => {
                self.extra = 0;
                line_end(size)
            }
            (At::Size(size, true), b'\r' | b';' | b' ' | b'\t') => Next::At(At::Extension(size)),
            (At::Extension(_), _) => self.extra(self.at),
            (At::DataEnd, b'\r') => Next::At(At::DataEnd),
            (At::DataEnd, b'\n') => Next::At(At::Size(0, false)),
            (At::Trailer(true), b'\n') => Next::End,
            (At::Trailer(false), b'\n') => Next::At(At::Trailer(true)),
            (At::Trailer(blank), b'\r') => Next::At(At::Trailer(blank)),
            (At::Trailer(_), _) => self.extra(At::Trailer(false)),
            _ => Next::Bad,
        }
    }

    /// Framing without extensions and trailers.
    fn masked(mut self, bytes: &[u8]) -> Vec<u8> {
        let mut mask = |byte: &u8| {
            let secret =
                matches!(self.at, At::Extension(_) | At::Trailer(_)) && !matches!(byte, b'\r' | b'\n');
            if let Next::At(at) = self.next(*byte) {
                self.at = at;
            }
            if secret { MASK } else { *byte }
        };
        bytes.iter().map(&mut mask).collect()
    }

    fn extra(&mut self, at: At) -> Next {
        self.extra = self.extra.saturating_add(1);
        if self.extra <= MAX_EXTRA { Next::At(at) } else { Next::Bad }
    }
}

impl Rhythm {
    fn period(self) -> u32 {
        if self.alike { u32::try_from(self.last).unwrap_or(0) } else { 0 }
    }

    fn pass(&mut self, bytes: u64) {
        self.since = self.since.map(|since| since.saturating_add(bytes));
    }

    /// A line with a size is over.
    fn line(&mut self) {
        if let Some(since) = self.since.replace(0) {
            self.alike = since == self.last;
            self.last = since;
        }
    }
}

/// Where one byte of framing leads.
enum Next {
    At(At),
    End,
    /// It cannot stand there.
    Bad,
}

/// One more digit of a size; no size has more than 64 bits.
fn digit(size: u64, byte: u8) -> Next {
    let digit = char::from(byte).to_digit(16).map(u64::from);
    match (size.checked_mul(16), digit) {
        (Some(size), Some(digit)) => Next::At(At::Size(size + digit, true)),
        _ => Next::Bad,
    }
}

/// A size's line is over: the last chunk is the one of size 0.
fn line_end(size: u64) -> Next {
    Next::At(if size == 0 { At::Trailer(true) } else { At::Data(size) })
}

//! The fields of a head: which of them matter, and what they say together of where the message ends (RFC 9112, 6.3).
//!
//! weft follows what real ends do with lines that break the grammar: skip them. But a line that a lenient end could
//! take for Content-Length or Transfer-Encoding, and a strict one would not, leaves the message's end unknown.
use std::ops::Range;

use memchr::memchr2;

use super::head::{Framing, Kind};
use crate::propagation::{PropagationReader, TraceField};

/// What is known of a message from its fields.
#[derive(Default)]
pub(super) struct Fields<'a> {
    pub(super) host: Option<&'a [u8]>,
    /// Upgrade names h2c.
    pub(super) h2c: bool,
    pub(super) propagation: PropagationReader,
    /// Some line is no field (RFC 9112, 5), or its value has bytes that no value has (RFC 9110, 5.5).
    pub(super) malformed: bool,
    /// Such a line may frame the message.
    hidden: bool,
    length: Length,
    coding: Option<Coding>,
}

/// What the Content-Length fields say together.
#[derive(Clone, Copy, Default, PartialEq, Eq)]
enum Length {
    #[default]
    Absent,
    Bytes(u64),
    Conflicting,
}

/// The last transfer coding.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Coding {
    Chunked,
    Other,
}

/// Fields that matter.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Name {
    Host,
    Upgrade,
    ContentLength,
    TransferEncoding,
    Trace(TraceField),
}

/// Takes the lines of a head one by one, and gives each field on when it is whole: its value may go on in the next line
/// (obsolete folding, RFC 9112, 5.2).
pub(super) struct FieldReader<'a> {
    bytes: &'a [u8],
    kind: Kind,
    fields: Fields<'a>,
    /// The field that the next line may belong to, if it matters, and where its value is.
    open: Option<(Name, Range<usize>)>,
    /// There was a field line before.
    begun: bool,
}

impl<'a> FieldReader<'a> {
    pub(super) fn new(bytes: &'a [u8], kind: Kind) -> Self {
        Self { bytes, kind, fields: Fields::default(), open: None, begun: false }
    }

    /// The head is over.
    pub(super) fn finish(mut self) -> Fields<'a> {
        self.close();
        self.fields
    }

    /// The next line.
    pub(super) fn line(&mut self, range: Range<usize>) {
        let line = self.bytes.get(range.clone()).unwrap_or_default();
        self.odd_bytes(line);
        if matches!(line, [b' ' | b'\t', ..]) {
            return self.fold(range, line);
        }
        self.close();
        self.begun = true;
        let name = line.iter().take_while(|byte| is_token(**byte)).count();
        let blank = line.iter().skip(name).take_while(|byte| matches!(byte, b' ' | b'\t')).count();
        let blank_is_taken = blank == 0 || self.kind == Kind::Response;
        if name == 0 || line.get(name + blank) != Some(&b':') || !blank_is_taken {
            return self.no_field(line);
        }
        let value = range.start + name + blank + 1..range.end;
        self.open = Name::of(line.get(..name).unwrap_or_default()).map(|name| (name, value));
    }

    /// RFC 9112, 5.2: the value goes on. 2.2: before the first field such a line is skipped.
    fn fold(&mut self, range: Range<usize>, line: &[u8]) {
        match &mut self.open {
            Some((_, value)) => value.end = range.end,
            None if !self.begun => self.no_field(line),
            None => {}
        }
    }

    fn no_field(&mut self, line: &[u8]) {
        self.fields.malformed = true;
        self.fields.hidden |= hides_framing(line);
    }

    /// A bare CR ends a line for some, NUL ends a text.
    fn odd_bytes(&mut self, line: &[u8]) {
        if memchr2(b'\r', 0, line).is_some() {
            self.fields.malformed = true;
            self.fields.hidden |= line.split(|byte| *byte == b'\r').skip(1).any(hides_framing);
        }
    }

    /// The open field's value is whole.
    fn close(&mut self) {
        let Some((name, value)) = self.open.take() else { return };
        let whole = self.bytes.get(value).unwrap_or_default();
        let value = trim(whole);
        let fields = &mut self.fields;
        match name {
            Name::Host => fields.host = Some(trim(before_bare_cr(whole))),
            Name::Upgrade => fields.h2c |= value.split(|byte| *byte == b',').any(is_h2c),
            Name::ContentLength => fields.length = length(fields.length, value),
            Name::TransferEncoding => fields.coding = coding(fields.coding, value),
            Name::Trace(field) => fields.propagation.take(field, value),
        }
    }
}

impl Name {
    /// By its length first: few names have one of these.
    fn of(name: &[u8]) -> Option<Self> {
        match name.len() {
            4 if is(name, b"host") => Some(Self::Host),
            7 if is(name, b"upgrade") => Some(Self::Upgrade),
            14 if is(name, b"content-length") => Some(Self::ContentLength),
            17 if is(name, b"transfer-encoding") => Some(Self::TransferEncoding),
            _ => TraceField::of(name).map(Self::Trace),
        }
    }
}

/// What a line of a head is, by its beginning.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum LineKind {
    /// The field before goes on (RFC 9112, 5.2).
    Fold,
    /// A field that matters.
    Matters,
    /// Any other field.
    Other,
    /// None, or not for everybody.
    NoField,
}

impl LineKind {
    pub(super) fn of(line: &[u8]) -> Self {
        let name = line.iter().take_while(|byte| is_token(**byte)).count();
        let (name, rest) = line.split_at_checked(name).unwrap_or_default();
        match rest {
            [b' ' | b'\t', ..] if name.is_empty() => Self::Fold,
            [b':', ..] if !name.is_empty() && Name::of(name).is_some() => Self::Matters,
            [b':', ..] if !name.is_empty() => Self::Other,
            _ => Self::NoField,
        }
    }
}

/// RFC 7540, 3.2.
fn is_h2c(protocol: &[u8]) -> bool {
    trim(protocol).eq_ignore_ascii_case(b"h2c")
}

/// Whether somebody who drops the bytes that no name has would see a field here that frames the message.
pub(in super::super) fn hides_framing(line: &[u8]) -> bool {
    let name = line.split(|byte| *byte == b':').next().unwrap_or_default();
    let name: Vec<u8> = name.iter().copied().filter(|byte| is_token(*byte)).take(18).collect();
    matches!(Name::of(&name), Some(Name::ContentLength | Name::TransferEncoding))
}

impl Fields<'_> {
    /// RFC 9112, 6.3, from item 3 on: what delimits the body, and whether the fields contradict each other. Where both
    /// ends may see different lengths, or 6.1 calls the framing faulty (a transfer coding in HTTP/1.0), nobody can tell.
    pub(super) fn framing(&self, kind: Kind, minor: u8) -> (Framing, bool) {
        let (other, none) = match kind {
            Kind::Request => (Framing::Unknown, Framing::Length(0)),
            Kind::Response => (Framing::UntilClose, Framing::UntilClose),
        };
        match (self.coding, self.length) {
            _ if self.hidden => (Framing::Unknown, true),
            (Some(_), _) if minor == 0 => (Framing::Unknown, true),
            (Some(Coding::Chunked), length) => (Framing::Chunked, length != Length::Absent),
            (Some(Coding::Other), length) => (other, length != Length::Absent),
            (None, Length::Conflicting) => (Framing::Unknown, true),
            (None, Length::Bytes(bytes)) => (Framing::Length(bytes), false),
            (None, Length::Absent) => (none, false),
        }
    }
}

/// Several lengths are one when all are the same (RFC 9110, 8.6).
fn length(before: Length, value: &[u8]) -> Length {
    value.split(|byte| *byte == b',').fold(before, |before, text| match (before, decimal(trim(text))) {
        (Length::Absent, Some(bytes)) => Length::Bytes(bytes),
        (Length::Bytes(old), Some(new)) if old == new => before,
        _ => Length::Conflicting,
    })
}

fn decimal(text: &[u8]) -> Option<u64> {
    if text.is_empty() {
        return None;
    }
    text.iter().try_fold(0_u64, |value, byte| {
        let digit = byte.is_ascii_digit().then(|| u64::from(byte - b'0'))?;
        value.checked_mul(10)?.checked_add(digit)
    })
}

/// The last coding of all the fields together.
fn coding(before: Option<Coding>, value: &[u8]) -> Option<Coding> {
    match list(value).last() {
        Some(last) if is(last, b"chunked") => Some(Coding::Chunked),
        Some(_) => Some(Coding::Other),
        None => before.or(Some(Coding::Other)),
    }
}

/// A bare CR may be a line's end (RFC 9112, 2.2): what is behind it is another field then.
fn before_bare_cr(value: &[u8]) -> &[u8] {
    let behind = value.iter().skip(1).map(Some).chain([None]);
    let bare = value.iter().zip(behind).position(|(byte, next)| *byte == b'\r' && next != Some(&b'\n'));
    value.get(..bare.unwrap_or(value.len())).unwrap_or(value)
}

/// The elements of a list; empty ones are none (RFC 9110, 5.6.1).
fn list(value: &[u8]) -> impl Iterator<Item = &[u8]> {
    value.split(|byte| *byte == b',').map(trim).filter(|element| !element.is_empty())
}

/// Without white space around it: a fold is white space, and so is a bare CR (RFC 9112, 5.2 and 2.2).
fn trim(mut value: &[u8]) -> &[u8] {
    while let [b' ' | b'\t' | b'\r' | b'\n', rest @ ..] | [rest @ .., b' ' | b'\t' | b'\r' | b'\n'] = value {
        value = rest;
    }
    value
}

/// Names and codings have no case.
fn is(text: &[u8], lower: &[u8]) -> bool {
    text.eq_ignore_ascii_case(lower)
}

/// RFC 9110, 5.6.2: tchar.
pub(in super::super) fn is_token(byte: u8) -> bool {
    static TOKENS: [bool; 256] = tokens();
    TOKENS.get(usize::from(byte)).copied().unwrap_or(false)
}

const fn tokens() -> [bool; 256] {
    let mut tokens = [false; 256];
    let text = b"!#$%&'*+-.^_`|~0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";
    let mut index = 0;
    while index < text.len() {
        tokens[text[index] as usize] = true;
        index += 1;
    }
    tokens
}

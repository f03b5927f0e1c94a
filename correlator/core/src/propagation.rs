//! What a request's own fields say of the trace that it belongs to: W3C Trace Context, B3 in both its forms, and
//! `x-request-id`. Values come from strangers: what is not exactly as the format says is no value.
use crate::{SpanId, TraceId};

/// What a request says of its trace.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Propagation {
    /// The trace.
    pub trace: Option<TraceId>,
    /// The span that sent the request, as its sender names it.
    pub span: Option<SpanId>,
    /// What stands for the value of `x-request-id`: equal for equal values.
    pub request_id: Option<u64>,
}

/// The fields that matter, by their names in lower case.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum TraceField {
    TraceParent,
    B3,
    B3TraceId,
    B3SpanId,
    RequestId,
}

/// The longest value of `x-request-id` that is compared.
const MAX_REQUEST_ID: usize = 256;

impl TraceField {
    /// By its length first: few names have one of these.
    pub(crate) fn of(name: &[u8]) -> Option<Self> {
        let is = |known: &str| name.eq_ignore_ascii_case(known.as_bytes());
        match name.len() {
            2 if is("b3") => Some(Self::B3),
            11 if is("traceparent") => Some(Self::TraceParent),
            11 if is("x-b3-spanid") => Some(Self::B3SpanId),
            12 if is("x-b3-traceid") => Some(Self::B3TraceId),
            12 if is("x-request-id") => Some(Self::RequestId),
            _ => None,
        }
    }
}

/// Takes the fields of a request one by one.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct PropagationReader {
    w3c: Option<(TraceId, SpanId)>,
    b3: (Option<TraceId>, Option<SpanId>),
    request_id: Option<u64>,
}

impl PropagationReader {
    pub(crate) fn take(&mut self, field: TraceField, value: &[u8]) {
        match field {
            // Two of them are none (W3C Trace Context, 3.2): the first would be a guess.
            TraceField::TraceParent => self.w3c = trace_parent(value).filter(|_| self.w3c.is_none()),
            TraceField::B3 => self.b3 = b3(value),
            TraceField::B3TraceId => self.b3.0 = trace_id(value),
            TraceField::B3SpanId => self.b3.1 = span_id(value),
            TraceField::RequestId => self.request_id = request_id(value),
        }
    }

    /// All of it; nothing where the request says nothing.
    pub(crate) fn finish(self) -> Option<Box<Propagation>> {
        let (trace, span) = match self.w3c {
            Some((trace, span)) => (Some(trace), Some(span)),
            None => (self.b3.0, self.b3.1.filter(|_| self.b3.0.is_some())),
        };
        let said = Propagation { trace, span, request_id: self.request_id };
        (said != Propagation::default()).then(|| Box::new(said))
    }
}

/// W3C Trace Context, 3.2.2: `00-` trace-id `-` parent-id `-` flags. A later version may have more behind a dash.
fn trace_parent(value: &[u8]) -> Option<(TraceId, SpanId)> {
    let [version @ .., b'-'] = value.get(..3)? else { return None };
    let version = hex(version)?;
    let ends = value.len() == 55 || version > 0 && value.get(55) == Some(&b'-');
    if version == 0xff || !ends || value.get(35) != Some(&b'-') || value.get(52) != Some(&b'-') {
        return None;
    }
    hex(value.get(53..55)?)?;
    Some((trace_id(value.get(3..35)?)?, span_id(value.get(36..52)?)?))
}

/// B3 in one field: trace `-` span, and more; a lone sampling decision names no trace.
fn b3(value: &[u8]) -> (Option<TraceId>, Option<SpanId>) {
    let mut parts = value.split(|byte| *byte == b'-');
    let trace = parts.next().and_then(trace_id);
    (trace, parts.next().and_then(span_id))
}

/// 32 digits, or the lower 16 of them (B3). Zero is none.
fn trace_id(text: &[u8]) -> Option<TraceId> {
    let number = hex(text).filter(|_| matches!(text.len(), 16 | 32))?;
    (number != 0).then_some(TraceId(number))
}

/// 16 digits. Zero is none.
fn span_id(text: &[u8]) -> Option<SpanId> {
    let number = hex(text).filter(|_| text.len() == 16)?;
    u64::try_from(number).ok().filter(|number| *number != 0).map(SpanId)
}

/// Digits in lower case: neither format has others.
fn hex(digits: &[u8]) -> Option<u128> {
    digits.iter().try_fold(0_u128, |number, digit| {
        let digit = match digit {
            b'0'..=b'9' => digit - b'0',
            b'a'..=b'f' => digit - b'a' + 10,
            _ => return None,
        };
        Some(number << 4 | u128::from(digit))
    })
}

fn request_id(value: &[u8]) -> Option<u64> {
    let usable = !value.is_empty() && value.len() <= MAX_REQUEST_ID;
    // FNV-1a: a collision of two values that pods have open at a time is as good as impossible, unless it is made, and who
    // makes it confuses requests of its own.
    let fnv = |hash: u64, byte: &u8| (hash ^ u64::from(*byte)).wrapping_mul(0x0000_0100_0000_01b3);
    usable.then(|| value.iter().fold(0xcbf2_9ce4_8422_2325, fnv))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(fields: &[(&str, &str)]) -> Option<Propagation> {
        let mut reader = PropagationReader::default();
        for (name, value) in fields {
            TraceField::of(name.as_bytes())
                .into_iter()
                .for_each(|field| reader.take(field, value.as_bytes()));
        }
        reader.finish().map(|said| *said)
    }

    const TRACE: &str = "4bf92f3577b34da6a3ce929d0e0e4736";
    const SPAN: &str = "00f067aa0ba902b7";

    fn said() -> Option<Propagation> {
        let trace = Some(TraceId(0x4bf9_2f35_77b3_4da6_a3ce_929d_0e0e_4736));
        Some(Propagation { trace, span: Some(SpanId(0x00f0_67aa_0ba9_02b7)), request_id: None })
    }

    #[test]
    fn every_format_names_the_trace() {
        let w3c = format!("00-{TRACE}-{SPAN}-01");
        assert_eq!(read(&[("traceparent", &w3c)]), said());
        assert_eq!(read(&[("TraceParent", &format!("01-{TRACE}-{SPAN}-01-more"))]), said());
        assert_eq!(read(&[("b3", &format!("{TRACE}-{SPAN}-1-05e3ac9a4f6e3b90"))]), said());
        assert_eq!(read(&[("X-B3-TraceId", TRACE), ("x-b3-spanid", SPAN)]), said());
        assert_eq!(read(&[("b3", "e457b5a2e4d86bd1-e457b5a2e4d86bd1"), ("traceparent", &w3c)]), said());
    }

    #[test]
    fn what_is_not_as_the_format_says_is_nothing() {
        let zero = "0".repeat(32);
        for value in [
            "",
            "00",
            &format!("ff-{TRACE}-{SPAN}-01"),
            &format!("00-{TRACE}-{SPAN}-01-more"),
            &format!("00-{zero}-{SPAN}-01"),
            &format!("00-{TRACE}-0000000000000000-01"),
            &format!("00-{}-{SPAN}-01", TRACE.to_uppercase()),
            &format!("00-{TRACE}-{SPAN}-0x"),
            &format!("00-{TRACE}_{SPAN}-01"),
        ] {
            assert_eq!(read(&[("traceparent", value)]), None, "{value}");
        }
        let twice = format!("00-{TRACE}-{SPAN}-01");
        assert_eq!(read(&[("traceparent", &twice), ("traceparent", &twice)]), None);
        assert_eq!(read(&[("b3", "0")]), None);
        assert_eq!(read(&[("x-b3-spanid", SPAN)]), None);
        assert_eq!(read(&[("x-request-id", &"a".repeat(257))]), None);
    }

    #[test]
    fn request_ids_are_compared_whole() {
        let id = |value| read(&[("x-request-id", value)]).and_then(|said| said.request_id);
        assert_eq!(id("abc"), id("abc"));
        assert_ne!(id("abc"), id("abd"));
        assert_eq!(id(""), None);
    }
}

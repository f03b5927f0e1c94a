//! What is kept of a message's header fields (RFC 9113, 8.3).
use super::{
    super::text::{printable, without_user},
    grpc,
    hpack::{Field, Text},
};
use crate::propagation::{PropagationReader, TraceField};

/// A request's or a response's fields, or trailers. What is not there, and what is there and not known, is absent.
#[derive(Default)]
pub(super) struct Fields {
    pub(super) method: Option<String>,
    pub(super) path: Option<String>,
    pub(super) authority: Option<String>,
    pub(super) status: Option<u16>,
    /// `content-type` is gRPC's.
    pub(super) grpc: bool,
    pub(super) grpc_status: Option<u32>,
    pub(super) grpc_timeout: Option<u64>,
    pub(super) propagation: PropagationReader,
    /// There is a `:status`, whatever its value.
    pub(super) of_response: bool,
    /// There is a pseudo-header that requests have.
    pub(super) of_request: bool,
    /// A name is unknown, or the value of one of those above.
    pub(super) unknown: bool,
}

impl Fields {
    /// One field, in the order of coming.
    pub(super) fn take(&mut self, field: &Field<'_>, redact_query: bool) {
        let Text::Known(name) = field.name else { return self.unknown = true };
        match name {
            [b':', ..] => self.pseudo(name, field.value, redact_query),
            b"content-type" => self.grpc |= field.value.known().is_some_and(grpc::is_grpc),
            b"grpc-status" => self.grpc_status = self.known(field.value).and_then(status_of_call),
            b"grpc-timeout" => self.grpc_timeout = field.value.known().and_then(grpc::timeout_ns),
            b"host" if self.authority.is_none() => self.authority = field.value.known().map(host),
            name => self.trace(name, field.value),
        }
    }

    fn trace(&mut self, name: &[u8], value: Text<'_>) {
        if let (Some(field), Some(value)) = (TraceField::of(name), value.known()) {
            self.propagation.take(field, value);
        }
    }

    fn pseudo(&mut self, name: &[u8], value: Text<'_>, redact_query: bool) {
        self.of_request |= matches!(name, b":method" | b":path" | b":scheme" | b":authority");
        match name {
            b":method" => self.method = self.known(value).map(printable),
            b":path" => {
                self.path = self.known(value).map(|path| printable(without_query(path, redact_query)))
            }
            b":authority" => self.authority = self.known(value).map(host),
            b":status" => {
                self.of_response = true;
                self.status = self.known(value).and_then(status_code);
            }
            _ => {}
        }
    }

    fn known<'a>(&mut self, value: Text<'a>) -> Option<&'a [u8]> {
        self.unknown |= value == Text::Unknown;
        value.known()
    }
}

fn host(authority: &[u8]) -> String {
    printable(without_user(authority))
}

fn without_query(path: &[u8], redact: bool) -> &[u8] {
    let end = path.iter().position(|byte| *byte == b'?').filter(|_| redact);
    path.get(..end.unwrap_or(path.len())).unwrap_or(path)
}

/// RFC 9110, 15: three digits.
fn status_code(value: &[u8]) -> Option<u16> {
    (value.len() == 3).then_some(())?;
    grpc::decimal(value)?.try_into().ok()
}

fn status_of_call(value: &[u8]) -> Option<u32> {
    grpc::decimal(value)?.try_into().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fields(list: &[(&str, &str)], redact: bool) -> Fields {
        let mut fields = Fields::default();
        for (name, value) in list {
            let (name, value) = (Text::Known(name.as_bytes()), Text::Known(value.as_bytes()));
            fields.take(&Field { name, value, never_indexed: false }, redact);
        }
        fields
    }

    #[test]
    fn a_request() {
        let list = [
            (":method", "POST"),
            (":path", "/a?token=secret"),
            ("host", "ignored where there is an authority"),
            (":authority", "me:secret@shop:80"),
            ("content-type", "application/grpc+proto"),
            ("grpc-timeout", "2S"),
        ];
        let request = fields(&list, true);
        assert_eq!(request.method.as_deref(), Some("POST"));
        assert_eq!((request.path.as_deref(), request.authority.as_deref()), (Some("/a"), Some("shop:80")));
        assert!(request.grpc && request.of_request && !request.of_response && !request.unknown);
        assert_eq!(request.grpc_timeout, Some(2_000_000_000));
        assert_eq!(fields(&list, false).path.as_deref(), Some("/a?token=secret"));
    }

    #[test]
    fn what_is_unknown_is_absent() {
        let mut response = Fields::default();
        let name = Text::Known(b":status");
        response.take(&Field { name, value: Text::Unknown, never_indexed: false }, true);
        assert!(response.of_response && response.unknown && response.status.is_none());
        let mut any = Fields::default();
        any.take(&Field { name: Text::Unknown, value: Text::Known(b"200"), never_indexed: false }, true);
        assert!(any.unknown && !any.of_response);
    }

    #[test]
    fn statuses_that_are_none() {
        for value in ["", "20", "2000", "2x0", "-20"] {
            assert_eq!(fields(&[(":status", value)], true).status, None, "{value}");
        }
        assert_eq!(fields(&[("grpc-status", "16")], true).grpc_status, Some(16));
        assert_eq!(fields(&[("grpc-status", "99999999999")], true).grpc_status, None);
    }
}

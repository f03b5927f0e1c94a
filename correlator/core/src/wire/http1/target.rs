//! What a request is for (RFC 9112, 3.2), as text that is safe to show.
use super::{
    super::text::{printable, without_user},
    RequestHead,
};

/// A request's target, in its parts.
#[derive(Debug, PartialEq, Eq)]
pub(in super::super) struct Target {
    /// Of an absolute target, or CONNECT's; else the Host field.
    pub(in super::super) authority: Option<String>,
    /// The path; of CONNECT the authority.
    pub(in super::super) path: String,
}

impl Target {
    /// Bytes that no URI has are percent-encoded (RFC 3986, 2.1), so that whoever decodes the path gets what the server
    /// got. User information is nobody's business, in an absolute target or in the Host field.
    pub(in super::super) fn of(head: &RequestHead<'_>, redact_query: bool) -> Self {
        let (authority, path) = parts(head.method, head.target);
        let end = if redact_query { path.iter().position(|byte| *byte == b'?') } else { None };
        let path = path.get(..end.unwrap_or(path.len())).unwrap_or(path);
        let authority = authority.or(head.host.map(first_line));
        Self { authority: authority.map(without_user).map(printable), path: printable(path) }
    }
}

/// A host has no line end in it: on what is folded another field may begin.
fn first_line(host: &[u8]) -> &[u8] {
    host.split(|byte| matches!(byte, b'\r' | b'\n')).next().unwrap_or_default()
}

fn parts<'a>(method: &str, target: &'a [u8]) -> (Option<&'a [u8]>, &'a [u8]) {
    if method == "CONNECT" {
        return (Some(target), target);
    }
    let scheme =
        target.iter().take_while(|byte| byte.is_ascii_alphanumeric() || b"+-.".contains(byte)).count();
    let rest = target.get(scheme..).unwrap_or_default();
    match rest.strip_prefix(b"://") {
        Some(rest) if scheme > 0 => {
            let end = rest.iter().position(|byte| b"/?#".contains(byte)).unwrap_or(rest.len());
            let (authority, path) = rest.split_at_checked(end).unwrap_or((rest, b""));
            (Some(authority), if path.is_empty() { b"/" } else { path })
        }
        _ => (None, target),
    }
}

#[cfg(test)]
mod tests {
    use super::{
        super::head::{Parsed, request},
        *,
    };

    fn of(line: &[u8], redact_query: bool) -> (Option<String>, String) {
        let text = [line, b" HTTP/1.1\r\nHost: h\xff\r\n\r\n"].concat();
        let Parsed::Complete(head, _) = request(&text, 8192) else { panic!("no head: {line:?}") };
        let Target { authority, path } = Target::of(&head, redact_query);
        (authority, path)
    }

    #[test]
    fn every_form_has_its_parts() {
        for (line, authority, path) in [
            (&b"GET /a"[..], "h%FF", "/a"),
            (b"GET /a?b=c", "h%FF", "/a"),
            (b"GET ?b=c", "h%FF", ""),
            (b"OPTIONS *", "h%FF", "*"),
            (b"GET http://x:1/a?b", "x:1", "/a"),
            (b"GET http://x?b", "x", ""),
            (b"GET HTTPS://x", "x", "/"),
            (b"GET http://me:secret@x/", "x", "/"),
            (b"GET /http://x/", "h%FF", "/http://x/"),
            (b"CONNECT x:443", "x:443", "x:443"),
            (b"GET /a\xc3\xa9\x00\x7f\"b c", "h%FF", "/a%C3%A9%00%7F\"b%20c"),
        ] {
            let expected = (Some(authority.to_owned()), path.to_owned());
            assert_eq!(of(line, true), expected, "{:?}", String::from_utf8_lossy(line));
        }
        let text = b"GET / HTTP/1.1\r\nHost: me:secret@x:1\r\n\r\n";
        let Parsed::Complete(head, _) = request(text, 8192) else { panic!("no head") };
        assert_eq!(Target::of(&head, true).authority.as_deref(), Some("x:1"));
        let text = b"GET / HTTP/1.1\r\nHost: x:1\rCookie: a\r\n Cookie: b\r\n\r\n";
        let Parsed::Complete(head, _) = request(text, 8192) else { panic!("no head") };
        assert_eq!(Target::of(&head, true).authority.as_deref(), Some("x:1"));
        assert_eq!(of(b"GET /a?b=\xff", false).1, "/a?b=%FF");
    }
}

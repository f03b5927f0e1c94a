use proptest::prelude::*;

use super::*;

/// Records that OpenSSL 3.0 sent; the message is behind the record's header.
const CLIENT_13: &[u8] = include_bytes!("../../tests/hellos/client_13.bin");
const CLIENT_12: &[u8] = include_bytes!("../../tests/hellos/client_12.bin");
const CLIENT_BARE: &[u8] = include_bytes!("../../tests/hellos/client_bare.bin");
const SERVER_13: &[u8] = include_bytes!("../../tests/hellos/server_13.bin");
const SERVER_12: &[u8] = include_bytes!("../../tests/hellos/server_12.bin");

fn message(record: &[u8]) -> &[u8] {
    &record[5..]
}

fn extension(kind: u16, data: &[u8]) -> Vec<u8> {
    [&kind.to_be_bytes()[..], &(data.len() as u16).to_be_bytes(), data].concat()
}

/// A ClientHello with these extensions.
fn hello_with(extensions: &[u8]) -> Vec<u8> {
    let fixed = [&[3, 3][..], &[7; 32], &[0], &[0, 2, 0x13, 1], &[1, 0]].concat();
    let body = [&fixed[..], &(extensions.len() as u16).to_be_bytes(), extensions].concat();
    [&[CLIENT_HELLO][..], &(body.len() as u32).to_be_bytes()[1..], &body].concat()
}

fn named(name: &[u8]) -> Option<String> {
    let entry = [&[HOST_NAME][..], &(name.len() as u16).to_be_bytes(), name].concat();
    let list = [&(entry.len() as u16).to_be_bytes()[..], &entry].concat();
    client_hello(&hello_with(&extension(SERVER_NAME, &list))).unwrap().server_name
}

#[test]
fn what_openssl_says() {
    let offer = ClientHello {
        server_name: Some("orders.shop.svc".into()),
        protocols: vec!["h2".into(), "http/1.1".into()],
    };
    assert_eq!(client_hello(message(CLIENT_13)), Some(offer));
    assert_eq!(client_hello(message(CLIENT_12)).unwrap().protocols.len(), 2);
    assert_eq!(client_hello(message(CLIENT_BARE)), Some(ClientHello::default()));
    let (version, protocol) = (TlsVersion(0x0304), None);
    assert_eq!(server_hello(message(SERVER_13)), Some(ServerHello { version, protocol }));
    let (version, protocol) = (TlsVersion(0x0303), Some("h2".into()));
    assert_eq!(server_hello(message(SERVER_12)), Some(ServerHello { version, protocol }));
    assert_eq!((server_hello(message(CLIENT_13)), client_hello(message(SERVER_13))), (None, None));
}

#[test]
fn hostile_names_are_text() {
    assert_eq!(named(b"a.b").as_deref(), Some("a.b"));
    assert_eq!(named(b"a\"\n<\xff%").as_deref(), Some("a%22%0A%3C%FF%25"));
    assert_eq!(named(b""), None);
    assert_eq!(named(&[b'a'; 60_000]).unwrap().len(), MAX_NAME);
}

#[test]
fn extensions_that_are_cut_off_are_left_out() {
    let good = extension(ALPN, b"\x00\x03\x02h2");
    let cut = [&good[..], &[0, 0, 0xff, 0xff, 1]].concat();
    assert_eq!(client_hello(&hello_with(&cut)).unwrap().protocols, ["h2"]);
    let many = [&[0, 200][..], &b"\x01a".repeat(100)].concat();
    assert_eq!(client_hello(&hello_with(&extension(ALPN, &many))).unwrap().protocols.len(), MAX_PROTOCOLS);
    let mut old = hello_with(b"");
    old.truncate(old.len() - 2);
    old[3] -= 2;
    assert_eq!(client_hello(&old), Some(ClientHello::default()));
}

proptest! {
    #[test]
    fn any_bytes_are_read_to_an_end(
        flips in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 0..8),
        cut in any::<prop::sample::Index>(),
        client in any::<bool>(),
    ) {
        let mut bytes = message(if client { CLIENT_13 } else { SERVER_12 }).to_vec();
        for (at, byte) in flips {
            let at = at.index(bytes.len());
            bytes[at] = byte;
        }
        bytes.truncate(cut.index(bytes.len()) + 1);
        let (client, server) = (client_hello(&bytes), server_hello(&bytes));
        prop_assert!(client.is_none() || server.is_none());
    }
}

//! Appendix C of RFC 7541, with the table after each block.
use super::*;

/// A block in hex, its fields, and the table behind it: entries with the newest first, and their size.
type Example =
    (&'static str, &'static [(&'static str, &'static str)], &'static [(&'static str, &'static str)], u32);

fn bytes(hex: &str) -> Vec<u8> {
    let digits: Vec<u8> = hex.bytes().filter(u8::is_ascii_hexdigit).collect();
    let pairs = digits.chunks(2).map(|pair| std::str::from_utf8(pair).unwrap());
    pairs.map(|pair| u8::from_str_radix(pair, 16).unwrap()).collect()
}

fn check(decoder: &mut Decoder, examples: &[Example]) {
    for (hex, fields, table, size) in examples {
        let (decoded, summary) = decode(decoder, &bytes(hex)).unwrap();
        let expected: Vec<Owned> = fields.iter().map(|(name, value)| known(name, value)).collect();
        assert_eq!(decoded, expected, "{hex}");
        assert_eq!(summary, Summary { fields: fields.len() as u32, unknown: 0, oversized: 0 });
        let text = |text: &'static str| Text::Known(text.as_bytes());
        let expected = table.iter().map(|(name, value)| (text(name), text(value))).collect();
        assert_eq!(decoder.table().contents(), (expected, *size), "{hex}");
    }
}

const CACHE: (&str, &str) = ("cache-control", "no-cache");
const AUTHORITY: (&str, &str) = (":authority", "www.example.com");
const CUSTOM: (&str, &str) = ("custom-key", "custom-value");

const FIRST: &[(&str, &str)] = &[(":method", "GET"), (":scheme", "http"), (":path", "/"), AUTHORITY];
const SECOND: &[(&str, &str)] = &[(":method", "GET"), (":scheme", "http"), (":path", "/"), AUTHORITY, CACHE];
const THIRD: &[(&str, &str)] =
    &[(":method", "GET"), (":scheme", "https"), (":path", "/index.html"), AUTHORITY, CUSTOM];

const CC: (&str, &str) = ("cache-control", "private");
const DATE: (&str, &str) = ("date", "Mon, 21 Oct 2013 20:13:21 GMT");
const LATER: (&str, &str) = ("date", "Mon, 21 Oct 2013 20:13:22 GMT");
const LOCATION: (&str, &str) = ("location", "https://www.example.com");
const GZIP: (&str, &str) = ("content-encoding", "gzip");
const COOKIE: (&str, &str) = ("set-cookie", "foo=ASDJKHQKBZXOQWEOPIUAXQWEOIU; max-age=3600; version=1");
const S302: (&str, &str) = (":status", "302");
const S307: (&str, &str) = (":status", "307");

#[test]
fn c_2_representations() {
    const LITERAL: (&str, &str) = ("custom-key", "custom-header");
    const PATH: (&str, &str) = (":path", "/sample/path");
    const PASSWORD: (&str, &str) = ("password", "secret");
    check(
        &mut Decoder::new(true),
        &[("400a 6375 7374 6f6d 2d6b 6579 0d63 7573 746f 6d2d 6865 6164 6572", &[LITERAL], &[LITERAL], 55)],
    );
    check(&mut Decoder::new(true), &[("040c 2f73 616d 706c 652f 7061 7468", &[PATH], &[], 0)]);
    check(&mut Decoder::new(true), &[("1008 7061 7373 776f 7264 0673 6563 7265 74", &[PASSWORD], &[], 0)]);
    check(&mut Decoder::new(true), &[("82", &[(":method", "GET")], &[], 0)]);
}

#[test]
fn c_2_3_is_marked_as_never_indexed() {
    let mut never = Vec::new();
    let block = bytes("1008 7061 7373 776f 7264 0673 6563 7265 74 040c 2f73 616d 706c 652f 7061 7468");
    Decoder::new(true).decode(&block, &mut Vec::new(), |field| never.push(field.never_indexed)).unwrap();
    assert_eq!(never, [true, false]);
}

#[test]
fn c_3_requests_without_huffman() {
    check(
        &mut Decoder::new(true),
        &[
            ("8286 8441 0f77 7777 2e65 7861 6d70 6c65 2e63 6f6d", FIRST, &[AUTHORITY], 57),
            ("8286 84be 5808 6e6f 2d63 6163 6865", SECOND, &[CACHE, AUTHORITY], 110),
            (
                "8287 85bf 400a 6375 7374 6f6d 2d6b 6579 0c63 7573 746f 6d2d 7661 6c75 65",
                THIRD,
                &[CUSTOM, CACHE, AUTHORITY],
                164,
            ),
        ],
    );
}

#[test]
fn c_4_requests_with_huffman() {
    check(
        &mut Decoder::new(true),
        &[
            ("8286 8441 8cf1 e3c2 e5f2 3a6b a0ab 90f4 ff", FIRST, &[AUTHORITY], 57),
            ("8286 84be 5886 a8eb 1064 9cbf", SECOND, &[CACHE, AUTHORITY], 110),
            (
                "8287 85bf 4088 25a8 49e9 5ba9 7d7f 8925 a849 e95b b8e8 b4bf",
                THIRD,
                &[CUSTOM, CACHE, AUTHORITY],
                164,
            ),
        ],
    );
}

/// C.5 and C.6 have a table of 256 bytes: entries are evicted.
fn small() -> Decoder {
    let mut decoder = Decoder::new(true);
    decoder.set_limit(256);
    let size_update_to_256 = [0x3f, 0xe1, 0x01];
    decode(&mut decoder, &size_update_to_256).unwrap();
    decoder
}

#[test]
fn c_5_responses_without_huffman() {
    check(
        &mut small(),
        &[
            (
                "4803 3330 3258 0770 7269 7661 7465 611d 4d6f 6e2c 2032 3120 4f63 7420 3230 3133 2032 303a 3133 \
                 3a32 3120 474d 546e 1768 7474 7073 3a2f 2f77 7777 2e65 7861 6d70 6c65 2e63 6f6d",
                &[S302, CC, DATE, LOCATION],
                &[LOCATION, DATE, CC, S302],
                222,
            ),
            ("4803 3330 37c1 c0bf", &[S307, CC, DATE, LOCATION], &[S307, LOCATION, DATE, CC], 222),
            (
                "88c1 611d 4d6f 6e2c 2032 3120 4f63 7420 3230 3133 2032 303a 3133 3a32 3220 474d 54c0 5a04 677a \
                 6970 7738 666f 6f3d 4153 444a 4b48 514b 425a 584f 5157 454f 5049 5541 5851 5745 4f49 553b 206d \
                 6178 2d61 6765 3d33 3630 303b 2076 6572 7369 6f6e 3d31",
                &[(":status", "200"), CC, LATER, LOCATION, GZIP, COOKIE],
                &[COOKIE, GZIP, LATER],
                215,
            ),
        ],
    );
}

#[test]
fn c_6_responses_with_huffman() {
    check(
        &mut small(),
        &[
            (
                "4882 6402 5885 aec3 771a 4b61 96d0 7abe 9410 54d4 44a8 2005 9504 0b81 66e0 82a6 2d1b ff6e 919d \
                 29ad 1718 63c7 8f0b 97c8 e9ae 82ae 43d3",
                &[S302, CC, DATE, LOCATION],
                &[LOCATION, DATE, CC, S302],
                222,
            ),
            ("4883 640e ffc1 c0bf", &[S307, CC, DATE, LOCATION], &[S307, LOCATION, DATE, CC], 222),
            (
                "88c1 6196 d07a be94 1054 d444 a820 0595 040b 8166 e084 a62d 1bff c05a 839b d9ab 77ad 94e7 821d \
                 d7f2 e6c7 b335 dfdf cd5b 3960 d5af 2708 7f36 72c1 ab27 0fb5 291f 9587 3160 65c0 03ed 4ee5 b106 \
                 3d50 07",
                &[(":status", "200"), CC, LATER, LOCATION, GZIP, COOKIE],
                &[COOKIE, GZIP, LATER],
                215,
            ),
        ],
    );
}

use super::*;

mod differential;
mod examples;
mod hostile;
mod midway;

type Owned = (Option<Vec<u8>>, Option<Vec<u8>>);

/// A whole block's fields.
fn decode(decoder: &mut Decoder, block: &[u8]) -> Result<(Vec<Owned>, Summary), HpackError> {
    let mut fields = Vec::new();
    let own = |text: Text<'_>| text.known().map(<[u8]>::to_vec);
    let summary =
        decoder.decode(block, &mut Vec::new(), |field| fields.push((own(field.name), own(field.value))))?;
    Ok((fields, summary))
}

fn known(name: &str, value: &str) -> Owned {
    (Some(name.into()), Some(value.into()))
}

/// `0x40` followed by two plain strings: a literal that is inserted.
fn inserting(name: &str, value: &str) -> Vec<u8> {
    let mut block = vec![0x40];
    for text in [name, value] {
        block.push(u8::try_from(text.len()).unwrap());
        block.extend(text.as_bytes());
    }
    block
}

/// The index of a dynamic entry, the newest being 0.
fn dynamic(age: u8) -> u8 {
    0x80 | (62 + age)
}

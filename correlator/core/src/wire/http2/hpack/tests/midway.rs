//! Joined in the middle, and with blocks lost: known exactly where the entry was inserted under our eyes. The encoder here
//! is a model: it knows in which block each name and value came into its table.
use std::collections::VecDeque;

use proptest::{collection::vec, prelude::*};

use super::*;

/// A text, and the block it was written in, as a literal or from the static table: who saw that one knows it.
#[derive(Clone)]
struct Born {
    text: String,
    block: usize,
}

/// An encoder with a table of `max`.
struct Model {
    entries: VecDeque<(Born, Born)>,
    max: usize,
    block: usize,
}

/// What it may do next; numbers choose by their remainder.
#[derive(Clone, Debug)]
enum Step {
    Indexed(usize),
    /// A literal, with a name from the table if there is one, that is inserted or not.
    Literal {
        name: Option<usize>,
        inserted: bool,
        len: usize,
    },
    SizeUpdate(usize),
}

impl Model {
    fn size(entry: &(Born, Born)) -> usize {
        32 + entry.0.text.len() + entry.1.text.len()
    }

    fn evict(&mut self) {
        while self.entries.iter().map(Self::size).sum::<usize>() > self.max {
            self.entries.pop_back();
        }
    }

    fn literal_text(&self, len: usize) -> Born {
        Born { text: format!("{}-{}", self.block, "t".repeat(len)), block: self.block }
    }

    /// Writes one field; gives its name and value.
    fn field(&mut self, step: &Step, out: &mut Vec<u8>) -> Option<(Born, Born)> {
        let count = self.entries.len().min(60);
        match step {
            Step::Indexed(age) if count > 0 => {
                out.push(dynamic((age % count) as u8));
                self.entries.get(age % count).cloned()
            }
            Step::Literal { name, inserted, len } => {
                let age = name.filter(|_| count > 0).map(|age| age % count);
                Some(self.literal(age, *inserted, *len, out))
            }
            Step::Indexed(_) | Step::SizeUpdate(_) => None,
        }
    }

    fn literal(&mut self, age: Option<usize>, inserted: bool, len: usize, out: &mut Vec<u8>) -> (Born, Born) {
        let named = age.and_then(|age| self.entries.get(age));
        let name = named.map_or_else(|| self.literal_text(3), |(name, _)| name.clone());
        let value = self.literal_text(len);
        let (first, most) = if inserted { (0x40, 63) } else { (0x00, 15) };
        integer(first, most, age.map_or(0, |age| 62 + age), out);
        if age.is_none() {
            string(&name.text, out);
        }
        string(&value.text, out);
        if inserted {
            self.entries.push_front((name.clone(), value.clone()));
            self.evict();
        }
        (name, value)
    }

    fn block(&mut self, steps: &[Step]) -> (Vec<u8>, Vec<(Born, Born)>) {
        let mut out = Vec::new();
        for size in
            steps.iter().filter_map(|step| if let Step::SizeUpdate(size) = step { Some(*size) } else { None })
        {
            self.max = size;
            self.evict();
            integer(0x20, 31, size, &mut out);
        }
        let fields = steps.iter().filter_map(|step| self.field(step, &mut out)).collect();
        self.block += 1;
        (out, fields)
    }
}

/// RFC 7541, 5.1.
fn integer(first: u8, most: usize, value: usize, out: &mut Vec<u8>) {
    if value < most {
        out.push(first | value as u8);
        return;
    }
    out.push(first | most as u8);
    let mut rest = value - most;
    while rest >= 128 {
        out.push(0x80 | (rest % 128) as u8);
        rest /= 128;
    }
    out.push(rest as u8);
}

fn string(text: &str, out: &mut Vec<u8>) {
    integer(0, 127, text.len(), out);
    out.extend(text.as_bytes());
}

fn step() -> impl Strategy<Value = Step> {
    let literal = (any::<Option<usize>>(), any::<bool>(), 0..400_usize);
    prop_oneof![
        8 => any::<usize>().prop_map(Step::Indexed),
        8 => literal.prop_map(|(name, inserted, len)| Step::Literal { name, inserted, len }),
        1 => prop_oneof![Just(0), 0..4096_usize].prop_map(Step::SizeUpdate),
    ]
}

proptest! {
    /// The first block that is seen and those that are lost are any; `since` is the last block of which nothing is known.
    #[test]
    fn known_is_what_was_inserted_since(
        blocks in vec((vec(step(), 0..12), prop::bool::weighted(0.15)), 1..14),
        join in 0..6_usize,
    ) {
        let mut model = Model { entries: VecDeque::new(), max: 4096, block: 0 };
        let mut decoder = Decoder::new(join == 0);
        let mut since = join;
        for (index, (steps, lost)) in blocks.iter().enumerate() {
            let (bytes, fields) = model.block(steps);
            if index < join {
                continue;
            }
            if *lost {
                decoder.lost_block();
                since = index + 1;
                continue;
            }
            let expect = |text: &Born| (text.block >= since).then(|| text.text.clone().into_bytes());
            let expected: Vec<Owned> = fields.iter().map(|(name, value)| (expect(name), expect(value))).collect();
            let (decoded, summary) = decode(&mut decoder, &bytes).unwrap();
            let unknown = expected.iter().filter(|(name, value)| name.is_none() || value.is_none()).count();
            prop_assert_eq!(decoded, expected);
            prop_assert_eq!(summary.unknown as usize, unknown);
        }
    }
}

/// An index that leads to nothing is told from one that leads to what we missed as soon as what we know fills the table.
#[test]
fn what_fills_the_table_leaves_nothing_unknown() {
    let mut decoder = Decoder::new(false);
    let size_update_to_99 = [0x3f, 68];
    decode(&mut decoder, &size_update_to_99).unwrap();
    decode(&mut decoder, &inserting("a", "b")).unwrap();
    assert_eq!(decode(&mut decoder, &[dynamic(1)]).unwrap().0, [(None, None)]);
    decode(&mut decoder, &inserting("c", "d")).unwrap();
    decode(&mut decoder, &[dynamic(1)]).unwrap();
    assert_eq!(decode(&mut decoder, &[dynamic(2)]), Err(HpackError::Index));
}

/// A literal whose name is an entry that we missed: the entry that it makes has a value, and a place.
#[test]
fn an_unknown_name_is_inserted_with_its_value() {
    let mut decoder = Decoder::new(false);
    let block = [&[0x7e, 1, b'v'][..], &inserting("a", "b")].concat();
    assert_eq!(decode(&mut decoder, &block).unwrap().0, [(None, Some(b"v".to_vec())), known("a", "b")]);
    let (fields, summary) = decode(&mut decoder, &[dynamic(0), dynamic(1)]).unwrap();
    assert_eq!(fields, [known("a", "b"), (None, Some(b"v".to_vec()))]);
    assert_eq!(summary, Summary { fields: 2, unknown: 1, oversized: 0 });
}

/// An entry larger than what we keep takes its place, or those behind it would be mistaken for each other.
#[test]
fn an_entry_that_is_too_large_for_us_keeps_its_place() {
    let mut decoder = Decoder::new(true);
    decoder.set_limit(1 << 20);
    let mut block = Vec::new();
    integer(0x20, 31, 1 << 20, &mut block);
    block.extend(inserting("a", "b"));
    block.push(0x40);
    string("large", &mut block);
    string(&"x".repeat(70_000), &mut block);
    block.extend(inserting("c", "d"));
    decode(&mut decoder, &block).unwrap();
    let (fields, summary) = decode(&mut decoder, &[dynamic(0), dynamic(1), dynamic(2)]).unwrap();
    assert_eq!(fields, [known("c", "d"), (None, None), (None, None)]);
    assert_eq!(summary.unknown, 2);
    assert_eq!(decode(&mut decoder, &[0xff, 0xff, 0xff, 0x03]), Err(HpackError::Index));
}

use std::collections::BTreeMap;

use weft_core::Ktime;

use super::*;
use crate::{
    Registry, Settings,
    exposition::{Format, Page, Scrape},
};

const MINUTE: u64 = 60_000_000_000;

/// Keys of four bytes of a number and four of text, values of a number each.
struct Map {
    registry: Registry,
    table: Table,
    now: u64,
}

fn number(size: usize, signed: bool) -> Scalar {
    Scalar { size, signed, big_endian: false }
}

fn layout(signed: bool) -> Layout {
    let names = BTreeMap::from([("1".to_owned(), "write".to_owned())]);
    let label = |name: &str, offset, part| Label { name: name.to_owned(), offset, part };
    Layout {
        value: Field { offset: 0, scalar: number(8, signed) },
        labels: vec![
            label("op", 0, Part::Number { scalar: number(4, false), names }),
            label("app.comm", 4, Part::Text(4)),
        ],
    }
}

impl Map {
    fn new(kind: Kind, settings: Settings) -> Self {
        let (name, help) = ("app.ops".to_owned(), "Ops".to_owned());
        let definition =
            Definition { name, help, unit: Unit::Count, kind, layout: layout(kind == Kind::Gauge) };
        Self { registry: Registry::new(settings), table: Table::new(definition), now: 10 * MINUTE }
    }

    /// A minute later it has these entries.
    fn read(&mut self, entries: &[(u32, &str, &[i64])]) {
        self.now += MINUTE;
        let mut reading = self.table.read(Bounds { registry: &self.registry, now: Ktime(self.now) });
        for (op, comm, of_cpus) in entries {
            let mut key = op.to_ne_bytes().to_vec();
            key.extend(comm.bytes().chain([0; 4]).take(4));
            let values: Vec<_> = of_cpus.iter().map(|value| value.to_ne_bytes()).collect();
            reading.entry(&key, values.iter().map(|value| &value[..]));
        }
        reading.finish();
    }

    /// The samples of a page, in the order of their labels.
    fn page(&self) -> Vec<String> {
        let mut text = Vec::new();
        let mut out = |piece: &[u8]| text.extend_from_slice(piece);
        let mut scrape = Scrape::new(Format::Text, &mut out);
        self.table.view().write(&mut Page::new(&mut scrape));
        scrape.finish();
        let text = String::from_utf8(text).unwrap();
        let mut samples: Vec<_> =
            text.lines().filter(|line| !line.starts_with('#')).map(str::to_owned).collect();
        samples.sort_unstable();
        samples
    }

    fn series(&self) -> u64 {
        self.registry.counts().series
    }
}

fn bounds(label_cardinality_limit: usize, series_limit: usize) -> Settings {
    Settings { label_cardinality_limit, series_limit, ..Settings::default() }
}

#[test]
fn scalars_are_read_as_they_are_named() {
    let bytes = [0xfe, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff];
    for (name, expected) in [
        ("u8", 254),
        ("i8", -2),
        ("u16", 65_534),
        ("i16", -2),
        ("u16be", 65_279),
        ("i16be", -257),
        ("u32", 4_294_967_294),
        ("i32", -2),
        ("u64", 18_446_744_073_709_551_614),
        ("i64", -2),
        ("u64be", 18_374_686_479_671_623_679),
    ] {
        let field = Field { offset: 0, scalar: Scalar::named(name).unwrap() };
        let layout = Layout { value: field, labels: Vec::new() };
        assert_eq!(layout.value([&bytes[..]].into_iter()), expected, "{name}");
    }
    for name in ["", "u", "u8be", "u128", "f64", "be", "s32", "u32le"] {
        assert_eq!(Scalar::named(name), None, "{name}");
    }
}

#[test]
fn what_lies_outside_is_named() {
    let fits = |key, value| layout(false).fits(key, value);
    assert_eq!(fits(8, 8), Ok(()));
    assert_eq!(
        fits(7, 8).unwrap_err(),
        "the label app.comm is bytes 4 to 8 of a key, and the map's keys have 7"
    );
    assert_eq!(fits(8, 4).unwrap_err(), "map.value is bytes 0 to 8 of a value, and the map's values have 4");
    let mut far = layout(false);
    far.value.offset = usize::MAX;
    assert!(far.fits(8, 8).is_err());
}

/// Text of strangers is text, whatever it is.
#[test]
fn keys_become_labels() {
    let key = |text: [u8; 4]| [&1u32.to_ne_bytes()[..], &text].concat();
    let labels =
        |key: &[u8]| layout(false).labels(key).iter().map(|value| value.to_string()).collect::<Vec<_>>();
    assert_eq!(labels(&key(*b"cp\0x")), ["write", "cp"]);
    assert_eq!(labels(&key(*b"a\xff\"\n")), ["write", "a\u{fffd}\"\n"]);
    assert_eq!(labels(&key([0; 4])), ["write", ""]);
}

#[test]
fn a_gauge_is_what_the_map_has_now() {
    let mut map = Map::new(Kind::Gauge, Settings::default());
    assert_eq!(map.page(), Vec::<String>::new());
    map.read(&[(1, "cp", &[3, 4]), (2, "mv", &[-5])]);
    assert_eq!(
        map.page(),
        ["app_ops{op=\"2\",app_comm=\"mv\"} -5", "app_ops{op=\"write\",app_comm=\"cp\"} 7"]
    );
    map.read(&[(2, "", &[1])]);
    assert_eq!(map.page(), ["app_ops{op=\"2\"} 1"]);
    assert_eq!(map.series(), 1);
    map.table.clear(&map.registry);
    assert_eq!((map.page().len(), map.series()), (0, 0));
}

/// A sum that falls would look like a restart, of which `rate()` makes a jump.
#[test]
fn a_counter_never_falls_where_entries_go() {
    let mut map = Map::new(Kind::Counter, bounds(1, 100));
    map.read(&[(1, "cp", &[10]), (1, "mv", &[20]), (1, "ln", &[30])]);
    let sample =
        |comm: &str, value: u64| format!("app_ops_total{{op=\"write\",app_comm=\"{comm}\"}} {value}");
    assert_eq!(map.page(), [sample("cp", 10), sample("other", 50)]);
    map.read(&[(1, "cp", &[11]), (1, "ln", &[33])]);
    assert_eq!(map.page(), [sample("cp", 11), sample("other", 53)]);
    // It is there again, and began anew: so did another.
    map.read(&[(1, "cp", &[2]), (1, "mv", &[1]), (1, "ln", &[34])]);
    assert_eq!(map.page(), [sample("cp", 13), sample("other", 55)]);
    assert_eq!(map.table.overflow(), 5);
}

#[test]
fn a_counter_without_entries_is_idle_at_last() {
    let mut map = Map::new(Kind::Counter, bounds(1, 100));
    map.read(&[(1, "cp", &[10])]);
    for _ in 0..5 {
        map.read(&[]);
        assert_eq!(map.page().len(), 1);
    }
    map.read(&[(1, "mv", &[1])]);
    // Its value of the label was taken until then.
    assert_eq!(map.page(), ["app_ops_total{op=\"write\",app_comm=\"other\"} 1"]);
    assert_eq!((map.series(), map.registry.counts().expired), (1, 1));
    map.read(&[(1, "mv", &[1]), (1, "ln", &[1])]);
    assert_eq!(map.page().len(), 2);
}

#[test]
fn past_the_limit_of_series_all_labels_are_other() {
    let mut map = Map::new(Kind::Gauge, bounds(100, 2));
    map.read(&[(1, "a", &[1]), (2, "b", &[2]), (3, "c", &[3]), (4, "d", &[4])]);
    assert_eq!(
        map.page(),
        [
            "app_ops{op=\"2\",app_comm=\"b\"} 2",
            "app_ops{op=\"other\",app_comm=\"other\"} 7",
            "app_ops{op=\"write\",app_comm=\"a\"} 1",
        ]
    );
    assert_eq!((map.table.overflow(), map.series()), (2, 3));
}

#[test]
fn values_that_no_page_can_have_are_the_nearest_that_it_can() {
    let mut map = Map::new(Kind::Gauge, Settings::default());
    map.read(&[(0, "a", &[i64::MIN, i64::MIN]), (0, "b", &[i64::MAX, i64::MAX, i64::MAX])]);
    assert_eq!(
        map.page(),
        [
            format!("app_ops{{op=\"0\",app_comm=\"a\"}} {}", i64::MIN),
            format!("app_ops{{op=\"0\",app_comm=\"b\"}} {}", u64::MAX),
        ]
    );
}

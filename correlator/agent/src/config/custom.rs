//! Metrics that the operator defines (`metrics.custom`).
mod function;

use std::{
    collections::{BTreeMap, BTreeSet},
    path::PathBuf,
};

use anyhow::{Context as _, Error, Result, bail, ensure};
use serde::Deserialize;
use weft_metrics::{
    custom::{Definition, Field, Label, Layout, Part, Scalar},
    exposition::{Kind, Unit, family_name},
};

pub use self::function::FunctionMetric;
use self::function::{About, Function};
use super::choice::one_of;

/// The most metrics, and labels of each.
const MAX_METRICS: usize = 64;
const MAX_LABELS: usize = 16;
/// The longest name, help text and text in a key.
const LONGEST_NAME: usize = 128;
const LONGEST_HELP: usize = 512;
const LONGEST_TEXT: usize = 256;

/// What weft's own families begin with, as Prometheus has them.
const OWN: [&str; 7] =
    ["weft_", "go_", "http_server_", "http_client_", "rpc_server_", "rpc_client_", "istio_"];
/// Those that scrapers join others with (`target_info`).
const TARGETS: [&str; 2] = ["target", "traces_target"];
/// What formats add to names: a name that ends so could be two things.
const ADDED: [&str; 8] = ["_total", "_info", "_bucket", "_sum", "_count", "_created", "_gsum", "_gcount"];

/// One metric.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Custom {
    name: String,
    help: String,
    /// Empty, `s` or `By`.
    #[serde(default)]
    unit: String,
    /// `counter`, `gauge` or `histogram`.
    #[serde(rename = "type")]
    kind: String,
    /// One of them is there.
    #[serde(default)]
    map: Option<Map>,
    #[serde(default)]
    function: Option<Function>,
}

/// All of them, as the agent has them.
#[derive(Debug, Default)]
pub struct Definitions {
    /// What is read in pinned maps, and where they are.
    pub maps: Vec<(PathBuf, Definition)>,
    /// What is counted at functions of Go programs.
    pub functions: Vec<FunctionMetric>,
}

enum Defined {
    Map(PathBuf, Definition),
    Function(FunctionMetric),
}

/// A pinned map.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
struct Map {
    pin: PathBuf,
    #[serde(default)]
    value: Value,
    #[serde(default)]
    labels: Vec<KeyLabel>,
}

/// What of a value counts.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(default, deny_unknown_fields)]
struct Value {
    offset: usize,
    #[serde(rename = "type")]
    kind: String,
}

/// What of a key is a label.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
struct KeyLabel {
    name: String,
    #[serde(default)]
    offset: usize,
    /// An integer's, or `string`.
    #[serde(rename = "type")]
    kind: String,
    /// Of a string.
    #[serde(default)]
    length: Option<usize>,
    /// Names of integers.
    #[serde(default)]
    values: BTreeMap<String, String>,
}

impl Default for Value {
    fn default() -> Self {
        Self { offset: 0, kind: "u64".to_owned() }
    }
}

/// All of them, as the agent reads them.
///
/// # Errors
/// When one cannot be a metric, or is another: which, which key, and what is allowed.
pub fn definitions(custom: &[Custom]) -> Result<Definitions> {
    if custom.len() > MAX_METRICS {
        bail!("metrics.custom has {} entries: {MAX_METRICS} are allowed", custom.len());
    }
    let mut names = BTreeSet::new();
    let mut definitions = Definitions::default();
    for (index, metric) in custom.iter().enumerate() {
        let name = &metric.name;
        let (family, defined) =
            metric.defined().with_context(|| format!("metrics.custom.{index} ({name})"))?;
        ensure!(
            names.insert(family.clone()),
            "metrics.custom.{index} ({name}): {family} is the name of another one; one that nothing else has is allowed"
        );
        match defined {
            Defined::Map(pin, definition) => definitions.maps.push((pin, definition)),
            Defined::Function(function) => definitions.functions.push(function),
        }
    }
    Ok(definitions)
}

impl Custom {
    /// With the family's name.
    fn defined(&self) -> Result<(String, Defined)> {
        let Self { name, help, unit, kind, map, function } = self;
        is_name("name", name)?;
        if help.trim().is_empty() || help.len() > LONGEST_HELP || help.contains('\n') {
            bail!("help has {} bytes: one line of 1 to {LONGEST_HELP} is allowed", help.len());
        }
        let unit = match unit.as_str() {
            "" => Unit::Count,
            unit => one_of("unit", unit, [("s", Unit::Seconds), ("By", Unit::Bytes)]).map_err(Error::msg)?,
        };
        let counter = ("counter", Kind::Counter);
        let (family, defined) = match (map, function) {
            (Some(map), None) => {
                let kind = one_of("type", kind, [counter, ("gauge", Kind::Gauge)]).map_err(Error::msg)?;
                let layout = map.layout(kind)?;
                let definition = Definition { name: name.clone(), help: help.clone(), unit, kind, layout };
                (family_name(&definition.metric()), Defined::Map(map.pin.clone(), definition))
            }
            (None, Some(function)) => {
                let kind =
                    one_of("type", kind, [counter, ("histogram", Kind::Histogram)]).map_err(Error::msg)?;
                let metric = function.metric(About { name, help, unit, kind })?;
                (family_name(&metric.metric()), Defined::Function(metric))
            }
            _ => bail!("either map or function is needed, and one of them is allowed"),
        };
        is_free(&family)?;
        Ok((family, defined))
    }
}

impl Map {
    fn layout(&self, kind: Kind) -> Result<Layout> {
        let Self { pin, value: Value { offset, kind: value }, labels } = self;
        if !pin.is_absolute() {
            bail!("map.pin is {pin:?}: an absolute path is allowed, such as /sys/fs/bpf/app/cache");
        }
        let scalar = integer("map.value.type", value)?;
        if kind == Kind::Counter && scalar.signed {
            bail!("map.value.type is {value:?}: a counter is never below 0, u8 to u64 is allowed");
        }
        if labels.len() > MAX_LABELS {
            bail!("map.labels has {} entries: {MAX_LABELS} are allowed", labels.len());
        }
        let labels = labels.iter().map(KeyLabel::label).collect::<Result<Vec<_>>>()?;
        let names: BTreeSet<_> = labels.iter().map(|label| label.name.replace('.', "_")).collect();
        ensure!(names.len() == labels.len(), "map.labels has a name twice: each one once is allowed");
        Ok(Layout { value: Field { offset: *offset, scalar }, labels })
    }
}

impl KeyLabel {
    fn label(&self) -> Result<Label> {
        let Self { name, offset, kind, length, values } = self;
        is_label(name)?;
        let key = format!("map.labels ({name})");
        let part = match (kind.as_str(), *length) {
            ("string", Some(length @ 1..=LONGEST_TEXT)) if values.is_empty() => Part::Text(length),
            ("string", Some(1..=LONGEST_TEXT)) => bail!("{key}: values are allowed for integers only"),
            ("string", _) => bail!("{key}: a string needs its length, 1 to {LONGEST_TEXT} bytes are allowed"),
            (_, Some(_)) => bail!("{key}: length is allowed for the type string only"),
            (kind, None) => Part::Number { scalar: integer(&key, kind)?, names: names(&key, values)? },
        };
        Ok(Label { name: name.clone(), offset: *offset, part })
    }
}

/// By the digits that a number is shown with.
fn names(key: &str, values: &BTreeMap<String, String>) -> Result<BTreeMap<String, String>> {
    let one = |(number, name): (&String, &String)| {
        let parsed: i128 = number
            .parse()
            .with_context(|| format!("{key}: values has {number:?}: integers in decimal are allowed"))?;
        Ok((parsed.to_string(), name.clone()))
    };
    values.iter().map(one).collect()
}

fn integer(key: &str, said: &str) -> Result<Scalar> {
    Scalar::named(said).with_context(|| {
        format!("{key} is {said:?}: u8 to u64 and i8 to i64 are allowed, with be behind it for the order of packets, such as u16be")
    })
}

/// Prometheus' rules (docs/concepts/data_model.md), without the colon that is for recording rules, and with OpenTelemetry's dots.
fn is_name(key: &str, name: &str) -> Result<()> {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"_.".contains(&byte);
    let begins = name.bytes().next().is_some_and(|byte| byte.is_ascii_alphabetic() || byte == b'_');
    if !begins || name.len() > LONGEST_NAME || !name.bytes().all(plain) {
        bail!(
            "{key} is {name:?}: up to {LONGEST_NAME} letters, digits, _ and dots are allowed, no digit or dot first"
        );
    }
    Ok(())
}

fn is_label(name: &str) -> Result<()> {
    is_name("map.labels.name", name)?;
    let known = ["le", "quantile", "job", "instance"].contains(&name);
    if known || name.replace('.', "_").starts_with("__") {
        bail!(
            "map.labels.name is {name:?}: any other than le, quantile, job, instance and what begins with __ is allowed"
        );
    }
    Ok(())
}

/// Whether no family of weft's, and no sample of another's, can have the name.
fn is_free(family: &str) -> Result<()> {
    if let Some(own) = OWN.iter().find(|own| family.starts_with(**own)) {
        bail!("name is {family} to Prometheus: what begins with {own} is weft's own, any other is allowed");
    }
    if TARGETS.contains(&family) {
        bail!("name is {family} to Prometheus: that is weft's own, any other is allowed");
    }
    if let Some(added) = ADDED.iter().find(|added| family.ends_with(**added)) {
        bail!(
            "name is {family} to Prometheus: what ends in {added} is added by formats, the name without it is allowed"
        );
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use weft_abi::{GoCount, GoCountLayout};

    use super::super::Config;
    use super::function::Calls;
    use super::*;

    const WHOLE: &str = "\
metrics:
  custom:
    - name: cache_entries
      help: Entries of the cache
      type: gauge
      map:
        pin: /sys/fs/bpf/app/cache
        value: { offset: 8, type: i32 }
        labels:
          - { name: op, type: u32, values: { 0: read, 1: write } }
          - { name: app.comm, offset: 4, type: string, length: 16 }
    - { name: app.bytes, unit: By, help: Bytes, type: counter, map: { pin: /sys/fs/bpf/app/bytes } }
";

    fn defined(text: &str) -> Definitions {
        definitions(&Config::parse(text).unwrap().metrics.custom).unwrap()
    }

    #[test]
    fn a_metric_is_as_it_is_written() {
        let [(pin, gauge), (_, counter)] = <[_; 2]>::try_from(defined(WHOLE).maps).unwrap();
        assert_eq!(pin, PathBuf::from("/sys/fs/bpf/app/cache"));
        assert_eq!((gauge.kind, gauge.unit), (Kind::Gauge, Unit::Count));
        let i32 = Scalar { size: 4, signed: true, big_endian: false };
        assert_eq!(gauge.layout.value, Field { offset: 8, scalar: i32 });
        assert_eq!(
            gauge.layout.labels[1],
            Label { name: "app.comm".into(), offset: 4, part: Part::Text(16) }
        );
        let Part::Number { names, .. } = &gauge.layout.labels[0].part else { panic!("{gauge:?}") };
        assert_eq!(names.get("1").map(String::as_str), Some("write"));
        assert_eq!((counter.kind, counter.unit), (Kind::Counter, Unit::Bytes));
    }

    const FUNCTIONS: &str = "\
metrics:
  custom:
    - { name: app.gets, help: Gets, type: counter, function: { symbol: main.(*Cache).Get } }
    - name: app.size
      unit: By
      help: Sizes
      type: histogram
      function: { symbol: main.put, argument: { word: 3, type: u16 }, buckets: [0, 512] }
    - name: app.wait
      unit: s
      help: Waits
      type: histogram
      function: { symbol: main.wait, argument: { word: 1, type: duration }, buckets: [0.001, 2.5] }
";

    #[test]
    fn a_function_is_counted_as_it_is_written() {
        let [gets, size, wait] = <[_; 3]>::try_from(defined(FUNCTIONS).functions).unwrap();
        assert_eq!(gets.layout(), GoCountLayout::default());
        let GoCountLayout { bounds, register, unused_bits, signed, pad: _, upper } = size.layout();
        assert_eq!((bounds, register, unused_bits, signed), (2, 3, 48, 0));
        assert_eq!(upper[..3], [0, 512, 0]);
        assert_eq!(wait.layout().upper[..2], [1_000_000, 2_500_000_000]);
        assert_eq!((wait.layout().signed, wait.layout().unused_bits), (1, 0));
        let mut counted = GoCount { calls: [0; 33], sum_low: 1_000_000_000, sum_high: u64::MAX };
        counted.calls[..3].copy_from_slice(&[4, 5, 6]);
        let Calls { count, sum, buckets } = wait.calls(&counted);
        assert_eq!((count, buckets), (15, vec![(0.001, 4), (2.5, 9)]));
        assert!((sum - (1e9 - 4_294_967_296.0) / 1e9).abs() < 1e-12, "{sum}");
        assert_eq!(gets.calls(&counted), Calls { count: 15, sum: 0.0, buckets: vec![] });
    }

    #[test]
    fn what_cannot_be_a_functions_metric_is_named_with_what_can() {
        const WHOLE: &str = "{ name: app.size, help: x, type: histogram, function: \
            { symbol: main.put, argument: { word: 3, type: u16 }, buckets: [1, 2] } }";
        for (whole, changed, named) in [
            ("main.put", "put", "function.symbol is \"put\": a name as"),
            ("main.put", "'main.put '", "function.symbol is \"main.put \""),
            ("word: 3", "word: 9", "function.argument.word is 9: 0 to 8 is allowed"),
            ("word: 3", "word: -1", "word"),
            ("u16", "u16be", "function.argument.type is \"u16be\": u8 to u64, i8 to i64 and duration"),
            ("u16", "f64", "function.argument.type is \"f64\""),
            ("u16", "duration", "unit s and function.argument.type duration are allowed together only"),
            ("help: x", "help: x, unit: s", "unit s and function.argument.type duration"),
            ("[1, 2]", "[]", "function.buckets has 0 bounds: 1 to 32 are allowed"),
            ("[1, 2]", "[2, 2]", "function.buckets has 2 behind a bound that is no smaller"),
            ("[1, 2]", "[-1]", "function.buckets has -1: with a type that has no sign"),
            ("[1, 2]", "[0.5]", "function.buckets has 0.5: whole numbers"),
            ("[1, 2]", "[1e17]", "function.buckets has 100000000000000000: whole numbers to 2^53"),
            ("histogram", "gauge", "type is \"gauge\": counter or histogram is allowed"),
            ("histogram", "counter", "function.argument is allowed for the type histogram only"),
            (", argument: { word: 3, type: u16 }", "", "function.argument is missing"),
            ("function:", "map: { pin: /x }, function:", "either map or function is needed"),
        ] {
            let text = format!("metrics:\n  custom:\n    - {}", WHOLE.replace(whole, changed));
            let error = format!("{:#}", Config::parse(&text).unwrap_err());
            assert!(error.contains(named) && error.contains("line 3"), "{changed}: {error}");
        }
    }

    /// One with this in the place of what it says of the same key.
    fn with(key: &str, value: &str) -> String {
        let mut parts = BTreeMap::from([
            ("name", "cache"),
            ("help", "The cache"),
            ("type", "gauge"),
            ("map", "{ pin: /sys/fs/bpf/x }"),
        ]);
        parts.insert(key, value);
        let parts: String = parts.iter().map(|(key, value)| format!("      {key}: {value}\n")).collect();
        format!("metrics:\n  custom:\n    -\n{parts}")
    }

    #[test]
    fn what_cannot_be_a_metric_is_named_with_what_can() {
        let label = |label: &str| format!("{{ pin: /sys/fs/bpf/x, labels: [{label}] }}");
        for (key, value, named) in [
            ("name", "1cache", "name is \"1cache\""),
            ("name", "'a:b'", "name is \"a:b\""),
            ("name", "''", "name is \"\""),
            ("name", "weft_cache", "begins with weft_ is weft's own"),
            ("name", "weft.cache", "begins with weft_ is weft's own"),
            ("name", "http.server.requests", "begins with http_server_ is weft's own"),
            ("name", "target", "name is target to Prometheus: that is weft's own"),
            ("name", "target_info", "ends in _info"),
            ("name", "cache_total", "ends in _total"),
            ("help", "''", "help has 0 bytes"),
            ("unit", "ms", "unit is \"ms\": s or By is allowed"),
            ("type", "summary", "type is \"summary\": counter or gauge is allowed"),
            ("buckets", "[1]", "buckets"),
            ("map", "{}", "pin"),
            ("map", "", "either map or function is needed"),
            ("map", "{ pin: app/cache }", "map.pin is \"app/cache\": an absolute path is allowed"),
            ("map", "{ pin: /x, value: { type: f64 } }", "map.value.type is \"f64\": u8 to u64"),
            ("map", "{ pin: /x, value: { offset: -1 } }", "offset"),
            ("map", &label("{ name: le, type: u8 }"), "map.labels.name is \"le\""),
            ("map", &label("{ name: __x, type: u8 }"), "map.labels.name is \"__x\""),
            ("map", &label("{ name: a b, type: u8 }"), "map.labels.name is \"a b\""),
            ("map", &label("{ name: a, type: u9 }"), "map.labels (a) is \"u9\": u8 to u64"),
            ("map", &label("{ name: a, type: string }"), "map.labels (a): a string needs its length"),
            ("map", &label("{ name: a, type: string, length: 999 }"), "1 to 256 bytes are allowed"),
            ("map", &label("{ name: a, type: u8, length: 1 }"), "length is allowed for the type string only"),
            ("map", &label("{ name: a, type: u8, values: { x: y } }"), "values has \"x\""),
            ("map", &label("{ name: a.b, type: u8 }, { name: a_b, type: u8 }"), "a name twice"),
        ] {
            let error = format!("{:#}", Config::parse(&with(key, value)).unwrap_err());
            assert!(error.contains(named), "{key}: {value}: {error}");
            assert!(error.contains("line "), "{key}: {value}: {error}");
        }
        let signed = with("type", "counter").replace("/x }", "/x, value: { type: i64 } }");
        let error = format!("{:#}", Config::parse(&signed).unwrap_err());
        assert!(error.contains("a counter is never below 0"), "{error}");
    }

    #[test]
    fn a_name_is_had_once() {
        let twice =
            format!("{WHOLE}    - {{ name: app.bytes.bytes, help: x, type: gauge, map: {{ pin: /x }} }}\n");
        let error = format!("{:#}", Config::parse(&twice).unwrap_err());
        assert!(error.contains("line 13"), "{error}");
        assert!(
            error.contains("metrics.custom.2 (app.bytes.bytes): app_bytes_bytes is the name of another one"),
            "{error}"
        );
    }
}

//! Where a key is in the file, for what only the whole configuration shows to be wrong.
use std::collections::BTreeMap;

use serde::{Deserialize, de::IgnoredAny};
use serde_saphyr::Spanned;

/// Sections, their keys, and where the values are.
type Places = BTreeMap<String, Option<BTreeMap<String, Spanned<IgnoredAny>>>>;

/// The metrics of the operator's own.
#[derive(Deserialize)]
struct Customs {
    metrics: CustomList,
}

#[derive(Deserialize)]
struct CustomList {
    custom: Vec<Spanned<IgnoredAny>>,
}

/// The error with the line and column of the value whose key (`section.key`) it begins with.
pub fn named(error: anyhow::Error, text: &str) -> anyhow::Error {
    match place(&error.to_string(), text) {
        Some((line, column)) => error.context(format!("line {line} column {column}")),
        None => error,
    }
}

fn place(error: &str, text: &str) -> Option<(u64, u64)> {
    custom(error, text).or_else(|| value(error, text))
}

/// Of one entry of `metrics.custom`.
fn custom(error: &str, text: &str) -> Option<(u64, u64)> {
    let index = error.strip_prefix("metrics.custom.")?.split([' ', ':']).next()?.parse::<usize>().ok()?;
    let Customs { metrics: CustomList { custom } } = serde_saphyr::from_str(text).ok()?;
    let place = custom.get(index)?.referenced;
    Some((place.line(), place.column()))
}

fn value(error: &str, text: &str) -> Option<(u64, u64)> {
    let (section, rest) = error.split_once('.')?;
    let key = rest.split(['.', ' ', ':']).next()?;
    let places: Places = serde_saphyr::from_str(text).ok()?;
    let place = places.get(section)?.as_ref()?.get(key)?.referenced;
    Some((place.line(), place.column()))
}

//! Where the functions of metrics are in one binary.
use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

use weft_gobin::NamedFunction;

use super::Functions;
use crate::config::FunctionMetric;

/// By the metrics' numbers. The file is asked for what is not known of it, and not again.
#[derive(Default)]
pub struct Places(BTreeMap<u32, (Arc<FunctionMetric>, Place)>);

/// Where one is.
#[derive(Clone, Debug, PartialEq)]
pub enum Place {
    /// Nobody has asked.
    Unknown,
    /// The file is being read.
    Asked,
    /// At this offset in the file.
    At(u64),
    /// There is no such function.
    Absent,
    /// It cannot be listened at: why.
    Unfit(String),
}

impl Places {
    /// These metrics, and no others. Gives the numbers of those that are gone.
    pub fn configure(&mut self, functions: &Functions) -> Vec<u32> {
        let mut gone = Vec::new();
        self.0.retain(|number, (metric, _)| {
            let stays = functions.iter().any(|(wanted, as_is)| wanted == number && as_is == metric);
            if !stays {
                gone.push(*number);
            }
            stays
        });
        for (number, metric) in functions {
            self.0.entry(*number).or_insert_with(|| (Arc::clone(metric), Place::Unknown));
        }
        gone
    }

    /// Names that nobody has asked for.
    pub fn unknown(&self) -> Vec<String> {
        let unknown = self.0.values().filter(|(_, place)| *place == Place::Unknown);
        let names: BTreeSet<&String> = unknown.map(|(metric, _)| &metric.symbol).collect();
        names.into_iter().cloned().collect()
    }

    /// The file is being read for all of them.
    pub fn asked(&mut self) {
        let unknown = self.0.values_mut().filter(|(_, place)| *place == Place::Unknown);
        unknown.for_each(|(_, place)| *place = Place::Asked);
    }

    /// The file was read for these names. Gives the numbers of those that can be listened at since.
    pub fn learn(&mut self, names: &[String], found: &Result<Vec<NamedFunction>, String>) -> Vec<u32> {
        let mut there = Vec::new();
        for (number, (metric, place)) in &mut self.0 {
            let Some(index) = names.iter().position(|name| *name == metric.symbol) else { continue };
            if !matches!(place, Place::Unknown | Place::Asked) {
                continue;
            }
            *place = match found {
                Ok(found) => found.get(index).map_or(Place::Absent, |found| Place::of(*found)),
                Err(why) => Place::Unfit(why.clone()),
            };
            if matches!(place, Place::At(_)) {
                there.push(*number);
            }
        }
        there
    }

    /// Where a metric's function is.
    pub fn get(&self, number: u32) -> Option<&Place> {
        self.0.get(&number).map(|(_, place)| place)
    }

    /// All metrics, and where their functions are.
    pub fn all(&self) -> impl Iterator<Item = (u32, &FunctionMetric, &Place)> {
        self.0.iter().map(|(number, (metric, place))| (*number, &**metric, place))
    }
}

impl Place {
    fn of(found: NamedFunction) -> Self {
        match found {
            NamedFunction::At(offset) => Self::At(offset),
            NamedFunction::Absent => Self::Absent,
            NamedFunction::Several => Self::Unfit("the binary has several functions of this name".to_owned()),
            NamedFunction::Frameless => Self::Unfit(
                "the function has no frame: there is no place that each of its calls comes by exactly once"
                    .to_owned(),
            ),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{config::Config, go::functions::Settings};

    fn functions(symbols: &[&str]) -> Functions {
        let one = |(number, symbol): (usize, &&str)| {
            format!("    - {{ name: m{number}, help: x, type: counter, function: {{ symbol: {symbol} }} }}\n")
        };
        let all: String = symbols.iter().enumerate().map(one).collect();
        let config = Config::parse(&format!("metrics:\n  custom:\n{all}")).unwrap();
        (0..).zip(Settings::of(&config).functions.into_iter().map(Arc::new)).collect()
    }

    #[test]
    fn a_file_is_asked_once_for_each_name() {
        let mut places = Places::default();
        assert_eq!(places.configure(&functions(&["main.f", "main.g", "main.f"])), [0; 0]);
        let names = places.unknown();
        assert_eq!(names, ["main.f", "main.g"]);
        places.asked();
        assert_eq!(places.unknown(), [""; 0]);
        let found = Ok(vec![NamedFunction::At(7), NamedFunction::Frameless]);
        assert_eq!(places.learn(&names, &found), [0, 2]);
        assert_eq!(places.get(0), Some(&Place::At(7)));
        assert!(matches!(places.get(1), Some(Place::Unfit(_))));
    }

    #[test]
    fn what_stays_as_it_was_is_not_asked_for_again() {
        let mut places = Places::default();
        places.configure(&functions(&["main.f", "main.g"]));
        let names = places.unknown();
        places.learn(&names, &Ok(vec![NamedFunction::At(7), NamedFunction::At(9)]));
        assert_eq!(places.configure(&functions(&["main.f", "main.h"])), [1]);
        assert_eq!(places.unknown(), ["main.h"]);
        // An answer to what was asked before says nothing of what is asked now.
        assert_eq!(places.learn(&names, &Ok(vec![NamedFunction::Absent; 2])), [0; 0]);
        assert_eq!((places.get(0), places.get(1)), (Some(&Place::At(7)), Some(&Place::Unknown)));
    }
}

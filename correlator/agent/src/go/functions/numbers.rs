//! The numbers of metrics.
use std::sync::Arc;

use weft_abi::GO_FUNCTIONS;

use super::Functions;
use crate::config::FunctionMetric;

/// Which metric has which. One that the next configuration leaves as it was keeps its own: it goes on.
pub struct Numbers([Option<Arc<FunctionMetric>>; GO_FUNCTIONS as usize]);

impl Default for Numbers {
    fn default() -> Self {
        Self([const { None }; GO_FUNCTIONS as usize])
    }
}

impl Numbers {
    /// These metrics, and no others. Gives the numbers whose metric is another now, or none.
    pub fn configure(&mut self, mut metrics: Vec<FunctionMetric>) -> Vec<u32> {
        let mut freed = Vec::new();
        for (number, place) in (0..).zip(&mut self.0) {
            let Some(metric) = place else { continue };
            match metrics.iter().position(|wanted| *wanted == **metric) {
                Some(same) => drop(metrics.swap_remove(same)),
                None => {
                    *place = None;
                    freed.push(number);
                }
            }
        }
        // There are no more than metrics.custom may have.
        for (place, metric) in self.0.iter_mut().filter(|place| place.is_none()).zip(metrics) {
            *place = Some(Arc::new(metric));
        }
        freed
    }

    /// All of them.
    pub fn all(&self) -> Functions {
        (0..)
            .zip(&self.0)
            .filter_map(|(number, metric)| Some((number, Arc::clone(metric.as_ref()?))))
            .collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{config::Config, go::functions::Settings};

    fn metrics(names: &[&str]) -> Vec<FunctionMetric> {
        let one = |name: &&str| {
            format!("    - {{ name: {name}, help: x, type: counter, function: {{ symbol: main.f }} }}\n")
        };
        let text = format!("metrics:\n  custom:\n{}", names.iter().map(one).collect::<String>());
        Settings::of(&Config::parse(&text).unwrap()).functions
    }

    fn named(numbers: &Numbers) -> Vec<(u32, String)> {
        numbers.all().iter().map(|(number, metric)| (*number, metric.name.clone())).collect()
    }

    #[test]
    fn what_stays_as_it_was_keeps_its_number() {
        let mut numbers = Numbers::default();
        assert_eq!(numbers.configure(metrics(&["a", "b", "c"])), [0; 0]);
        assert_eq!(numbers.configure(metrics(&["c", "d", "a"])), [1]);
        let expected = [(0, "a"), (1, "d"), (2, "c")].map(|(number, name)| (number, name.to_owned()));
        assert_eq!(named(&numbers), expected);
        assert_eq!(numbers.configure(Vec::new()), [0, 1, 2]);
        assert_eq!(named(&numbers), []);
    }
}

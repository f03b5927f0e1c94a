//! Metrics of Go functions: how often one is called, and how an argument of its calls is distributed.
use anyhow::{Context as _, Result, bail, ensure};
use serde::Deserialize;
use weft_abi::{GoCount, GoCountLayout, MAX_BOUNDS};
use weft_gobin::LONGEST_NAME;
use weft_metrics::{
    custom::Scalar,
    exposition::{Kind, Metric, Unit},
};

/// Argument words of Go's ABIInternal.
const WORDS: u8 = 9;
/// The type `duration` is in ns, and shown in seconds.
const NANOSECONDS: f64 = 1e9;
/// Above this not each integer is a number of its own as `f64`, and bounds would not be where they are written.
const LARGEST_BOUND: f64 = (1_u64 << 53) as f64;

/// Where the numbers come from.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Function {
    symbol: String,
    #[serde(default)]
    argument: Option<Argument>,
    /// Upper bounds, inclusive.
    #[serde(default)]
    buckets: Vec<f64>,
}

/// The argument that is looked at.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
struct Argument {
    word: u8,
    /// An integer's, or `duration`.
    #[serde(rename = "type")]
    kind: String,
}

/// A metric of a Go function, as the agent counts and shows it.
#[derive(Clone, Debug, PartialEq)]
pub struct FunctionMetric {
    /// As OpenTelemetry has it.
    pub name: String,
    help: String,
    unit: Unit,
    /// As the binaries' symbol tables have it.
    pub symbol: String,
    /// None: calls alone are counted.
    measured: Option<Measured>,
}

/// How an argument is measured.
#[derive(Clone, Debug, PartialEq)]
struct Measured {
    word: u8,
    integer: Scalar,
    /// What is shown is the integer divided by this.
    scale: f64,
    /// As they are shown, and as integers.
    bounds: Vec<(f64, i64)>,
}

/// What was counted, as it is shown.
#[derive(Clone, Debug, PartialEq)]
pub struct Calls {
    pub count: u64,
    pub sum: f64,
    /// Upper bounds, with how many are at most so large.
    pub buckets: Vec<(f64, u64)>,
}

/// What all metrics have.
pub(super) struct About<'a> {
    pub name: &'a str,
    pub help: &'a str,
    pub unit: Unit,
    pub kind: Kind,
}

impl Function {
    pub(super) fn metric(&self, about: About<'_>) -> Result<FunctionMetric> {
        let About { name, help, unit, kind } = about;
        is_symbol(&self.symbol)?;
        let measured = match (kind, &self.argument) {
            (Kind::Histogram, Some(argument)) => Some(argument.measured(unit, &self.buckets)?),
            (Kind::Histogram, None) => {
                bail!("function.argument is missing: a histogram has one, such as {{ word: 1, type: i64 }}")
            }
            (_, Some(_)) => bail!("function.argument is allowed for the type histogram only"),
            (_, None) => {
                ensure!(self.buckets.is_empty(), "function.buckets is allowed for the type histogram only");
                ensure!(
                    unit == Unit::Count,
                    "unit is allowed for the type histogram only: calls are counted"
                );
                None
            }
        };
        Ok(FunctionMetric {
            name: name.to_owned(),
            help: help.to_owned(),
            unit,
            symbol: self.symbol.clone(),
            measured,
        })
    }
}

impl Argument {
    fn measured(&self, unit: Unit, buckets: &[f64]) -> Result<Measured> {
        let Self { word, kind } = self;
        ensure!(
            *word < WORDS,
            "function.argument.word is {word}: 0 to {} is allowed, in which Go passes integers",
            WORDS - 1
        );
        let duration = kind == "duration";
        if duration != (unit == Unit::Seconds) {
            bail!(
                "unit s and function.argument.type duration are allowed together only: durations are shown in seconds"
            );
        }
        let integer =
            Scalar::named(if duration { "i64" } else { kind }).filter(|integer| !integer.big_endian);
        let integer = integer.with_context(|| {
            format!("function.argument.type is {kind:?}: u8 to u64, i8 to i64 and duration are allowed")
        })?;
        let scale = if duration { NANOSECONDS } else { 1.0 };
        Ok(Measured { word: *word, integer, scale, bounds: bounds(buckets, scale, integer)? })
    }
}

fn bounds(buckets: &[f64], scale: f64, integer: Scalar) -> Result<Vec<(f64, i64)>> {
    ensure!(
        (1..=MAX_BOUNDS).contains(&buckets.len()),
        "function.buckets has {} bounds: 1 to {MAX_BOUNDS} are allowed",
        buckets.len()
    );
    let mut bounds: Vec<(f64, i64)> = Vec::with_capacity(buckets.len());
    for &shown in buckets {
        let bound = (shown * scale).round();
        let whole = scale > 1.0 || bound == shown;
        ensure!(
            whole && bound.abs() <= LARGEST_BOUND,
            "function.buckets has {shown}: whole numbers to 2^53 are allowed, and of durations seconds to 2^53 ns"
        );
        ensure!(
            integer.signed || bound >= 0.0,
            "function.buckets has {shown}: with a type that has no sign none below 0 is allowed"
        );
        let bound = bound as i64;
        ensure!(
            bounds.last().is_none_or(|(_, before)| *before < bound),
            "function.buckets has {shown} behind a bound that is no smaller: ascending ones are allowed"
        );
        bounds.push((shown, bound));
    }
    Ok(bounds)
}

fn is_symbol(symbol: &str) -> Result<()> {
    let whole = symbol.bytes().all(|byte| byte > b' ' && byte != 0x7f);
    ensure!(
        whole && symbol.contains('.') && symbol.len() < LONGEST_NAME,
        "function.symbol is {symbol:?}: a name as `go tool nm` prints it is allowed, such as main.(*Server).handle"
    );
    Ok(())
}

impl FunctionMetric {
    /// As pages begin the family.
    pub fn metric(&self) -> Metric<'_> {
        let kind = if self.measured.is_some() { Kind::Histogram } else { Kind::Counter };
        Metric { name: &self.name, unit: self.unit, help: &self.help, kind }
    }

    /// As the program that counts is told.
    pub fn layout(&self) -> GoCountLayout {
        let Some(Measured { word, integer, bounds, .. }) = &self.measured else {
            return GoCountLayout::default();
        };
        let mut layout = GoCountLayout {
            bounds: bounds.len() as u8,
            register: *word,
            unused_bits: 64 - 8 * integer.size as u8,
            signed: integer.signed.into(),
            ..GoCountLayout::default()
        };
        for (place, (_, bound)) in layout.upper.iter_mut().zip(bounds) {
            *place = bound.cast_unsigned();
        }
        layout
    }

    /// What the program has counted.
    pub fn calls(&self, counted: &GoCount) -> Calls {
        let GoCount { calls, sum_low, sum_high } = counted;
        let count = calls.iter().fold(0, |sum: u64, calls| sum.wrapping_add(*calls));
        let Some(Measured { integer, scale, bounds, .. }) = &self.measured else {
            return Calls { count, sum: 0.0, buckets: Vec::new() };
        };
        let high = if integer.signed { i128::from(sum_high.cast_signed()) } else { i128::from(*sum_high) };
        let sum = (i128::from(*sum_low) + (high << 32)) as f64 / scale;
        let up_to = calls.iter().scan(0, |sum: &mut u64, calls| {
            *sum = sum.wrapping_add(*calls);
            Some(*sum)
        });
        Calls { count, sum, buckets: bounds.iter().map(|(shown, _)| *shown).zip(up_to).collect() }
    }
}

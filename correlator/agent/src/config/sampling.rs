//! Which spans leave the node.
use std::collections::BTreeMap;

use serde::Deserialize;
use weft_core::SamplingConfig;

use super::{Span, choice::percentage};

/// The section `sampling`. Metrics are never sampled, nor is what is kept in memory.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Sampling {
    /// Of all traces.
    pub default: Share,
    /// Of what failed: 5xx, gRPC's errors, what was broken off.
    pub errors: Share,
    /// Of what took so long, or longer.
    pub slower_than: BTreeMap<Span, Share>,
    /// Instead of `default`.
    pub per_pod: BTreeMap<PodName, Share>,
    /// How shares give way.
    pub adaptive: Adaptive,
}

/// What the shares are fitted to.
#[derive(Clone, Copy, Debug, Default, PartialEq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Adaptive {
    /// The most spans a second; absent: any number.
    pub spans_per_second: Option<SpansPerSecond>,
    /// The most of one processor that the agent takes before ordinary spans give way; absent: any.
    pub cpu: Option<Cpu>,
}

/// 0 to 1.
#[derive(Clone, Copy, Debug, PartialEq, Deserialize)]
#[serde(try_from = "f64")]
pub struct Share(f64);

/// `namespace/name`.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Deserialize)]
#[serde(try_from = "String")]
pub struct PodName(String);

/// 1 and more.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(try_from = "u64")]
pub struct SpansPerSecond(u64);

/// Of one processor: 1% to 100%.
#[derive(Clone, Copy, Debug, PartialEq, Deserialize)]
#[serde(try_from = "String")]
pub struct Cpu(f64);

impl Adaptive {
    /// 0.05 is 5 %.
    pub fn cpu(&self) -> Option<f64> {
        self.cpu.map(|limit| limit.0)
    }
}

impl Default for Sampling {
    fn default() -> Self {
        let SamplingConfig { default, errors, slower_than, per_pod: _, spans_per_second: _ } =
            SamplingConfig::default();
        Self {
            default: Share(default),
            errors: Share(errors),
            slower_than: slower_than.into_iter().map(|(ns, share)| (Span(ns), Share(share))).collect(),
            per_pod: BTreeMap::new(),
            adaptive: Adaptive::default(),
        }
    }
}

impl Sampling {
    /// As the sampler takes it.
    pub fn core(&self) -> SamplingConfig {
        let Self { default, errors, slower_than, per_pod, adaptive } = self;
        SamplingConfig {
            default: default.0,
            errors: errors.0,
            slower_than: slower_than.iter().map(|(time, share)| (time.0, share.0)).collect(),
            per_pod: per_pod.iter().map(|(pod, share)| (pod.0.clone(), share.0)).collect(),
            spans_per_second: adaptive.spans_per_second.map(|limit| limit.0),
        }
    }
}

impl TryFrom<f64> for Share {
    type Error = String;

    fn try_from(share: f64) -> Result<Self, String> {
        if (0.0..=1.0).contains(&share) {
            return Ok(Self(share));
        }
        Err(format!("{share} is no share: 0 (none) to 1 (all) is allowed"))
    }
}

impl TryFrom<String> for PodName {
    type Error = String;

    fn try_from(name: String) -> Result<Self, String> {
        match name.split('/').collect::<Vec<_>>()[..] {
            [namespace, pod] if !namespace.is_empty() && !pod.is_empty() => Ok(Self(name)),
            _ => Err(format!("{name:?} is no pod: NAMESPACE/NAME is allowed")),
        }
    }
}

impl TryFrom<u64> for SpansPerSecond {
    type Error = String;

    fn try_from(limit: u64) -> Result<Self, String> {
        if limit > 0 {
            return Ok(Self(limit));
        }
        Err("sampling.adaptive.spans_per_second is 0: 1 and more is allowed; no value: no limit".into())
    }
}

impl TryFrom<String> for Cpu {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        percentage("sampling.adaptive.cpu", &text, 1.0..=100.0).map(Self)
    }
}

use serde::{Deserialize, Serialize};

/// Which ports' segments are wanted. The programs keep to it; the pipeline has to know when it changes, because of what is left
/// out nobody knows whether it is lost.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct PortFilter {
    /// Only these, where it names any.
    pub include: Vec<u16>,
    /// Never these.
    pub exclude: Vec<u16>,
}

impl PortFilter {
    /// Whether connections between these ports are wanted.
    pub fn wants(&self, ports: [u16; 2]) -> bool {
        let Self { include, exclude } = self;
        let any = |of: &[u16]| ports.iter().any(|port| of.contains(port));
        (include.is_empty() || any(include)) && !any(exclude)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn either_end_may_be_named_and_what_is_excluded_is_never_wanted() {
        let filter = PortFilter { include: vec![80, 81], exclude: vec![81] };
        assert!(filter.wants([80, 5000]) && filter.wants([5000, 80]));
        assert!(!filter.wants([5000, 443]) && !filter.wants([80, 81]));
        assert!(PortFilter::default().wants([1, 2]));
    }
}

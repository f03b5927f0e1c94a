/// Whose names requests and calls have on Prometheus' page, and so what is counted of them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Profiles {
    /// The semantic conventions of OpenTelemetry.
    pub otel: bool,
    /// Istio's standard metrics.
    pub istio: bool,
    /// Those of Grafana Beyla.
    pub beyla: bool,
}

impl Profiles {
    /// No one's.
    pub const NONE: Self = Self { otel: false, istio: false, beyla: false };
    /// What there is where nobody asks for another.
    pub const OTEL: Self = Self { otel: true, ..Self::NONE };

    /// Whether requests are counted by what they ask for.
    pub(crate) fn by_request(self) -> bool {
        self.otel || self.beyla
    }

    /// Whether series say of their pod more than its name.
    pub(crate) fn identify(self) -> bool {
        self.istio || self.beyla
    }
}

impl Default for Profiles {
    fn default() -> Self {
        Self::OTEL
    }
}

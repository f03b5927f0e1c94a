//! Whose names requests and calls have on the page of metrics.
use serde::Deserialize;

use super::choice::one_of;

/// `metrics.profiles`: one or several of `otel`, `istio` and `beyla`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(try_from = "Vec<String>")]
pub struct Profiles(weft_metrics::Profiles);

#[derive(Clone, Copy)]
enum Profile {
    Otel,
    Istio,
    Beyla,
}

impl Profiles {
    /// What is shown.
    pub fn shown(self) -> weft_metrics::Profiles {
        self.0
    }
}

impl TryFrom<Vec<String>> for Profiles {
    type Error = String;

    fn try_from(names: Vec<String>) -> Result<Self, String> {
        if names.is_empty() {
            return Err("metrics.profiles is []: one or more of otel, istio and beyla is allowed".to_owned());
        }
        let mut profiles = weft_metrics::Profiles::NONE;
        for name in names {
            let allowed = [("otel", Profile::Otel), ("istio", Profile::Istio), ("beyla", Profile::Beyla)];
            let on = match one_of("metrics.profiles", &name, allowed)? {
                Profile::Otel => &mut profiles.otel,
                Profile::Istio => &mut profiles.istio,
                Profile::Beyla => &mut profiles.beyla,
            };
            if std::mem::replace(on, true) {
                return Err(format!("metrics.profiles is {name:?} twice: once is allowed"));
            }
        }
        Ok(Self(profiles))
    }
}

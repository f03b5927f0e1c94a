use std::error::Error;

use crate::{
    missed::{self, Missed},
    version::SUPPORTED,
};

/// What a call ends with instead of a result. The variants are the specification's error codes (CNI 1.1.0,
/// "Error": 1 to 99 are its own, from 100 on the plugin's).
#[derive(Debug, thiserror::Error)]
pub(crate) enum CniError {
    #[error("cniVersion {} is not supported", found.as_deref().unwrap_or("is missing, which means 0.1.0: it"))]
    IncompatibleVersion { found: Option<String> },
    #[error("cniVersion 0.3.1 has no CHECK")]
    NoCheck,
    #[error("environment variables that are missing or invalid: {}", names.join(", "))]
    InvalidEnvironment { names: Vec<&'static str> },
    #[error("cannot read the configuration from stdin: {0}")]
    Io(#[source] std::io::Error),
    #[error("the configuration on stdin is longer than {limit} bytes")]
    TooLong { limit: u64 },
    #[error("the configuration on stdin is no JSON object: {0}")]
    Decode(#[source] serde_json::Error),
    #[error(
        "no prevResult: weft-cni makes no interface; put it in the list's `plugins` behind the plugin that does"
    )]
    NotChained,
    #[error("failurePolicy is Fail and the pod cannot be traced: {}", missed::list(.0))]
    NotTraced(Vec<Missed>),
    #[error("failurePolicy is Fail and weft-cni has a defect: {what}")]
    Defect { what: String },
}

impl CniError {
    /// The code in the answer.
    pub(crate) fn code(&self) -> u32 {
        match self {
            Self::IncompatibleVersion { .. } | Self::NoCheck => 1,
            Self::InvalidEnvironment { .. } => 4,
            Self::Io(_) => 5,
            Self::Decode(_) | Self::TooLong { .. } => 6,
            Self::NotChained => 7,
            Self::NotTraced(_) => 100,
            Self::Defect { .. } => 101,
        }
    }

    /// The longer text: what to check next.
    pub(crate) fn details(&self) -> String {
        match self {
            Self::IncompatibleVersion { .. } | Self::NoCheck => {
                format!("supportedVersions: {}", SUPPORTED.join(", "))
            }
            Self::NotTraced(_) => "see `weft doctor` on the node; failurePolicy Ignore lets pods start \
                                   untraced, and the agent attaches later"
                .into(),
            _ => String::new(),
        }
    }
}

/// An error, what caused it, what caused that.
pub(crate) fn causes<'a>(
    error: &'a (dyn Error + 'static),
) -> impl Iterator<Item = &'a (dyn Error + 'static)> {
    std::iter::successors(Some(error), |error: &&'a (dyn Error + 'static)| (*error).source())
}

/// An error with its causes in one sentence, none of them said twice.
pub(crate) fn chain(error: &(dyn Error + 'static)) -> String {
    let mut text = String::new();
    for cause in causes(error).map(ToString::to_string) {
        if text.is_empty() {
            text = cause;
        } else if !text.contains(&cause) {
            text = format!("{text}: {cause}");
        }
    }
    text
}

//! A route as an operator writes it: `/orders/{id}`, `/static/{file...}`.
use std::sync::Arc;

use serde::{Deserialize, Deserializer, Serialize, Serializer};
use thiserror::Error;

/// A route that paths match segment by segment: a literal segment itself, `{name}` any one that is not empty,
/// `{name...}` at the end all that is left.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Template {
    text: Arc<str>,
    segments: Vec<Segment>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Segment {
    Literal(Box<str>),
    Any,
    Rest,
}

/// Why a text is no template.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum TemplateError {
    /// A path begins with a slash.
    #[error("the route {0:?} does not begin with /: write /orders/{{id}}, for example")]
    NoSlash(String),
    /// Braces stand around a whole segment.
    #[error(
        "the route {0:?} has braces within the segment {1:?}: a segment is {{name}} as a whole, or has none"
    )]
    Braces(String, String),
    /// Nothing can follow what takes all.
    #[error("the route {0:?} goes on behind {1}: it takes all that is left")]
    BehindRest(String, String),
}

impl Template {
    /// Reads a template.
    ///
    /// # Errors
    /// When it is none.
    pub fn parse(text: &str) -> Result<Self, TemplateError> {
        let Some(path) = text.strip_prefix('/') else { return Err(TemplateError::NoSlash(text.to_owned())) };
        let mut segments = Vec::new();
        let mut rest = None;
        for part in path.split('/') {
            if let Some(rest) = rest {
                return Err(TemplateError::BehindRest(text.to_owned(), rest));
            }
            let segment = Segment::parse(part)
                .ok_or_else(|| TemplateError::Braces(text.to_owned(), part.to_owned()))?;
            rest = (segment == Segment::Rest).then(|| part.to_owned());
            segments.push(segment);
        }
        Ok(Self { text: text.into(), segments })
    }

    /// As it was written.
    pub fn text(&self) -> Arc<str> {
        Arc::clone(&self.text)
    }

    /// How many literal segments it begins with, and how many it has in all.
    pub(super) fn literals(&self) -> (usize, usize) {
        let literal = |segment: &&Segment| matches!(segment, Segment::Literal(_));
        (self.segments.iter().take_while(literal).count(), self.segments.iter().filter(literal).count())
    }

    pub(super) fn matches(&self, path: &str) -> bool {
        let Some(path) = path.strip_prefix('/') else { return false };
        let mut parts = path.split('/');
        for segment in &self.segments {
            match (segment, parts.next()) {
                (Segment::Rest, Some(_)) => return true,
                (Segment::Any, Some(part)) if !part.is_empty() => {}
                (Segment::Literal(literal), Some(part)) if **literal == *part => {}
                _ => return false,
            }
        }
        parts.next().is_none()
    }
}

impl Segment {
    fn parse(part: &str) -> Option<Self> {
        let Some(name) = part.strip_prefix('{').and_then(|part| part.strip_suffix('}')) else {
            return (!part.contains(['{', '}'])).then(|| Self::Literal(part.into()));
        };
        let (name, whole) = name.strip_suffix("...").map_or((name, Self::Any), |name| (name, Self::Rest));
        (!name.is_empty() && !name.contains(['{', '}'])).then_some(whole)
    }
}

impl Serialize for Template {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&self.text)
    }
}

impl<'de> Deserialize<'de> for Template {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        Self::parse(&text).map_err(serde::de::Error::custom)
    }
}

//! Values of which there are a few, each with its name, and shares in percent.
use std::ops::RangeInclusive;

/// The one with this name.
///
/// # Errors
/// When none has it: the key, what is there, and what is allowed.
pub(super) fn one_of<T: Copy, const N: usize>(
    key: &str,
    said: &str,
    allowed: [(&str, T); N],
) -> Result<T, String> {
    let found = allowed.iter().find(|(name, _)| *name == said).map(|(_, value)| *value);
    found.ok_or_else(|| {
        let names = allowed.map(|(name, _)| name);
        let (last, others) = names.split_last().unwrap_or((&"nothing", &[]));
        format!("{key} is {said:?}: {} or {last} is allowed", others.join(", "))
    })
}

/// A percentage as a share: 0.02 of `2%`.
///
/// # Errors
/// When it is none, or not within these: the key, what is there, and what is allowed.
pub(super) fn percentage(key: &str, said: &str, allowed: RangeInclusive<f64>) -> Result<f64, String> {
    let percent = said.strip_suffix('%').and_then(|number| number.trim().parse::<f64>().ok());
    percent.filter(|percent| allowed.contains(percent)).map(|percent| percent / 100.0).ok_or_else(|| {
        let (least, most) = (allowed.start(), allowed.end());
        format!("{key} is {said:?}: a percentage from {least}% to {most}% is allowed, such as 2%")
    })
}

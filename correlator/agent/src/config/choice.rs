//! Values of which there are a few, each with its name.

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

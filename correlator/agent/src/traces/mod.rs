//! `weft traces`: recent traces of a running agent, as trees.
use anyhow::Result;
use clap::Args;
use serde::Deserialize;
use serde_json::Value;

use crate::{client::Agent, config::Span, output::line};

mod view;

use view::Trace;

/// Options of `weft traces`.
#[derive(Args, Debug)]
pub struct Options {
    #[command(flatten)]
    agent: Agent,
    /// Only traces in which this pod has a part.
    #[arg(long, value_name = "NS/NAME")]
    pod: Option<String>,
    /// Only traces with a span that is an error.
    #[arg(long)]
    errors: bool,
    /// Only traces that took so long, or longer: 100ms, 2s.
    #[arg(long, value_name = "TIME", value_parser = time)]
    slower_than: Option<String>,
    /// Only traces in which something ended at or after this time, ns since the epoch.
    #[arg(long, value_name = "NS")]
    since: Option<u64>,
    /// At most so many: those that grew last.
    #[arg(long, value_name = "N", default_value_t = 20)]
    limit: usize,
    /// Print what the agent answers: one JSON document.
    #[arg(long)]
    json: bool,
}

#[derive(Deserialize)]
struct Traces {
    traces: Vec<Trace>,
}

/// Prints them, the oldest first, so that the newest stands where the eye is.
///
/// # Errors
/// When no agent answers.
pub fn run(options: &Options) -> Result<()> {
    let path = options.path();
    if options.json {
        line(&options.agent.get::<Value>(&path)?.to_string());
        return Ok(());
    }
    let Traces { traces } = options.agent.get(&path)?;
    if traces.is_empty() {
        line("no such traces: nothing was seen, or nothing that matches");
    }
    for trace in traces.iter().rev() {
        trace.lines().iter().for_each(|text| line(text));
        line("");
    }
    Ok(())
}

impl Options {
    fn path(&self) -> String {
        let Self { agent: _, pod, errors, slower_than, since, limit, json: _ } = self;
        let mut path = format!("/api/v1/traces?limit={limit}");
        let mut add = |key: &str, value: Option<String>| {
            if let Some(value) = value {
                path.push_str(&format!("&{key}={}", encoded(&value)));
            }
        };
        add("pod", pod.clone());
        add("errors", errors.then(|| "true".to_owned()));
        add("slower_than", slower_than.clone());
        add("since", since.map(|since| since.to_string()));
        path
    }
}

/// Checked here, so that a mistake is a wrong usage; the agent reads it once more.
fn time(text: &str) -> Result<String, String> {
    Span::try_from(text.to_owned()).map(|_| text.to_owned())
}

/// Percent-encoded (RFC 3986, 2.1) but for what has no meaning in a query.
fn encoded(text: &str) -> String {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-._~/".contains(&byte);
    let encode = |byte: u8| if plain(byte) { char::from(byte).to_string() } else { format!("%{byte:02X}") };
    text.bytes().map(encode).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_asked_for_is_one_query() {
        assert_eq!(encoded("shop/or ders&limit=9\r\n"), "shop/or%20ders%26limit%3D9%0D%0A");
        assert!(time("100ms").is_ok() && time("100").is_err());
    }
}

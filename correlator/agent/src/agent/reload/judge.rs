//! What is to be done about a file: a function of what it holds and of what is in force.
use std::{fs, path::Path};

use crate::config::Config;

/// What a file holds, or why it cannot be read.
pub type Content = Result<String, String>;

/// A configuration, and which keys of its file wait for a restart.
#[derive(Clone, Debug, PartialEq)]
pub struct InForce {
    pub config: Config,
    pub restart: Vec<&'static str>,
}

/// It.
#[derive(Debug, PartialEq)]
pub enum Verdict {
    /// This is to be in force.
    Apply(Box<InForce>),
    /// It is in force already.
    Unchanged,
    /// File, line, key and reason: what is in force stays.
    Refused(String),
}

/// # Errors
/// When there is no such file, or it is empty: a file that is being written, or could not be, is empty for a while.
pub fn read(path: &Path) -> Content {
    let text =
        fs::read_to_string(path).map_err(|error| format!("{}: cannot read: {error}", path.display()))?;
    if text.trim().is_empty() {
        return Err(format!("{}: is empty; {{}} stands for every default", path.display()));
    }
    Ok(text)
}

/// Judges a file in an agent that was started with `started`.
pub fn judge(path: &Path, content: &Content, started: &Config, in_force: &InForce) -> Verdict {
    let parse = |text: &String| Config::from_text(path, text).map_err(|error| format!("{error:#}"));
    match content.as_ref().map_err(Clone::clone).and_then(parse) {
        Err(why) => Verdict::Refused(why),
        Ok(config) => {
            let (config, restart) = config.adopt(started);
            let next = InForce { config, restart };
            if next == *in_force { Verdict::Unchanged } else { Verdict::Apply(Box::new(next)) }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What comes of a text where the defaults are in force.
    fn of(text: &str) -> Verdict {
        let started = Config::default();
        let in_force = InForce { config: started.clone(), restart: Vec::new() };
        judge(Path::new("weft.yaml"), &Ok(text.to_owned()), &started, &in_force)
    }

    fn applied(verdict: Verdict) -> InForce {
        if let Verdict::Apply(next) = verdict { *next } else { panic!("{verdict:?}") }
    }

    #[test]
    fn what_says_the_same_in_other_words_changes_nothing() {
        assert_eq!(of("{}"), Verdict::Unchanged);
        assert_eq!(of("# nothing\nroutes: { learn: true }\n"), Verdict::Unchanged);
    }

    #[test]
    fn what_is_valid_is_to_be_in_force() {
        let next = applied(of("routes: { learn: false }"));
        assert!(!next.config.routes.learn && next.restart.is_empty());
    }

    #[test]
    fn what_waits_for_a_restart_is_news_once() {
        let text = "metrics: { listen: 127.0.0.1:1 }";
        let next = applied(of(text));
        assert_eq!(
            (next.restart.as_slice(), &next.config),
            (["metrics.listen"].as_slice(), &Config::default())
        );
        let again = judge(Path::new("weft.yaml"), &Ok(text.to_owned()), &Config::default(), &next);
        assert_eq!(again, Verdict::Unchanged);
        let back = judge(Path::new("weft.yaml"), &Ok("{}".to_owned()), &Config::default(), &next);
        assert!(applied(back).restart.is_empty());
    }

    #[test]
    fn what_is_wrong_is_refused_with_file_line_and_key() {
        let Verdict::Refused(why) = of("capture:\n  ring_bytes: 3\n") else { panic!("it is wrong") };
        for named in ["weft.yaml", "line 2", "capture.ring_bytes is 3", "is allowed"] {
            assert!(why.contains(named), "{named:?} is not in {why}");
        }
    }

    #[test]
    fn a_file_that_is_gone_or_empty_is_no_configuration() {
        let folder = std::env::temp_dir().join(format!("weft-reload-{}", std::process::id()));
        fs::create_dir_all(&folder).unwrap();
        let file = folder.join("weft.yaml");
        assert!(read(&file).is_err_and(|why| why.contains("cannot read")));
        fs::write(&file, " \n").unwrap();
        assert!(read(&file).is_err_and(|why| why.contains("is empty")));
        fs::write(&file, "{}\n").unwrap();
        assert_eq!(read(&file), Ok("{}\n".to_owned()));
        fs::remove_dir_all(&folder).unwrap();
    }
}

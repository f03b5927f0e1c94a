//! Small programs that have the structures in them.
use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
};

use anyhow::{Context as _, Result};
use weft_gobin::{GO, Release};
use weft_lab::tools;

use super::{Versions, is_go};
use crate::run::{output, run};

/// A program that uses a module.
pub struct Program {
    /// The module's path.
    pub module: &'static str,
    source: &'static str,
    /// The newest Go that has the structures in it, if not every one has.
    newest_go: Option<Release>,
}

/// Go's own server and client, and its runtime.
pub const HTTP: Program = Program {
    module: GO,
    source: r#"
import "net/http"

func main() {
	http.Get("http://localhost")
	http.ListenAndServe("", nil)
}
"#,
    newest_go: None,
};

/// HTTP/2 as a module. Since Go 1.27 it hands everything to net/http.
pub const HTTP2: Program = Program {
    module: "golang.org/x/net",
    source: r#"
import (
	"net/http"

	"golang.org/x/net/http2"
)

func main() {
	(&http2.Transport{}).RoundTrip(nil)
	http2.ConfigureServer(&http.Server{}, nil)
	(&http2.Server{}).ServeConn(nil, nil)
}
"#,
    newest_go: Some(Release(1, 26)),
};

/// grpc-go's server and client.
pub const GRPC: Program = Program {
    module: "google.golang.org/grpc",
    source: r#"
import (
	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"
)

func main() {
	grpc.Dial("localhost", grpc.WithTransportCredentials(insecure.NewCredentials()))
	grpc.NewServer().Serve(nil)
}
"#,
    newest_go: None,
};

impl Program {
    /// The structure that this member belongs to is this module's: Go has what no other module has.
    pub fn has(&self, member: &str) -> bool {
        let others = [HTTP2.module, GRPC.module];
        if is_go(self.module) {
            return !others.iter().any(|module| member.starts_with(module));
        }
        member.starts_with(self.module)
    }

    /// What was released of the module since `oldest`.
    pub fn versions(&self, oldest: Release) -> Result<Versions> {
        let mut versions = Versions::new();
        for version in list(self.module)? {
            let numbers = version.trim_start_matches('v');
            let Some((release, patch)) = release(numbers).filter(|(release, _)| *release >= oldest) else {
                continue;
            };
            if patch.chars().all(|digit| digit.is_ascii_digit()) {
                versions.entry(release).or_default().push(version);
            }
        }
        Ok(versions)
    }

    /// Who builds the first and the last version of a release, as `GOTOOLCHAIN` says it: Go itself is built by itself, a module by
    /// the oldest Go that can and by the newest.
    pub fn toolchains(&self, first: &str, last: &str) -> (String, String) {
        if is_go(self.module) {
            return (format!("go{first}"), format!("go{last}"));
        }
        let newest = self.newest_go.unwrap_or(Release(1, 27));
        ("go1.21.13+auto".to_owned(), format!("go{newest}.0+auto"))
    }

    /// Builds the program with a version of the module.
    pub fn build(&self, version: &str, toolchain: &str) -> Result<PathBuf> {
        let folder = tools::target_dir().join("go-offsets").join(self.module.replace('/', "_"));
        let _ = fs::remove_dir_all(&folder);
        fs::create_dir_all(&folder)?;
        fs::write(folder.join("go.mod"), "module probe\n\ngo 1.21\n")?;
        fs::write(folder.join("main.go"), format!("package main\n{}", self.source))?;
        if !is_go(self.module) {
            run(go(&folder, toolchain)?.args(["get", &format!("{}@{version}", self.module)]))?;
        }
        run(go(&folder, toolchain)?.args(["build", "-mod=mod", "-o", "probe", "."]))
            .with_context(|| format!("{} {version} by {toolchain}", self.module))?;
        Ok(folder.join("probe"))
    }
}

fn go(folder: &Path, toolchain: &str) -> Result<Command> {
    let mut command = Command::new(tools::go().context("no Go toolchain: install Go 1.26 or newer")?);
    command.current_dir(folder).env("GOTOOLCHAIN", toolchain).env("CGO_ENABLED", "0").env_remove("GOFLAGS");
    Ok(command)
}

fn list(module: &str) -> Result<Vec<String>> {
    let printed = output(go(Path::new("/"), "local")?.args(["list", "-m", "-versions", module]))?;
    Ok(printed.split_whitespace().skip(1).map(str::to_owned).collect())
}

/// `1.26` and `8` of `1.26.8`.
fn release(version: &str) -> Option<(Release, &str)> {
    let (release, patch) = version.rsplit_once('.')?;
    Some((release.parse().ok()?, patch))
}

//! The programs, built once into the target folder.
use std::{
    env,
    fs::{self, File},
    path::{Path, PathBuf},
    process::Command,
};

use weft_gobin::GoBinary;

/// Go's versions, and the module file that goes with each.
pub const VERSIONS: [(&str, &str); 4] = [
    ("1.21.13", "go1.21.mod"),
    ("1.24.13", "go1.24.mod"),
    ("1.26.8", "go1.26.mod"),
    ("1.27.2", "go1.27.mod"),
];

const STRIP: &str = "-ldflags=-s -w";
const STATIC: &str = "-ldflags=-linkmode=external -extldflags=-static";

/// A way to build.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Variant {
    Plain,
    Stripped,
    PieTrimmed,
    PieTrimmedStripped,
    /// With C, which has variables of threads.
    Cgo,
    CgoStripped,
    CgoPie,
    CgoPieStripped,
    CgoStatic,
}

impl Variant {
    pub const WITH_SYMBOLS: [Self; 5] =
        [Self::Plain, Self::PieTrimmed, Self::Cgo, Self::CgoPie, Self::CgoStatic];

    /// Pairs that differ by what was stripped.
    pub const STRIPPED: [(Self, Self); 4] = [
        (Self::Plain, Self::Stripped),
        (Self::PieTrimmed, Self::PieTrimmedStripped),
        (Self::Cgo, Self::CgoStripped),
        (Self::CgoPie, Self::CgoPieStripped),
    ];

    fn is_cgo(self) -> bool {
        !matches!(self, Self::Plain | Self::Stripped | Self::PieTrimmed | Self::PieTrimmedStripped)
    }

    fn arguments(self) -> &'static [&'static str] {
        const PIE: &str = "-buildmode=pie";
        match self {
            Self::Plain | Self::Cgo => &[],
            Self::Stripped | Self::CgoStripped => &[STRIP],
            Self::PieTrimmed => &[PIE, "-trimpath"],
            Self::PieTrimmedStripped => &[PIE, "-trimpath", STRIP],
            Self::CgoPie => &[PIE],
            Self::CgoPieStripped => &[PIE, STRIP],
            Self::CgoStatic => &[STATIC, "-tags=netgo,osusergo"],
        }
    }
}

/// A built program.
pub struct Program {
    pub path: PathBuf,
    pub bytes: Vec<u8>,
}

impl Program {
    /// Built by this version, in this way.
    pub fn built(version: &(&str, &str), variant: Variant) -> Self {
        let (go, modules) = *version;
        let path = folder().join(format!("{go}-{variant:?}"));
        let mut command = self::go(go);
        command.arg("build").args(variant.arguments()).arg("-o").arg(&path);
        command.arg(format!("-modfile={modules}")).arg(".");
        command.env("CGO_ENABLED", if variant.is_cgo() { "1" } else { "0" });
        once(&path, &mut command);
        Self { bytes: fs::read(&path).expect("what was built"), path }
    }

    /// One with next to nothing in it, with these flags of the linker.
    pub fn small(version: &(&str, &str), flags: &str) -> Self {
        let (go, modules) = *version;
        let path = folder().join(format!("{go}-small{}", flags.replace([' ', '='], "")));
        let mut command = self::go(go);
        command.args(["build", &format!("-ldflags={flags}"), &format!("-modfile={modules}"), "-o"]);
        command.arg(&path).arg("./small").env("CGO_ENABLED", "0");
        once(&path, &mut command);
        Self { bytes: fs::read(&path).expect("what was built"), path }
    }

    /// What weft says of it.
    pub fn read(&self) -> GoBinary {
        let binary = weft_gobin::read(&self.bytes).expect("a Go program").expect("a Go program");
        assert!(binary.points.len() >= 12, "{}: {:?}", self.path.display(), binary.missing);
        binary
    }
}

/// The command of this version of Go, in the folder with the sources.
pub fn go(version: &str) -> Command {
    let mut command = Command::new("go");
    command.current_dir(Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/binaries/go"));
    command.env("GOTOOLCHAIN", format!("go{version}")).env("GOFLAGS", "-buildvcs=false");
    // Where Go's own archive puts it.
    let path = env::var("PATH").unwrap_or_default();
    command.env("PATH", format!("{path}:/usr/local/go/bin"));
    command
}

fn folder() -> PathBuf {
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join("gobin");
    fs::create_dir_all(&folder).expect("a folder in the target folder");
    folder
}

/// Runs the command unless what it makes was made by the same one, of the same sources. Tests run beside each other: one builds,
/// the others wait.
fn once(output: &Path, command: &mut Command) {
    let lock = File::create(output.with_added_extension("lock")).expect("a lock");
    lock.lock().expect("the lock");
    let recipe = output.with_added_extension("recipe");
    let wanted = format!("{command:?}\n{}", sources());
    if output.exists() && fs::read_to_string(&recipe).is_ok_and(|made| made == wanted) {
        return;
    }
    let result = command.output().expect("Go: install it, or leave the ignored tests out");
    assert!(result.status.success(), "{command:?}: {}", String::from_utf8_lossy(&result.stderr));
    fs::write(recipe, wanted).expect("a note of what was built");
}

fn sources() -> String {
    let files = [
        include_str!("../go/main.go"),
        include_str!("../go/cgo.go"),
        include_str!("../go/small/main.go"),
        include_str!("../go/go1.21.mod"),
        include_str!("../go/go1.24.mod"),
        include_str!("../go/go1.26.mod"),
        include_str!("../go/go1.27.mod"),
    ];
    files.concat()
}

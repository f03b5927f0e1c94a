//! The functions that weft listens at, and where in a binary they are.
use crate::{
    GoFunction,
    wanted::{GRPC, GRPC_TRANSPORT, HTTP, INTERNAL_HTTP2, RUNTIME, X_HTTP2},
};

/// A function of a package.
#[derive(Debug, PartialEq, Eq)]
pub struct Known {
    /// What it means.
    pub function: GoFunction,
    /// The path of its package.
    pub package: &'static str,
    /// Its name in the package.
    pub name: &'static str,
}

const fn known(function: GoFunction, package: &'static str, name: &'static str) -> Known {
    Known { function, package, name }
}

/// All of them.
pub const FUNCTIONS: [Known; 17] = [
    known(GoFunction::HttpServe, HTTP, "serverHandler.ServeHTTP"),
    known(GoFunction::HttpCall, HTTP, "(*persistConn).roundTrip"),
    known(GoFunction::H2Serve, HTTP, "(*http2serverConn).runHandler"),
    known(GoFunction::H2Serve, INTERNAL_HTTP2, "(*serverConn).runHandler"),
    known(GoFunction::H2Serve, X_HTTP2, "(*serverConn).runHandler"),
    known(GoFunction::H2Call, HTTP, "(*http2clientStream).encodeAndWriteHeaders"),
    known(GoFunction::H2Call, INTERNAL_HTTP2, "(*clientStream).encodeAndWriteHeaders"),
    known(GoFunction::H2Call, X_HTTP2, "(*clientStream).encodeAndWriteHeaders"),
    known(GoFunction::GrpcServe, GRPC, "(*Server).handleStream"),
    // Its name before and since grpc 1.69.
    known(GoFunction::GrpcCall, GRPC_TRANSPORT, "(*http2Client).Write"),
    known(GoFunction::GrpcCall, GRPC_TRANSPORT, "(*http2Client).write"),
    known(GoFunction::StopWorld, RUNTIME, "stopTheWorldWithSema"),
    known(GoFunction::StartWorld, RUNTIME, "startTheWorldWithSema"),
    known(GoFunction::GcStart, RUNTIME, "gcStart"),
    known(GoFunction::GcMarkTermination, RUNTIME, "gcMarkTermination"),
    known(GoFunction::GcAssist, RUNTIME, "gcAssistAlloc"),
    known(GoFunction::Status, RUNTIME, "casgstatus"),
];

/// Names longer than this are nobody's that is looked for.
pub const MOST_NAME: usize = 512;
/// Functions that are kept: a program may have copies of modules in vendor folders.
const MOST_FOUND: usize = 48;

/// It is assembly, which symbol tables tell.
const MORESTACK: [&[u8]; 2] = [b"runtime.morestack", b"runtime.morestack.abi0"];

/// A known function in a binary.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Found {
    /// Which.
    pub known: &'static Known,
    /// What stands before the package's path: where a module was copied into a vendor folder.
    pub vendor: String,
    /// Its virtual address.
    pub address: u64,
}

impl Found {
    /// Its name in the binary.
    pub fn symbol(&self) -> String {
        format!("{}{}.{}", self.vendor, self.known.package, self.known.name)
    }
}

/// Keeps what is looked for, of names in any order.
#[derive(Debug, Default)]
pub struct Functions {
    /// What was found.
    pub found: Vec<Found>,
    /// The address of `runtime.morestack`.
    pub morestack: Option<u64>,
}

impl Functions {
    /// One more function; the first of a name counts.
    pub fn offer(&mut self, name: &[u8], address: u64) {
        if MORESTACK.contains(&name) {
            self.morestack = Some(address);
        }
        for known in &FUNCTIONS {
            let Some(vendor) = before(name, known) else { continue };
            // It is told in sentences: no control characters.
            let printable = vendor.iter().all(u8::is_ascii_graphic);
            let Some(vendor) = str::from_utf8(vendor).ok().filter(|_| printable) else { return };
            let again = self.found.iter().any(|found| found.known == known && found.vendor == vendor);
            if !again && self.found.len() < MOST_FOUND {
                self.found.push(Found { known, vendor: vendor.to_owned(), address });
            }
            return;
        }
    }
}

/// What stands before the function's own name: nothing, or the path of a vendor folder.
fn before<'a>(name: &'a [u8], known: &Known) -> Option<&'a [u8]> {
    let package = name.strip_suffix(known.name.as_bytes())?.strip_suffix(b".")?;
    let vendor = package.strip_suffix(known.package.as_bytes())?;
    let of_module = known.package.contains(".org/");
    (vendor.is_empty() || of_module && (vendor == b"vendor/" || vendor.ends_with(b"/vendor/")))
        .then_some(vendor)
}

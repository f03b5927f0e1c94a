//! What is said of executables: small ones that are made here, and real ones that Go's toolchains built.
mod damaged;
mod real;
mod small;
mod synthetic;

//! Scripted conversations in HTTP/2.
mod calls;
mod peers;
mod streams;

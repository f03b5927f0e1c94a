//! Scripted conversations in HTTP/2.
mod calls;
mod flow;
mod hostile;
mod join;
mod midway;
mod oracle;
mod peers;
mod streams;

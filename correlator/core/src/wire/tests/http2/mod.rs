//! Scripted conversations in HTTP/2.
mod bounds;
mod calls;
mod flow;
mod hostile;
mod join;
mod midway;
mod oracle;
mod peers;
mod run;
mod search;
mod streams;
mod upgrade;

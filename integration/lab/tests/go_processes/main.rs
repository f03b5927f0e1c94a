//! Go processes in real pods: found, understood, listened to within the budget, and forgotten; and everything that may be
//! wrong with them, with which the wire is traced all the same. Needs root and Go.

mod bad;
mod budget;
mod found;
mod many;
mod node;
mod runtimes;

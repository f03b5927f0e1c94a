//! The programs in the kernel: TC on packets that the tests make byte by byte, socket and Go programs on real processes. Needs
//! root, a Go toolchain, and no network.

mod cost;
mod framing;
mod gobench;
mod gocalls;
mod goprogram;
mod goroutines;
mod gosched;
mod kernels;
mod load;
mod packet;
mod packets;
mod processes;
mod runs;
mod slots;
mod wakes;
mod whole;

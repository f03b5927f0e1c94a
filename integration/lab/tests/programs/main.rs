//! The TC programs in the kernel, on packets that the tests make byte by byte. Needs root, and no network.

mod cost;
mod load;
mod packet;
mod packets;
mod runs;
mod slots;

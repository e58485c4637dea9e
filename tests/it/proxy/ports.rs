//! Ports for servers that cannot be handed a bound socket.

use std::collections::HashSet;
use std::net::{Ipv4Addr, TcpListener};
use std::sync::{LazyLock, Mutex};

/// The range stays below the ports the kernel gives to outgoing connections, which could take one between our look and
/// the server's bind.
const FIRST: u16 = 10_000;
const COUNT: u32 = 22_000;

/// A port nobody listens on, and that this process has not handed out before.
pub(crate) fn free() -> u16 {
    static TAKEN: LazyLock<Mutex<HashSet<u16>>> = LazyLock::new(Mutex::default);
    let mut taken = TAKEN.lock().expect("ports");
    // Test processes that run side by side start their search at different places.
    let start = std::process::id().wrapping_mul(97);
    for step in 0..COUNT {
        let offset = u16::try_from(start.wrapping_add(step) % COUNT).expect("below 22000");
        let port = FIRST + offset;
        if !taken.contains(&port) && TcpListener::bind((Ipv4Addr::LOCALHOST, port)).is_ok() {
            taken.insert(port);
            return port;
        }
    }
    panic!("no free port on 127.0.0.1 from {FIRST} on");
}

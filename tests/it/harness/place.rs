//! Addresses that are kept for one program, however often it is started anew.

use std::net::SocketAddr;
use tokio::net::TcpSocket;

/// A port of the loopback. The system gives it to nobody as long as this is there: it is taken, and since nobody listens
/// by it, who names it may.
pub(crate) struct Place {
    address: SocketAddr,
    _taken: TcpSocket,
}

impl Place {
    pub(crate) fn take() -> Self {
        let taken = TcpSocket::new_v4().expect("a socket");
        taken.set_reuseaddr(true).expect("known everywhere");
        taken.bind(SocketAddr::from(([127, 0, 0, 1], 0))).expect("a free port");
        Place { address: taken.local_addr().expect("bound"), _taken: taken }
    }

    pub(crate) fn address(&self) -> SocketAddr {
        self.address
    }
}

//! Connecting to a host that may have several addresses.

use core::net::{IpAddr, SocketAddr};
use std::{io, sync::Arc};

use futures::stream::{FuturesUnordered, StreamExt as _};
use tokio::{
    net::TcpStream,
    time::{Duration, sleep},
};
use xtls::{ConnectionId, transports::Host};

use crate::shared::Core;

/// How many addresses of a name are dialled.
const MAX_ADDRESSES: usize = 8;
/// How long an address has until the next one is tried beside it: one that is dead must not use up the time of all,
/// which the engine keeps.
const STAGGER: Duration = Duration::from_millis(250);

/// Connects to an address of a host, whichever that may be dialled takes the connection first.
pub(super) async fn connect(core: Arc<Core>, id: ConnectionId, host: Host, port: u16) -> io::Result<TcpStream> {
    let found = tokio::net::lookup_host((host.as_str(), port)).await?.collect();
    // A name may lead anywhere, and elsewhere than a moment ago.
    let may_dial = |address| {
        let checked = core.lock().engine.check_address(id, address);
        checked.map_err(|refused| io::Error::new(io::ErrorKind::PermissionDenied, refused))
    };
    first(in_turn(found), may_dial, TcpStream::connect).await
}

/// The first connection of these addresses, dialled one after the other has begun; the next one at once when one has failed.
async fn first<T, F: Future<Output = io::Result<T>>>(
    addresses: Vec<SocketAddr>,
    may_dial: impl Fn(IpAddr) -> io::Result<()>,
    dial: impl Fn(SocketAddr) -> F,
) -> io::Result<T> {
    let mut waiting = addresses.into_iter().take(MAX_ADDRESSES);
    let mut dialled = FuturesUnordered::new();
    let mut error = io::Error::from(io::ErrorKind::NotFound);
    loop {
        if let Some(address) = waiting.next() {
            match may_dial(address.ip()) {
                Ok(()) => dialled.push(dial(address)),
                Err(refused) => {
                    error = refused;
                    continue;
                }
            }
        }
        tokio::select! {
            biased;
            Some(result) = dialled.next() => match result {
                Ok(connected) => return Ok(connected),
                Err(failed) => error = failed,
            },
            () = sleep(STAGGER), if !dialled.is_empty() && waiting.len() > 0 => {}
            else => return Err(error),
        }
    }
}

/// Those of both families in turn, as the system has ordered each.
fn in_turn(found: Vec<SocketAddr>) -> Vec<SocketAddr> {
    let is_first_family = found.first().map(SocketAddr::is_ipv4);
    let (one, other): (Vec<_>, Vec<_>) = found.into_iter().partition(|found| Some(found.is_ipv4()) == is_first_family);
    let (mut one, mut other) = (one.into_iter(), other.into_iter());
    let mut turns = Vec::new();
    loop {
        let turn = [one.next(), other.next()];
        if turn == [None, None] {
            return turns;
        }
        turns.extend(turn.into_iter().flatten());
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use std::{cell::RefCell, future::pending};

    use tokio::time::Instant;

    use super::*;

    fn addresses(all: &[&str]) -> Vec<SocketAddr> {
        all.iter().map(|address| format!("{address}:5086").parse().unwrap()).collect()
    }

    /// What comes of dialling these: 192.0.2.1 never answers, 192.0.2.2 refuses, 192.0.2.3 takes it after a second, 192.0.2.4 at
    /// once, and 192.0.2.5 may not be dialled. Then when that was, and what was dialled.
    fn dialled(all: &[&str]) -> (Option<u8>, u128, Vec<u8>) {
        let dialled = RefCell::new(Vec::new());
        let runtime = tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true).build().unwrap();
        let last = |address: IpAddr| address.to_string().bytes().last().unwrap() - b'0';
        let may_dial = |address| {
            if last(address) == 5 { Err(io::Error::from(io::ErrorKind::PermissionDenied)) } else { Ok(()) }
        };
        let dial = |address: SocketAddr| {
            let number = last(address.ip());
            dialled.borrow_mut().push(number);
            async move {
                match number {
                    1 => pending().await,
                    2 => Err(io::Error::from(io::ErrorKind::ConnectionRefused)),
                    3 => {
                        sleep(Duration::from_secs(1)).await;
                        Ok(3)
                    }
                    number => Ok(number),
                }
            }
        };
        let (result, took) = runtime.block_on(async {
            let began = Instant::now();
            let result = tokio::time::timeout(Duration::from_secs(60), first(addresses(all), may_dial, dial)).await;
            (result, began.elapsed().as_millis())
        });
        (result.ok().and_then(Result::ok), took, dialled.into_inner())
    }

    #[test]
    fn a_dead_address_holds_the_next_one_up_for_a_quarter_of_a_second() {
        assert_eq!(dialled(&["192.0.2.1", "192.0.2.4"]), (Some(4), 250, vec![1, 4]));
        assert_eq!(dialled(&["192.0.2.1", "192.0.2.1", "192.0.2.4"]), (Some(4), 500, vec![1, 1, 4]));
        // The one that was dialled first may still be the first.
        assert_eq!(dialled(&["192.0.2.3", "192.0.2.1"]), (Some(3), 1000, vec![3, 1]));
    }

    #[test]
    fn what_fails_makes_room_for_the_next_at_once() {
        assert_eq!(dialled(&["192.0.2.2", "192.0.2.4"]), (Some(4), 0, vec![2, 4]));
        assert_eq!(dialled(&["192.0.2.2", "192.0.2.2"]), (None, 0, vec![2, 2]));
        assert_eq!(dialled(&[]), (None, 0, vec![]));
        // The last one has as long as the caller gives it.
        assert_eq!(dialled(&["192.0.2.1"]), (None, 60_000, vec![1]));
    }

    #[test]
    fn what_may_not_be_dialled_is_left_out() {
        assert_eq!(dialled(&["192.0.2.5", "192.0.2.4"]), (Some(4), 0, vec![4]));
        assert_eq!(dialled(&["192.0.2.1", "192.0.2.5", "192.0.2.4"]), (Some(4), 250, vec![1, 4]));
        assert_eq!(dialled(&["192.0.2.1", "192.0.2.2", "192.0.2.5"]), (None, 60_000, vec![1, 2]));
    }

    #[test]
    fn eight_addresses_are_dialled_and_no_ninth() {
        let mut all = ["192.0.2.2"; 9];
        all[8] = "192.0.2.4";
        assert_eq!(dialled(&all), (None, 0, vec![2; 8]));
        assert_eq!(dialled(&all[1..]), (Some(4), 0, [vec![2; 7], vec![4]].concat()));
    }

    #[test]
    fn both_families_come_in_turn() {
        let all = addresses(&["[2001:db8::1]", "[2001:db8::2]", "[2001:db8::3]", "192.0.2.1"]);
        let expected = addresses(&["[2001:db8::1]", "192.0.2.1", "[2001:db8::2]", "[2001:db8::3]"]);
        assert_eq!(in_turn(all), expected);
        assert_eq!(in_turn(Vec::new()), []);
    }
}

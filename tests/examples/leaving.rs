//! The two ways in which a client leaves a recipe, and how soon the recipe has stopped.

use crate::example::Example;
use rustix::net::sockopt::set_socket_linger;
use std::io::{Read, Write};
use std::net::{Shutdown, TcpStream};
use std::process::Command;
use std::time::{Duration, Instant};

/// How soon a recipe must have stopped: milliseconds are expected, and this machine may be loaded.
pub(crate) const STOPPED: Duration = Duration::from_secs(5);

#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Leaving {
    Fin,
    Reset,
}

pub(crate) const BOTH: [(Leaving, &str); 2] = [
    (Leaving::Fin, "closed by peer"),
    (Leaving::Reset, "reset by peer"),
];

impl Leaving {
    /// The client's end; half closed only, it must stay until the recipe has stopped.
    fn leave(self, client: TcpStream) -> Option<TcpStream> {
        match self {
            Self::Fin => {
                client.shutdown(Shutdown::Write).unwrap();
                Some(client)
            }
            Self::Reset => {
                set_socket_linger(&client, Some(Duration::ZERO)).unwrap();
                None
            }
        }
    }
}

/// Waits for the line in which the recipe says that it has stopped, and says how long that took.
pub(crate) fn stops(
    recipe: &str,
    example: &mut Example,
    client: TcpStream,
    leaving: Leaving,
    reason: &str,
) {
    let left = Instant::now();
    let _client = leaving.leave(client);
    let line = example.line("stopped: ");
    let took = left.elapsed();
    println!("{recipe}: {leaving:?}: stopped within {took:.1?}: {line}");
    assert!(line.contains(reason), "{recipe}: {leaving:?}: {line}");
    assert!(took < STOPPED, "{recipe}: {leaving:?}: {took:?}");
}

/// Starts a recipe that listens, and reads its address.
pub(crate) fn listening(command: &mut Command) -> (Example, String) {
    let mut example = Example::start(command);
    let line = example.line("listening on ");
    let address = line.rsplit(' ').next().unwrap().to_owned();
    (example, address)
}

/// A client that has sent `request`, and has received something if the recipe answers it.
pub(crate) fn client(address: &str, request: impl AsRef<[u8]>, answers: bool) -> TcpStream {
    let mut client = TcpStream::connect(address).unwrap();
    client.write_all(request.as_ref()).unwrap();
    if answers {
        assert_ne!(client.read(&mut [0; 64]).unwrap(), 0);
    }
    client
}

//! What lets one thread wait for sockets, signals and times at once. It starts no thread of its own.

use std::io;
use std::os::unix::net::UnixStream;

/// Pairs of handles: as many as a runtime opens for itself, and one more.
const PAIRS: usize = 4;

/// A runtime for the calling thread, or for the one it is given to.
///
/// # Errors
/// When the process may have no more handles. The library itself would panic over some of them; so they are asked
/// for here first.
pub(crate) fn runtime() -> io::Result<tokio::runtime::Runtime> {
    let room: io::Result<Vec<(UnixStream, UnixStream)>> = (0..PAIRS).map(|_| UnixStream::pair()).collect();
    drop(room?);
    tokio::runtime::Builder::new_current_thread().enable_all().build()
}

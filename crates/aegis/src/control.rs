//! The control socket and the signals of the process, on a thread of their own: they reach the thread that owns the
//! nodes through a bounded queue and never touch a node. Mode 0600 in a 0700 directory says who may speak; the
//! kernel says who spoke.

use crate::control::words::{Ask, Reply};
use crate::exit::{Exit, Failure};
use aegis_model::Label;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU8, Ordering};
use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender, TryRecvError, TrySendError, sync_channel};
use std::time::Duration;
use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::{UnixListener, UnixStream};
use tokio::sync::oneshot;

pub(crate) mod outcome;
pub(crate) mod words;

/// Requests that may wait for the node's thread; more are told that it is busy.
const QUEUE: usize = 64;
/// Bytes of a request line that are read.
const LINE_MAX: u64 = 64 * 1024;
/// Connections served at a time.
const CONNECTIONS_MAX: usize = 32;
/// Name of the socket in the data directory.
pub(crate) const SOCKET: &str = "control.sock";

/// A request on its way to the node's thread.
pub(crate) struct Request {
    /// Who asks, as the kernel knows them.
    pub(crate) by: Label,
    /// What.
    pub(crate) ask: Ask,
    /// Where the answer goes; nobody may be left to hear it.
    pub(crate) reply: oneshot::Sender<Reply>,
}

/// What the node's thread hears.
pub(crate) enum Heard {
    /// A request.
    Request(Request),
    /// The process is asked to end; the signal's name.
    Stop(&'static str),
    /// Nothing within the time given.
    Nothing,
}

/// The node thread's end of the queue.
pub(crate) struct Desk {
    queue: Receiver<Option<Request>>,
    stop: Arc<AtomicU8>,
    socket: Option<PathBuf>,
}

const TERMINATED: u8 = 1;
const INTERRUPTED: u8 = 2;

impl Desk {
    /// Starts the second thread: signals, and the socket in `dir` if it is wanted.
    ///
    /// # Errors
    /// [`Failure`] when the thread or the signals cannot be had. A socket that cannot be had is only logged.
    pub(crate) fn open(dir: &Path, serve: bool) -> Result<Desk, Failure> {
        let (sender, queue) = sync_channel(QUEUE);
        let stop = Arc::new(AtomicU8::new(0));
        let socket = serve.then(|| dir.join(SOCKET));
        let runtime = crate::runtime::runtime().map_err(|e| Failure::io("the control thread", &e))?;
        let listener = socket.as_deref().and_then(|path| {
            let _guard = runtime.enter();
            listen(path).map_err(|e| tracing::warn!("no control socket at {}: {e}", path.display())).ok()
        });
        let socket = socket.filter(|_| listener.is_some());
        let flag = Arc::clone(&stop);
        std::thread::Builder::new()
            .name("control".to_owned())
            .spawn(move || runtime.block_on(serve_all(listener, sender, flag)))
            .map_err(|e| Failure::io("the control thread", &e))?;
        Ok(Desk { queue, stop, socket })
    }

    /// What waits now, or within `wait`.
    pub(crate) fn hear(&self, wait: Duration) -> Heard {
        if let Some(stop) = self.stopped() {
            return stop;
        }
        let next = if wait.is_zero() {
            self.queue.try_recv().map_err(|e| e == TryRecvError::Disconnected)
        } else {
            self.queue.recv_timeout(wait).map_err(|e| e == RecvTimeoutError::Disconnected)
        };
        match next {
            Ok(Some(request)) => Heard::Request(request),
            Ok(None) => self.stopped().unwrap_or(Heard::Nothing),
            Err(gone) => {
                if gone && !wait.is_zero() {
                    // The other thread is gone, so nothing can wake us: pass the time that was asked for.
                    std::thread::park_timeout(wait);
                }
                Heard::Nothing
            }
        }
    }

    fn stopped(&self) -> Option<Heard> {
        match self.stop.load(Ordering::Relaxed) {
            TERMINATED => Some(Heard::Stop("SIGTERM")),
            INTERRUPTED => Some(Heard::Stop("SIGINT")),
            _ => None,
        }
    }
}

impl Drop for Desk {
    fn drop(&mut self) {
        if let Some(socket) = &self.socket {
            let _ = std::fs::remove_file(socket);
        }
    }
}

/// Binds the socket, in place of one that nobody answers on.
fn listen(path: &Path) -> std::io::Result<UnixListener> {
    if std::os::unix::net::UnixStream::connect(path).is_ok() {
        return Err(std::io::Error::new(std::io::ErrorKind::AddrInUse, "another process answers there"));
    }
    match std::fs::remove_file(path) {
        Err(e) if e.kind() != std::io::ErrorKind::NotFound => return Err(e),
        Ok(()) | Err(_) => {}
    }
    // The directory is 0700, so nobody comes in between the two steps.
    let listener = UnixListener::bind(path)?;
    std::fs::set_permissions(path, std::fs::Permissions::from_mode(0o600))?;
    Ok(listener)
}

async fn serve_all(listener: Option<UnixListener>, queue: SyncSender<Option<Request>>, stop: Arc<AtomicU8>) {
    use tokio::signal::unix::{SignalKind, signal};
    let (Ok(mut terminated), Ok(mut interrupted)) =
        (signal(SignalKind::terminate()), signal(SignalKind::interrupt()))
    else {
        tracing::warn!("signals cannot be caught: SIGTERM ends the process as SIGKILL does");
        return;
    };
    let room = Arc::new(tokio::sync::Semaphore::new(CONNECTIONS_MAX));
    loop {
        tokio::select! {
            _ = terminated.recv() => stopping(&stop, &queue, TERMINATED),
            _ = interrupted.recv() => stopping(&stop, &queue, INTERRUPTED),
            Some(stream) = accept(listener.as_ref()) => {
                let queue = queue.clone();
                if let Ok(permit) = Arc::clone(&room).try_acquire_owned() {
                    // Dropping the handle lets the task run on; it ends with its connection.
                    drop(tokio::spawn(async move {
                        if let Err(e) = converse(stream, &queue).await {
                            tracing::debug!("a control connection ended: {e}");
                        }
                        drop(permit);
                    }));
                }
            }
        }
    }
}

/// The first signal asks, the second does not.
fn stopping(stop: &AtomicU8, queue: &SyncSender<Option<Request>>, which: u8) {
    if stop.swap(which, Ordering::Relaxed) != 0 {
        std::process::exit(if which == TERMINATED { 143 } else { 130 });
    }
    let _ = queue.try_send(None);
}

async fn accept(listener: Option<&UnixListener>) -> Option<UnixStream> {
    match listener {
        Some(listener) => listener.accept().await.ok().map(|(stream, _)| stream),
        None => std::future::pending().await,
    }
}

async fn converse(stream: UnixStream, queue: &SyncSender<Option<Request>>) -> std::io::Result<()> {
    let by = match stream.peer_cred() {
        Ok(credentials) => Label::lossy(&format!("uid {}", credentials.uid())),
        Err(_) => Label::literal("control socket"),
    };
    let (read, mut write) = stream.into_split();
    let mut line = String::new();
    BufReader::new(read.take(LINE_MAX)).read_line(&mut line).await?;
    let reply = match serde_json::from_str::<Ask>(&line) {
        Ok(ask) => submit(by, ask, queue).await,
        Err(e) => Reply::refused(format!("not a request: {e}")),
    };
    let mut text = serde_json::to_string(&reply).unwrap_or_default();
    text.push('\n');
    write.write_all(text.as_bytes()).await
}

async fn submit(by: Label, ask: Ask, queue: &SyncSender<Option<Request>>) -> Reply {
    let (reply, answer) = oneshot::channel();
    match queue.try_send(Some(Request { by, ask, reply })) {
        Ok(()) => answer.await.unwrap_or_else(|_| Reply::refused("the process ended before it could answer")),
        Err(TrySendError::Full(_)) => Reply::refused("too many requests wait: try again"),
        Err(TrySendError::Disconnected(_)) => Reply::refused("the process is ending"),
    }
}

/// Asks a running process; none when none answers.
///
/// # Errors
/// [`Failure`] when the connection breaks.
pub(crate) fn ask(dir: &Path, ask: &Ask) -> Result<Option<Reply>, Failure> {
    use std::io::{BufRead, Write};
    let path = dir.join(SOCKET);
    let Ok(mut stream) = std::os::unix::net::UnixStream::connect(&path) else { return Ok(None) };
    let broken = |e: std::io::Error| Failure::io(path.display(), &e);
    let text = serde_json::to_string(ask).map_err(Failure::bug)?;
    writeln!(stream, "{text}").map_err(broken)?;
    let mut line = String::new();
    std::io::BufReader::new(stream).read_line(&mut line).map_err(broken)?;
    if line.is_empty() {
        return Err(Failure::new(
            Exit::Io,
            format!(
                "{}: the process ended before it answered, or has too many connections: what became of it stands in its \
                 journal (`aegis log`)",
                path.display()
            ),
        ));
    }
    serde_json::from_str(&line).map(Some).map_err(|e| Failure::bug(format!("an answer that is none: {e}")))
}

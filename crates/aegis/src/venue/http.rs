//! The doors: HTTP requests become [`Knock`]s, sockets are handed over. A connection can be cut without an answer.

use crate::venue::house::{Answer, DoorKind, House, Knock};
use crate::venue::socket;
use aegis_cryptocom::Reply;
use axum::Router;
use axum::body::Body;
use axum::extract::connect_info::Connected;
use axum::extract::ws::WebSocketUpgrade;
use axum::extract::{ConnectInfo, Request, State};
use axum::http::{HeaderValue, Method, StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use axum::serve::{IncomingStream, Listener};
use std::io;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

/// Connections at once; the next one waits until one ends.
const CONNECTIONS_MAX: usize = 1024;
/// Bytes of a request's body: a list of ten orders has about five thousand.
const BODY_MAX: usize = 256 * 1024;
/// Bytes of a frame that comes in.
const FRAME_MAX: usize = 64 * 1024;
/// Where everything begins.
pub(crate) const ROOT: &str = "/exchange/v1/";

/// A listener whose connections are counted and can be cut.
pub(crate) struct Gate {
    listener: TcpListener,
    room: Arc<Semaphore>,
}

impl Gate {
    /// Over a bound listener.
    pub(crate) fn new(listener: TcpListener) -> Gate {
        Gate { listener, room: Arc::new(Semaphore::new(CONNECTIONS_MAX)) }
    }
}

/// A connection.
pub(crate) struct Line {
    stream: TcpStream,
    cut: Arc<AtomicBool>,
    _room: Option<OwnedSemaphorePermit>,
}

/// Who is at the other end, and the scissors.
#[derive(Clone, Debug)]
pub(crate) struct Peer {
    address: SocketAddr,
    cut: Arc<AtomicBool>,
}

impl Listener for Gate {
    type Io = Line;
    type Addr = SocketAddr;

    async fn accept(&mut self) -> (Line, SocketAddr) {
        let room = Arc::clone(&self.room).acquire_owned().await.ok();
        let (stream, address) = Listener::accept(&mut self.listener).await;
        if let Err(e) = stream.set_nodelay(true) {
            tracing::debug!("TCP_NODELAY: {e}");
        }
        (Line { stream, cut: Arc::default(), _room: room }, address)
    }

    fn local_addr(&self) -> io::Result<SocketAddr> {
        self.listener.local_addr()
    }
}

impl Connected<IncomingStream<'_, Gate>> for Peer {
    fn connect_info(stream: IncomingStream<'_, Gate>) -> Peer {
        Peer { address: *stream.remote_addr(), cut: Arc::clone(&stream.io().cut) }
    }
}

impl Line {
    fn whole(&self) -> io::Result<()> {
        if self.cut.load(Ordering::Acquire) {
            return Err(io::Error::new(io::ErrorKind::ConnectionReset, "cut by a scripted fault"));
        }
        Ok(())
    }
}

impl AsyncRead for Line {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        self.whole()?;
        Pin::new(&mut self.stream).poll_read(cx, buf)
    }
}

impl AsyncWrite for Line {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        self.whole()?;
        Pin::new(&mut self.stream).poll_write(cx, buf)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.whole()?;
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        self.whole()?;
        Pin::new(&mut self.stream).poll_write_vectored(cx, bufs)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }
}

/// Every door of the exchange.
pub(crate) fn doors(house: Arc<House>) -> Router {
    Router::new()
        .route("/exchange/v1/user", get(user))
        .route("/exchange/v1/market", get(market))
        .fallback(rest)
        .with_state(house)
}

async fn user(State(house): State<Arc<House>>, upgrade: WebSocketUpgrade) -> Response {
    upgrade.max_message_size(FRAME_MAX).on_upgrade(move |socket| socket::user(house, socket))
}

async fn market(State(house): State<Arc<House>>, upgrade: WebSocketUpgrade) -> Response {
    upgrade.max_message_size(FRAME_MAX).on_upgrade(move |socket| socket::market(house, socket))
}

async fn rest(
    State(house): State<Arc<House>>,
    ConnectInfo(peer): ConnectInfo<Peer>,
    request: Request,
) -> Response {
    let Some(method) = request.uri().path().strip_prefix(ROOT).map(str::to_owned) else {
        return StatusCode::NOT_FOUND.into_response();
    };
    let query = request.uri().query().unwrap_or_default().to_owned();
    let door = match *request.method() {
        Method::GET => DoorKind::Get(peer.address.ip()),
        Method::POST => DoorKind::Post,
        _ => return StatusCode::METHOD_NOT_ALLOWED.into_response(),
    };
    let body = match axum::body::to_bytes(request.into_body(), BODY_MAX).await {
        Ok(body) => body.to_vec(),
        Err(_) => return StatusCode::PAYLOAD_TOO_LARGE.into_response(),
    };
    match house.answer(Knock { method, query, body, door }).await {
        Answer::Reply(reply) => response(reply),
        Answer::Page(status) => page(status),
        Answer::Cut => {
            peer.cut.store(true, Ordering::Release);
            // It cannot leave: the next write finds the connection cut.
            StatusCode::NO_CONTENT.into_response()
        }
    }
}

fn response(reply: Reply) -> Response {
    let status = StatusCode::from_u16(reply.status).unwrap_or(StatusCode::BAD_REQUEST);
    let mut response = Response::new(Body::from(reply.body));
    *response.status_mut() = status;
    let json = HeaderValue::from_static("application/json");
    response.headers_mut().insert(header::CONTENT_TYPE, json);
    response
}

/// What a gateway says instead of the venue.
fn page(status: u16) -> Response {
    let status = StatusCode::from_u16(status).unwrap_or(StatusCode::BAD_GATEWAY);
    let reason = status.canonical_reason().unwrap_or("Bad Gateway");
    let title = format!("{} {reason}", status.as_u16());
    let body = format!("<html><head><title>{title}</title></head><body><h1>{title}</h1></body></html>\n");
    let mut response = Response::new(Body::from(body));
    *response.status_mut() = status;
    response.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static("text/html"));
    response
}

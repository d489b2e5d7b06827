//! Messages for a person: a service that is away, comes back, and hears everything once, in order.

use crate::stage::{Stage, until};
use crate::stories::{hold, rules};
use serde_json::Value;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};

/// A notification service on loopback: it answers 503 while it is away.
struct Service {
    address: String,
    away: Arc<AtomicBool>,
    heard: Arc<Mutex<Vec<(u64, String)>>>,
}

impl Service {
    fn start() -> Service {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
        let address = listener.local_addr().expect("bound").to_string();
        let (away, heard) = (Arc::new(AtomicBool::new(false)), Arc::default());
        let (gone, taken) = (Arc::clone(&away), Arc::clone(&heard));
        // It ends with the test's process; each connection is served to its end.
        std::thread::spawn(move || {
            for stream in listener.incoming().map_while(Result::ok) {
                let (gone, taken) = (Arc::clone(&gone), Arc::clone(&taken));
                std::thread::spawn(move || drop(serve(stream, &gone, &taken)));
            }
        });
        Service { address, away, heard }
    }

    fn heard(&self) -> Vec<(u64, String)> {
        self.heard.lock().expect("whole").clone()
    }
}

fn serve(stream: TcpStream, away: &AtomicBool, heard: &Mutex<Vec<(u64, String)>>) -> std::io::Result<()> {
    let mut write = stream.try_clone()?;
    let mut read = BufReader::new(stream);
    loop {
        let mut length = 0;
        loop {
            let mut line = String::new();
            if read.read_line(&mut line)? == 0 {
                return Ok(());
            }
            let line = line.trim().to_lowercase();
            if let Some(value) = line.strip_prefix("content-length:") {
                length = value.trim().parse().unwrap_or(0);
            }
            if line.is_empty() {
                break;
            }
        }
        let mut body = vec![0; length];
        read.read_exact(&mut body)?;
        if away.load(Ordering::SeqCst) {
            write.write_all(b"HTTP/1.1 503 Service Unavailable\r\nContent-Length: 0\r\n\r\n")?;
            continue;
        }
        let told: Value = serde_json::from_slice(&body).unwrap_or(Value::Null);
        let number = told["number"].as_u64().unwrap_or(0);
        let text = told["text"].as_str().unwrap_or_default().to_owned();
        heard.lock().expect("whole").push((number, text));
        write.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")?;
    }
}

fn undelivered(stage: &Stage) -> usize {
    stage.state().outbox.len()
}

#[test]
fn s32_the_notification_service_is_away() {
    let service = Service::start();
    let engine = format!("notify = \"http://{}/hook\"\n{}", service.address, rules(""));
    let mut stage = Stage::new("USDT=100000", &engine);
    service.away.store(true, Ordering::SeqCst);
    stage.start();
    // An entry, an exit and a stop while nobody listens: trading does not wait for it.
    hold(&stage, "BTC_USDT", "0.001");
    stage.order(&["close", "BTC_USDT"]);
    stage.until_held("BTC_USDT", "0");
    hold(&stage, "SOL_USDT", "0.5");
    stage.exchange.price("SOL_USDT", "97", "97.01");
    stage.until_held("SOL_USDT", "0");
    let waiting = undelivered(&stage);
    assert!(waiting >= 4, "two entries and two exits: {waiting}");
    assert!(service.heard().is_empty());
    let status = String::from_utf8_lossy(&stage.on(&["status"]).stdout).into_owned();
    assert!(status.contains("undelivered"), "{status}");
    // Killed in between: what was not taken is asked for again.
    stage.kill();
    stage.start();
    service.away.store(false, Ordering::SeqCst);
    until("all of them arrive", || undelivered(&stage) == 0 && service.heard().len() >= waiting);
    let numbers: Vec<u64> = service.heard().iter().map(|(number, _)| *number).collect();
    assert!(numbers.windows(2).all(|pair| pair[0] < pair[1]), "in order, each once: {numbers:?}");
    assert_eq!(numbers.first(), Some(&1));
}

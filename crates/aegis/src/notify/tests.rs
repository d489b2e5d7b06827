//! Messages arrive in order, each at least once, and only an answer of 2xx is a delivery.

use super::{Full, Settings, Sink, WAITING_MAX};
use aegis_model::Text;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpListener;
use std::sync::mpsc::{Receiver, channel, sync_channel};
use std::time::Duration;

const PATIENCE: Duration = Duration::from_secs(20);

/// A server that answers with these statuses in turn, then with 204; 0 is a cut connection.
fn server(statuses: Vec<u16>) -> (String, Receiver<serde_json::Value>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}/hook", listener.local_addr().unwrap());
    let (sender, posted) = channel();
    std::thread::spawn(move || {
        let mut statuses = statuses.into_iter();
        for stream in listener.incoming() {
            let mut stream = BufReader::new(stream.unwrap());
            let mut length = 0;
            loop {
                let mut line = String::new();
                if stream.read_line(&mut line).unwrap_or(0) == 0 || line == "\r\n" {
                    break;
                }
                if let Some(told) = line.to_lowercase().strip_prefix("content-length: ") {
                    length = told.trim().parse().unwrap();
                }
            }
            let mut body = vec![0; length];
            stream.read_exact(&mut body).unwrap();
            let status = statuses.next().unwrap_or(204);
            let _ = sender.send(serde_json::from_slice(&body).unwrap());
            if status != 0 {
                let answer = format!("HTTP/1.1 {status} X\r\ncontent-length: 0\r\nconnection: close\r\n\r\n");
                let _ = stream.get_mut().write_all(answer.as_bytes());
            }
        }
    });
    (url, posted)
}

fn settings(url: String) -> Settings {
    Settings {
        retry_min: Duration::from_millis(2),
        retry_max: Duration::from_millis(10),
        ..Settings::to(url, "test".to_owned())
    }
}

#[test]
fn messages_arrive_in_order_and_only_2xx_is_a_delivery() {
    let (url, posted) = server(vec![500, 0, 404, 408, 429, 425, 503, 201]);
    let (sender, delivered) = sync_channel(16);
    let sink = Sink::start(settings(url), Box::new(move |number| sender.try_send(number).is_ok())).unwrap();
    for number in 3..=5 {
        sink.deliver(number, Text::new(&format!("message {number}"))).unwrap();
        sink.deliver(number, Text::new("asked again")).unwrap();
    }
    let numbers: Vec<u64> = (3..=5).map(|_| delivered.recv_timeout(PATIENCE).unwrap()).collect();
    assert_eq!(numbers, [3, 4, 5]);
    let seen: Vec<serde_json::Value> = posted.try_iter().collect();
    let numbers: Vec<u64> = seen.iter().map(|body| body["number"].as_u64().unwrap()).collect();
    assert_eq!(
        numbers,
        [3, 3, 3, 3, 3, 3, 3, 3, 4, 5],
        "the first is tried until it is taken, and holds up the rest"
    );
    assert_eq!(seen[0], serde_json::json!({"number": 3, "about": "test", "text": "message 3"}));
    sink.shutdown();
    assert!(delivered.try_recv().is_err());
}

#[test]
fn a_message_that_is_refused_holds_up_the_next_ones_for_a_few_tries_only() {
    let (url, posted) = server(vec![400, 404, 500, 410, 401, 403]);
    let (sender, delivered) = sync_channel(16);
    let sink = Sink::start(settings(url), Box::new(move |number| sender.try_send(number).is_ok())).unwrap();
    sink.deliver(3, Text::new("too much for the receiver")).unwrap();
    sink.deliver(4, Text::new("the next")).unwrap();
    assert_eq!(delivered.recv_timeout(PATIENCE).unwrap(), 4, "what was refused is not delivered");
    let numbers: Vec<u64> = posted.try_iter().map(|body| body["number"].as_u64().unwrap()).collect();
    assert_eq!(numbers, [3, 3, 3, 3, 3, 3, 4], "five refusals, and a failure that is none");
    sink.shutdown();
    assert!(delivered.try_recv().is_err());
}

#[test]
fn a_delivery_that_finds_no_room_is_told_later_and_posted_once() {
    let (url, posted) = server(Vec::new());
    let tries = std::sync::atomic::AtomicU32::new(0);
    let (sender, delivered) = sync_channel(16);
    let told = move |number| {
        tries.fetch_add(1, std::sync::atomic::Ordering::SeqCst) >= 3 && sender.try_send(number).is_ok()
    };
    let sink = Sink::start(settings(url), Box::new(told)).unwrap();
    sink.deliver(1, Text::new("once")).unwrap();
    assert_eq!(delivered.recv_timeout(PATIENCE).unwrap(), 1);
    assert_eq!(posted.try_iter().count(), 1);
    sink.shutdown();
}

#[test]
fn a_sink_that_nobody_answers_is_bounded_and_ends_at_once() {
    let sink = Sink::start(settings("http://127.0.0.1:1/".to_owned()), Box::new(|_| true)).unwrap();
    for number in 0..WAITING_MAX as u64 {
        sink.deliver(number, Text::default()).unwrap();
    }
    assert_eq!(sink.deliver(u64::MAX, Text::default()), Err(Full));
    assert_eq!(sink.deliver(0, Text::default()), Ok(()), "it waits already");
    sink.shutdown();
}

#[test]
fn an_address_that_is_none_is_refused_without_being_shown() {
    let refused = Sink::start(settings("no url with token=AEGISdemo".to_owned()), Box::new(|_| true));
    let text = refused.err().expect("refused").text;
    assert!(!text.contains("AEGISdemo"), "{text}");
}

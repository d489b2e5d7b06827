//! Nothing odd about what is documented; each way of being odd by itself.

use super::*;
use crate::Integers;
use crate::frame::Frame;
use crate::frame::tests::{TRADE, made};
use crate::wire::tests::source;
use alloc::string::{String, ToString};
use proptest::prelude::*;

fn of(text: &str) -> (Option<String>, Option<String>) {
    let Frame::Push(push) = Frame::read(text.as_bytes()) else { panic!("no rows: {text}") };
    let odd = Oddities::of_frame(text.as_bytes(), &push);
    (odd.respelled.map(|name| name.to_string()), odd.strange.map(|name| name.to_string()))
}

#[test]
fn each_way_to_be_odd() {
    let named = |name: &str| Some(String::from(name));
    assert_eq!(of(TRADE), (None, None));
    let respelled = |from: &str, to: &str| {
        assert!(TRADE.contains(from), "{from}");
        of(&TRADE.replace(from, to))
    };
    assert_eq!(respelled("1760000003000,", "\"1760000003000\","), (named("create_time"), None));
    assert_eq!(respelled("\"61234.50\"", "61234.50"), (named("traded_price"), None));
    assert_eq!(respelled("\"BUY\"", "\"buy\""), (named("side"), None));
    assert_eq!(respelled("\"BUY\"", "\"HOLD\""), (None, named("side")));
    assert_eq!(respelled("\"side\"", "\"colour\":{\"of\":[1]},\"side\""), (None, named("colour")));
    assert_eq!(respelled("\"side\"", "\"colour\":null,\"side\""), (None, named("colour")));
}

proptest! {
    #[test]
    fn what_the_server_writes_is_not_odd(mut source in source()) {
        let push = made(&mut source);
        prop_assert_eq!(of(&push.text(Integers::Bare)), (None, None));
    }

    #[test]
    fn looking_never_panics(bytes in proptest::collection::vec(any::<u8>(), 0..200), mut source in source()) {
        let push = made(&mut source);
        let _ = Oddities::of_frame(&bytes, &push);
        let other = made(&mut source).text(Integers::Bare);
        let _ = Oddities::of_frame(other.as_bytes(), &push);
    }
}

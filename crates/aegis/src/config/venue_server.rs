//! The settings of `aegis venue`: `[venue_server]`. It never holds a secret: those are named files or the command
//! line's.

use super::layers::Layers;
use super::{FeedSource, Pace, feed, pace, values};
use aegis_model::input::ListedInstrument;
use aegis_model::{Fixed, Label, Money, Price, Quantity, Rate, Rounding};
use std::collections::BTreeMap;
use std::path::PathBuf;

/// Where prices come from.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) enum MarketSource {
    /// A seeded random walk of every instrument.
    Walk,
    /// Only what the control endpoint says.
    Silent,
    /// A recorded market.
    Recorded(FeedSource),
}

/// The exchange's protocol times, ns of wall time, already scaled.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct ProtocolTimes {
    /// By how much all of them, and the periods of rate limits, were scaled: millionths.
    pub(crate) scale_millionths: i64,
    /// How far a nonce may be off.
    pub(crate) nonce_window: i64,
    /// Time between heartbeats.
    pub(crate) heartbeat: i64,
    /// How long an answer to one may take.
    pub(crate) heartbeat_answer: i64,
    /// The quota of a socket's first second is pro-rated; clients say nothing for this long.
    pub(crate) connect_pause: i64,
}

/// Everything under `[venue_server]`.
#[derive(Clone, Debug)]
pub(crate) struct VenueServer {
    /// The address to serve.
    pub(crate) listen: String,
    /// The address of the control endpoint, if there is one.
    pub(crate) control: Option<String>,
    /// `KEY:@FILE`, the file holding the secret.
    pub(crate) accounts: Vec<String>,
    /// What each account starts with.
    pub(crate) fund: Vec<(Label, Quantity)>,
    /// Prices.
    pub(crate) market: MarketSource,
    /// Market time against ours.
    pub(crate) pace: Pace,
    /// Of the random walk.
    pub(crate) seed: u64,
    /// The directory of the journals.
    pub(crate) data: PathBuf,
    /// Time between points of the walk, ns of market time.
    pub(crate) tick: i64,
    /// Where the walk begins.
    pub(crate) prices: BTreeMap<Label, Price>,
    /// Protocol times.
    pub(crate) times: ProtocolTimes,
    /// How long an order stays unseen after its answer, ns.
    pub(crate) visible: i64,
    /// How far a limit may be from the mark price; none switches the rule off.
    pub(crate) band: Option<Rate>,
    /// The largest worth of an order; none for no limit.
    pub(crate) largest: Option<Money>,
    /// Whole numbers as strings.
    pub(crate) quoted_integers: bool,
    /// Whether trigger types go through `private/create-order` too.
    pub(crate) legacy_triggers: bool,
    /// Whether the order that a trigger becomes repeats its client order id.
    pub(crate) repeat_client: bool,
    /// Whether a client order id of one namespace is used up in the other.
    pub(crate) shared_ids: bool,
    /// Whether rejections are told in the answer, or only later by row and stream.
    pub(crate) reject_in_answer: bool,
    /// What is listed.
    pub(crate) instruments: Vec<ListedInstrument>,
}

/// Reads the section.
pub(super) fn read(layers: &mut Layers, listed: &BTreeMap<String, ListedInstrument>) -> Option<VenueServer> {
    let text = |text: &str| Ok::<_, String>(text.to_owned());
    let at = |key: &str| format!("venue_server.{key}");
    let listen = layers.one(&at("listen"), text);
    let control = layers.one(&at("control"), |t| values::optional(t, text));
    let accounts = layers.many(&at("accounts"), |parts| match parts.iter().find(|p| !p.contains(":@")) {
        Some(_) => Err("an account is KEY:@FILE here; a secret itself stands in no configuration".to_owned()),
        None => Ok(parts.to_vec()),
    });
    let fund =
        layers.many(&at("fund"), |parts| parts.iter().map(|part| fund(part)).collect::<Result<Vec<_>, _>>());
    let market = layers.one(&at("market"), |text| match text {
        "walk" => Ok(MarketSource::Walk),
        "none" => Ok(MarketSource::Silent),
        _ => feed(text).map(MarketSource::Recorded),
    });
    let pace = layers.one(&at("pace"), pace);
    let seed = layers.one(&at("seed"), values::whole);
    let data = layers.one(&at("data"), text);
    let positive = |text: &str| {
        values::span(text).and_then(|ns| if ns > 0 { Ok(ns) } else { Err("must be above zero".to_owned()) })
    };
    let tick = layers.one(&at("tick"), positive);
    let scale = layers.one(&at("protocol_scale"), |text| {
        let scale = values::decimal(text)?;
        let millionths = scale.approximate(6);
        if (1..=1_000_000_000).contains(&millionths) {
            Ok(millionths)
        } else {
            Err(format!("{text} is outside 0.000001 to 1000"))
        }
    });
    let [nonce_window, heartbeat, heartbeat_answer, connect_pause] =
        ["nonce_window", "heartbeat", "heartbeat_answer", "connect_pause"]
            .map(|key| layers.one(&at(key), positive));
    let visible = layers.one(&at("visible"), values::span);
    let band = layers.one(&at("price_band"), |t| values::optional(t, values::rate));
    let largest = layers.one(&at("max_notional"), |t| values::optional(t, |t| values::decimal(t).map(Money)));
    let quoted_integers = layers.one(&at("integers"), |text| match text {
        "numbers" => Ok(false),
        "strings" => Ok(true),
        _ => Err(format!("{text:?} is neither numbers nor strings")),
    });
    let reject_in_answer = layers.one(&at("rejections"), |text| match text {
        "answer" => Ok(true),
        "later" => Ok(false),
        _ => Err(format!("{text:?} is neither answer nor later")),
    });
    let [legacy_triggers, repeat_client, shared_ids] =
        ["legacy_triggers", "repeat_client_oid", "shared_client_oids"]
            .map(|key| layers.one(&at(key), values::yes_no));
    let mut prices = BTreeMap::new();
    for name in layers.keys("venue_server.prices") {
        let price = layers.one(&at(&format!("prices.{name}")), |t| {
            values::decimal(t)
                .and_then(|v| if v.is_positive() { Ok(Price(v)) } else { Err("not above zero".into()) })
        });
        if let (Ok(label), Some(price)) = (name.parse(), price) {
            prices.insert(label, price);
        }
    }
    let scale = scale?;
    let scaled = |ns: i64| {
        let whole = Fixed::from_int(ns).times(Fixed::new(scale, 6), Rounding::Ceil);
        whole.map_or(ns, |ns| ns.approximate(0)).max(1)
    };
    Some(VenueServer {
        listen: listen?,
        control: control?,
        accounts: accounts?,
        fund: fund?,
        market: market?,
        pace: pace?,
        seed: seed?,
        data: PathBuf::from(data?),
        tick: tick?,
        prices,
        times: ProtocolTimes {
            scale_millionths: scale,
            nonce_window: scaled(nonce_window?),
            heartbeat: scaled(heartbeat?),
            heartbeat_answer: scaled(heartbeat_answer?),
            connect_pause: scaled(connect_pause?),
        },
        visible: visible?,
        band: band?,
        largest: largest?,
        quoted_integers: quoted_integers?,
        legacy_triggers: legacy_triggers?,
        repeat_client: repeat_client?,
        shared_ids: shared_ids?,
        reject_in_answer: reject_in_answer?,
        instruments: listed.values().cloned().collect(),
    })
}

/// `BTC=1`.
fn fund(text: &str) -> Result<(Label, Quantity), String> {
    let wrong = || format!("{text:?} is not an asset and an amount such as BTC=1 or USDT=10000");
    let (asset, amount) = text.split_once('=').ok_or_else(wrong)?;
    let plain = !asset.is_empty() && asset.bytes().all(|b| b.is_ascii_uppercase() || b.is_ascii_digit());
    let amount = values::decimal(amount).map_err(|_| wrong())?;
    match (asset.parse(), plain && amount.is_positive()) {
        (Ok(asset), true) => Ok((asset, Quantity(amount))),
        (_, _) => Err(wrong()),
    }
}

/// What the command line sets: key under `[venue_server]`, value, and the option that said so.
pub(crate) type Set = (&'static str, String, &'static str);

/// Lays the command line over the layers.
pub(super) fn lay(set: &[Set], layers: &mut Layers) {
    for (key, value, option) in set {
        layers.set(&format!("venue_server.{key}"), value, option);
    }
}

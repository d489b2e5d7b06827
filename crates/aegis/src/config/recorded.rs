//! The settings as a journal recorded them, read again as those of one act: what a person has set meanwhile has no part
//! in it. It decides nothing about the market.

use super::{Act, Config, DEFAULTS, layers::Layers, layers::Origin};
use crate::exit::{Exit, Failure};
use aegis_model::input::ListedInstrument;
use aegis_model::{Label, Quantity, Text};
use std::collections::BTreeMap;

/// The name of that act.
const NAME: &str = "what-if";
/// Where its values stand, for errors.
const JOURNAL: &str = "in the journal";
/// Keys of an act that hold beside those of engine and venue.
const ACT_KEYS: [&str; 5] = ["account", "fund", "quote", "price_age", "title"];

/// What a journal says that is not a setting.
pub(crate) struct Facts<'a> {
    /// The instruments, in the order of their numbers.
    pub(crate) instruments: &'a [ListedInstrument],
    /// The asset that money is counted in.
    pub(crate) quote: Label,
    /// What the account held of it first.
    pub(crate) fund: Quantity,
}

/// An act from what was recorded.
pub(crate) struct FromRecord {
    /// It alone is played.
    pub(crate) config: Config,
    /// It.
    pub(crate) act: Act,
    /// Whether prices are last trades (a live run's setting; a market of candles says it by itself).
    pub(crate) last_price: bool,
    /// Settings that this version does not know.
    pub(crate) unknown: Vec<String>,
}

/// Reads recorded settings; what was not recorded is as the program's defaults have it.
///
/// # Errors
/// [`Failure`]: a value that this version does not understand.
pub(crate) fn from_record(settings: &BTreeMap<Text, Text>, facts: &Facts<'_>) -> Result<FromRecord, Failure> {
    let mut layers = Layers::default();
    layers.toml(DEFAULTS, &|_| Origin::Default);
    for name in layers.names("acts") {
        layers.set(&format!("acts.{name}.enabled"), "false", JOURNAL);
    }
    let own = |key: &str| format!("acts.{NAME}.{key}");
    let names: Vec<&str> = facts.instruments.iter().map(|i| i.name.as_str()).collect();
    let given = [
        ("account", "what-if".to_owned()),
        ("fund", facts.fund.to_string()),
        ("quote", facts.quote.to_string()),
        ("price_age", "10s".to_owned()),
        // It is read from elsewhere; the key must be there.
        ("feed", "embedded-candles".to_owned()),
        ("strategies", String::new()),
        ("signals", "none".to_owned()),
        ("instruments", names.join(",")),
    ];
    for (key, value) in given {
        layers.set(&own(key), &value, JOURNAL);
    }
    for i in facts.instruments {
        let spelled = [
            ("base", i.base.to_string()),
            ("quote", i.quote.to_string()),
            ("price_tick", i.price_tick.to_string()),
            ("quantity_tick", i.quantity_tick.to_string()),
            ("minimum_notional", i.minimum_notional.to_string()),
        ];
        for (key, value) in spelled {
            layers.set(&format!("instruments.{}.{key}", i.name), &value, JOURNAL);
        }
    }
    let mut last_price = false;
    let mut common = Vec::new();
    for (key, value) in settings {
        let (key, value) = (key.as_str(), value.as_str());
        if key == "reference" {
            last_price = value == "last";
        }
        // An empty value is one that was taken away, or an empty list, as which none has a default that differs.
        if value.is_empty() {
            continue;
        }
        if key.starts_with("engine.") || key.starts_with("venue.") {
            layers.set(key, value, JOURNAL);
            common.push(key.to_owned());
        } else if ACT_KEYS.contains(&key) {
            layers.set(&own(key), value, JOURNAL);
        }
    }
    let config = Config::read(&mut layers);
    let unknown = layers.unknown(&common);
    match config {
        Some(config) if layers.errors.is_empty() => {
            let [act] = &config.acts[..] else { return Err(Failure::bug("one act is played")) };
            Ok(FromRecord { act: act.clone(), config, last_price, unknown })
        }
        _ => {
            let text = format!(
                "this version does not understand the settings of the journal:\n  {}",
                layers.errors.join("\n  ")
            );
            Err(Failure::new(Exit::Config, text))
        }
    }
}

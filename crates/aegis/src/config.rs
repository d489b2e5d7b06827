//! The configuration: documented defaults, one TOML file, the environment; read once at the start, every error told
//! at once with its key and place. It holds no secret, and nothing changes it afterwards.

mod engine;
mod layers;
pub(crate) mod live;
#[cfg(feature = "forensics")]
pub(crate) mod recorded;
#[cfg(test)]
mod tests;
pub(crate) mod values;
#[cfg_attr(not(feature = "venue"), allow(dead_code))]
pub(crate) mod venue_server;

use crate::exit::{Exit, Failure};
use aegis_model::input::ListedInstrument;
use aegis_model::{Fixed, Label, Money, Price, Quantity, Text};
use layers::{Layers, Leaf, Origin, Written};
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::time::Duration;

pub(crate) use live::Live;
pub(crate) use values::Age;

/// The defaults with their documentation, as `aegis config show` prints them.
pub(crate) const DEFAULTS: &str = include_str!("default.toml");

/// How fast market time passes.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Pace {
    /// As fast as it goes.
    Fast,
    /// This many market nanoseconds in 1000 of ours: 1000 is real time.
    Factor(u64),
}

/// Where an act's market points come from.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) enum FeedSource {
    /// The candles in the program.
    EmbeddedCandles,
    /// The ticks in the program.
    EmbeddedTicks,
    /// A file of candles.
    Candles(PathBuf),
    /// Two files of quotes and trades.
    Ticks(PathBuf, PathBuf),
}

/// Where an act's port signals come from.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) enum SignalSource {
    /// No port.
    None,
    /// The file in the program.
    Embedded,
    /// A file.
    File(PathBuf),
    /// Standard input.
    Stdin,
}

/// One act.
#[derive(Clone, Debug)]
pub(crate) struct Act {
    /// Its name, and that of its directory.
    pub(crate) name: String,
    /// In words.
    pub(crate) title: String,
    /// The venue's account.
    pub(crate) account: Label,
    /// Quote at the start.
    pub(crate) fund: Quantity,
    /// The quote asset.
    pub(crate) quote: Label,
    /// Its market.
    pub(crate) feed: FeedSource,
    /// What it trades.
    pub(crate) instruments: Vec<ListedInstrument>,
    /// How old a price may be.
    pub(crate) price_age: Age,
    /// Its strategies.
    pub(crate) strategies: Vec<aegis_signal::Strategy>,
    /// Its port.
    pub(crate) signals: SignalSource,
    /// The engine's rules; price ages by feed are filled in when the feed is known.
    pub(crate) engine: aegis_engine::Settings,
    /// The paper venue's figures.
    pub(crate) venue: aegis_paper::Settings,
    /// What stands in the journal as this act's settings, by key.
    pub(crate) recorded: Vec<(Text, Text)>,
}

/// Everything that was set.
#[derive(Clone, Debug)]
pub(crate) struct Config {
    /// The directory of the journals.
    pub(crate) data: PathBuf,
    /// How fast.
    pub(crate) pace: Pace,
    /// The journals.
    pub(crate) journal: aegis_journal::Config,
    /// The nodes.
    pub(crate) limits: aegis_node::Limits,
    /// Whether the control socket is served.
    pub(crate) control: bool,
    /// What is played, in order.
    pub(crate) acts: Vec<Act>,
    /// The paper exchange's terms.
    #[cfg_attr(not(feature = "venue"), allow(dead_code))]
    pub(crate) paper: aegis_paper::Settings,
    /// The exchange that `aegis venue` serves.
    #[cfg_attr(not(feature = "venue"), allow(dead_code))]
    pub(crate) venue_server: venue_server::VenueServer,
    /// The live run.
    pub(crate) live: Live,
    /// Every value with its origin, for `config show --effective`.
    pub(crate) effective: String,
}

/// What the command line sets over every layer.
#[derive(Clone, Debug, Default)]
pub(crate) struct Overrides {
    /// `--data`.
    pub(crate) data: Option<PathBuf>,
    /// `--pace`.
    pub(crate) pace: Option<String>,
    /// `--market`.
    pub(crate) market: Option<String>,
    /// `--signals`.
    pub(crate) signals: Option<String>,
    /// The options of `aegis venue`.
    pub(crate) venue_server: Vec<venue_server::Set>,
}

impl Config {
    /// Reads all layers.
    ///
    /// # Errors
    /// One [`Failure`] that lists every error.
    pub(crate) fn load(
        file: Option<&Path>,
        environment: impl Iterator<Item = (String, String)>,
        over: &Overrides,
    ) -> Result<Config, Failure> {
        let mut layers = Layers::default();
        layers.toml(DEFAULTS, &|_| Origin::Default);
        if let Some(path) = file {
            let text = std::fs::read_to_string(path)
                .map_err(|e| Failure::new(Exit::Config, format!("{} cannot be read: {e}", path.display())))?;
            let name = path.display().to_string();
            layers.toml(&text, &|line| Origin::File { file: name.clone(), line });
        }
        layers.environment(environment);
        over.lay(&mut layers);
        let config = Config::read(&mut layers);
        layers.refuse_unknown();
        match config {
            Some(config) if layers.errors.is_empty() => Ok(config),
            _ => {
                let count = layers.errors.len();
                let list = layers.errors.join("\n  ");
                let text = format!("the configuration has {count} error(s), nothing was started:\n  {list}");
                Err(Failure::new(Exit::Config, text))
            }
        }
    }

    fn read(layers: &mut Layers) -> Option<Config> {
        let data = layers.text("run.data");
        let pace = layers.one("run.pace", pace);
        let segment: Option<u64> = layers.one("journal.segment_mib", |t| {
            values::whole(t).and_then(|mib: u64| match mib {
                1..=1024 => Ok(mib),
                _ => Err(format!("{mib} is outside 1 to 1024 MiB")),
            })
        });
        let compress = layers.one("journal.compress", values::yes_no);
        let checkpoint_records = layers.one("journal.checkpoint_records", values::whole);
        let unsynced_max = layers.one("journal.unsynced_records", values::whole);
        let control = layers.one("control.enabled", values::yes_no);
        let venue = venue(layers);
        let mut listed = BTreeMap::new();
        for name in layers.names("instruments") {
            if let Some(instrument) = instrument(layers, &name) {
                listed.insert(name, instrument);
            }
        }
        let mut acts = Vec::new();
        for name in layers.names("acts") {
            let enabled = layers.one_or(&format!("acts.{name}.enabled"), true, values::yes_no);
            let act = act(layers, &name, &listed, venue);
            if enabled == Some(true) {
                acts.extend(act);
            }
        }
        let venue_server = venue_server::read(layers, &listed);
        let live = live::live(layers);
        let effective = effective(layers);
        Some(Config {
            data: PathBuf::from(data?),
            pace: pace?,
            journal: aegis_journal::Config {
                segment_bytes: segment? << 20,
                compress: compress?,
                ..aegis_journal::Config::default()
            },
            limits: aegis_node::Limits {
                unsynced_max: unsynced_max?,
                checkpoint_records: checkpoint_records?,
            },
            control: control?,
            acts,
            paper: venue?,
            venue_server: venue_server?,
            live: live?,
            effective,
        })
    }
}

impl Overrides {
    fn lay(&self, layers: &mut Layers) {
        venue_server::lay(&self.venue_server, layers);
        if let Some(data) = &self.data {
            layers.set("run.data", &data.display().to_string(), "--data");
        }
        if let Some(pace) = &self.pace {
            layers.set("run.pace", pace, "--pace");
        }
        if let Some(market) = &self.market {
            for name in layers.names("acts") {
                let enabled = if name == "market" { "true" } else { "false" };
                layers.set(&format!("acts.{name}.enabled"), enabled, "--market");
            }
            layers.set("acts.market.feed", &format!("candles:{market}"), "--market");
        }
        if let Some(signals) = &self.signals {
            let played = |layers: &mut Layers, name: &str| {
                layers
                    .ask(&format!("acts.{name}.enabled"))
                    .is_none_or(|leaf| leaf.written.to_string() == "true")
            };
            for name in layers.names("acts") {
                if played(layers, &name) {
                    layers.set(&format!("acts.{name}.signals"), signals, "--signals");
                }
            }
            layers.set("live.signals", signals, "--signals");
        }
    }
}

impl Layers {
    /// One value, understood; what is wrong with it is noted.
    fn one<T>(&mut self, path: &str, parse: impl Fn(&str) -> Result<T, String>) -> Option<T> {
        match self.ask(path) {
            Some(leaf) => self.understood(path, &leaf, parse),
            None => {
                self.errors.push(format!("{path}: must be set"));
                None
            }
        }
    }

    /// As [`Layers::one`], with what holds when nothing is written.
    fn one_or<T>(&mut self, path: &str, absent: T, parse: impl Fn(&str) -> Result<T, String>) -> Option<T> {
        match self.ask(path) {
            Some(leaf) => self.understood(path, &leaf, parse),
            None => Some(absent),
        }
    }

    fn understood<T>(
        &mut self,
        path: &str,
        leaf: &Leaf,
        parse: impl Fn(&str) -> Result<T, String>,
    ) -> Option<T> {
        let answer = match &leaf.written {
            Written::One(text) => parse(text),
            Written::Many(_) => Err("a list stands where one value is expected".to_owned()),
        };
        answer.map_err(|what| self.wrong(path, leaf, &what)).ok()
    }

    fn text(&mut self, path: &str) -> Option<String> {
        self.one(path, |text| Ok(text.to_owned()))
    }

    fn label(&mut self, path: &str) -> Option<Label> {
        self.one(path, label)
    }

    /// A list; in the environment its parts are separated by commas.
    fn many<T>(&mut self, path: &str, parse: impl Fn(&[String]) -> Result<T, String>) -> Option<T> {
        let leaf = match self.ask(path) {
            Some(leaf) => leaf,
            None => Leaf { written: Written::Many(Vec::new()), origin: Origin::Default },
        };
        let parts = match &leaf.written {
            Written::Many(parts) => parts.clone(),
            Written::One(text) if text.trim().is_empty() => Vec::new(),
            Written::One(text) => text.split(',').map(|part| part.trim().to_owned()).collect(),
        };
        parse(&parts).map_err(|what| self.wrong(path, &leaf, &what)).ok()
    }
}

fn label(text: &str) -> Result<Label, String> {
    text.parse().map_err(|e| format!("{text:?} is not a name: {e}"))
}

fn pace(text: &str) -> Result<Pace, String> {
    let wrong = || format!("{text:?} is neither realtime, fast nor a factor such as 60x");
    match text {
        "fast" => Ok(Pace::Fast),
        "realtime" => Ok(Pace::Factor(1000)),
        _ => {
            let factor = values::decimal(text.strip_suffix('x').ok_or_else(wrong)?).map_err(|_| wrong())?;
            let thousandths = u64::try_from(factor.approximate(3)).map_err(|_| wrong())?;
            if thousandths == 0 { Err(wrong()) } else { Ok(Pace::Factor(thousandths)) }
        }
    }
}

impl Pace {
    /// How long market time of this length takes.
    pub(crate) fn lasts(self, market_ns: i64) -> Duration {
        match self {
            Pace::Fast => Duration::ZERO,
            Pace::Factor(thousandths) => {
                let ns = u128::from(market_ns.max(0).unsigned_abs()) * 1000 / u128::from(thousandths);
                Duration::from_nanos(u64::try_from(ns).unwrap_or(u64::MAX))
            }
        }
    }
}

fn venue(layers: &mut Layers) -> Option<aegis_paper::Settings> {
    let maker_fee = layers.one("venue.maker_fee", values::rate);
    let taker_fee = layers.one("venue.taker_fee", values::rate);
    let slippage = layers.one("venue.slippage", values::rate);
    match aegis_paper::Settings::new(maker_fee?, taker_fee?, slippage?) {
        Ok(settings) => Some(settings),
        Err(what) => {
            layers.errors.push(format!("venue: {what}"));
            None
        }
    }
}

fn instrument(layers: &mut Layers, name: &str) -> Option<ListedInstrument> {
    let path = format!("instruments.{name}");
    let above_zero = |text: &str| {
        values::decimal(text)
            .and_then(|v| if v.is_positive() { Ok(v) } else { Err(format!("{text} is not above zero")) })
    };
    let base = layers.label(&format!("{path}.base"));
    let quote = layers.label(&format!("{path}.quote"));
    let price_tick: Option<Fixed> = layers.one(&format!("{path}.price_tick"), above_zero);
    let quantity_tick = layers.one(&format!("{path}.quantity_tick"), above_zero);
    let minimum = layers.one(&format!("{path}.minimum_notional"), values::decimal);
    Some(ListedInstrument {
        name: label(name).map_err(|e| layers.errors.push(format!("{path}: {e}"))).ok()?,
        base: base?,
        quote: quote?,
        price_tick: Price(price_tick?),
        quantity_tick: Quantity(quantity_tick?),
        minimum_notional: Money(minimum?),
        tradable: true,
    })
}

fn act(
    layers: &mut Layers,
    name: &str,
    listed: &BTreeMap<String, ListedInstrument>,
    venue: Option<aegis_paper::Settings>,
) -> Option<Act> {
    let at = |key: &str| format!("acts.{name}.{key}");
    let plain = !name.is_empty() && name.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-' || b == b'_');
    if !plain {
        layers.errors.push(format!("acts.{name}: an act's name is made of letters, digits, - and _"));
    }
    let title = layers.one_or(&at("title"), String::new(), |t| Ok(t.to_owned()));
    let account = layers.label(&at("account"));
    let fund = layers.one(&at("fund"), values::decimal);
    let quote = layers.label(&at("quote"));
    let feed = layers.one(&at("feed"), feed);
    let instruments = layers.many(&at("instruments"), |names| {
        let find = |name: &String| {
            listed.get(name).cloned().ok_or_else(|| format!("{name} has no section [instruments.{name}]"))
        };
        if names.is_empty() {
            Err("at least one instrument".to_owned())
        } else {
            names.iter().map(find).collect()
        }
    });
    let price_age = layers.one(&at("price_age"), values::age);
    let strategies = layers.many(&at("strategies"), |names| {
        let find = |name: &String| {
            aegis_signal::Strategy::from_name(name)
                .ok_or_else(|| format!("{name:?} is not oracle, oracle-legacy, prophet or cross"))
        };
        names.iter().map(find).collect::<Result<Vec<_>, _>>()
    });
    let signals = layers.one_or(&at("signals"), SignalSource::None, |text| Ok(signal_source(text)));
    let root = format!("acts.{name}");
    let engine = engine::settings(layers, &root);
    let recorded = recorded(layers, &root);
    Some(Act {
        name: if plain { name.to_owned() } else { return None },
        title: title?,
        account: account?,
        fund: Quantity(fund?),
        quote: quote?,
        feed: feed?,
        instruments: instruments?,
        price_age: price_age?,
        strategies: strategies?,
        signals: signals?,
        engine: engine?,
        venue: venue?,
        recorded,
    })
}

fn signal_source(text: &str) -> SignalSource {
    match text {
        "none" | "" => SignalSource::None,
        "embedded" => SignalSource::Embedded,
        "-" => SignalSource::Stdin,
        path => SignalSource::File(PathBuf::from(path)),
    }
}

fn feed(text: &str) -> Result<FeedSource, String> {
    match (text, text.split_once(':')) {
        ("embedded-candles", _) => Ok(FeedSource::EmbeddedCandles),
        ("embedded-ticks", _) => Ok(FeedSource::EmbeddedTicks),
        (_, Some(("candles", path))) => Ok(FeedSource::Candles(PathBuf::from(path))),
        (_, Some(("ticks", paths))) => match paths.split_once(',') {
            Some((l1, trades)) => Ok(FeedSource::Ticks(PathBuf::from(l1), PathBuf::from(trades))),
            None => Err("ticks need two files: ticks:L1_FILE,TRADES_FILE".to_owned()),
        },
        _ => Err(format!(
            "{text:?} is not embedded-candles, embedded-ticks, candles:FILE or ticks:L1_FILE,TRADES_FILE"
        )),
    }
}

/// The act's own view of what is set: engine, venue and act keys, the act's over the common ones.
fn recorded(layers: &Layers, root: &str) -> Vec<(Text, Text)> {
    let own = format!("{root}.");
    let mut set = BTreeMap::new();
    let common = |path: &str| path.starts_with("engine.") || path.starts_with("venue.");
    for (path, leaf) in layers.leaves().iter().filter(|(path, _)| common(path)) {
        set.insert(path.as_str(), shown(path, leaf).to_string());
    }
    for (path, leaf) in layers.leaves() {
        if let Some(key) = path.strip_prefix(&own) {
            set.insert(key, shown(path, leaf).to_string());
        }
    }
    set.into_iter().map(|(key, value)| (Text::new(key), Text::new(&value))).collect()
}

/// The value as it may be seen and kept: of one that may carry a secret only that it is set.
fn shown(path: &str, leaf: &Leaf) -> Written {
    let said = leaf.written.to_string();
    if path == live::NOTIFY && said != "none" && !said.is_empty() {
        Written::One("set".to_owned())
    } else {
        leaf.written.clone()
    }
}

fn effective(layers: &Layers) -> String {
    let mut out = String::new();
    for (path, leaf) in layers.leaves() {
        let value = match shown(path, leaf) {
            Written::One(text) => format!("{text:?}"),
            Written::Many(texts) => format!("{texts:?}"),
        };
        out.push_str(&format!("{path} = {value}  # {}\n", leaf.origin));
    }
    out
}

//! One row of a file, whatever file it is: its members read strictly, and what follows from them for a position.

use crate::number::{Figure, figure};
use crate::{Document, Refused, Why, Zone};
use aegis_cryptocom::json::Value;
use aegis_model::claim::{Claim, ClaimRow, Dispute, DisputeKind, PositionClaim};
use aegis_model::{Fixed, Label, Price, Quantity, Rate, Rounding, Text, Timestamp};
use std::borrow::Cow;

/// One percent.
pub(crate) const PERCENT: Fixed = Fixed::new(1, 2);

/// The members of a JSON object, with its place in the file.
pub(crate) struct Row<'a> {
    /// Where it stands.
    pub(crate) at: String,
    members: &'a [(Cow<'a, str>, Value<'a>)],
}

impl<'a> Row<'a> {
    /// An object without repeated names.
    ///
    /// # Errors
    /// [`Refused`] when it is none.
    pub(crate) fn of(at: &str, value: &'a Value<'a>) -> Result<Row<'a>, Refused> {
        let Value::Object(members) = value else {
            return Err(Refused::at(at, Why::Syntax("an object is expected".to_owned())));
        };
        let mut names: Vec<&str> = members.iter().map(|(name, _)| name.as_ref()).collect();
        names.sort_unstable();
        match names.windows(2).find(|pair| pair[0] == pair[1]) {
            Some(_) => Err(Refused::at(at, Why::Contradictory("a name stands there twice".to_owned()))),
            None => Ok(Row { at: at.to_owned(), members }),
        }
    }

    pub(crate) fn members(&self) -> impl Iterator<Item = (&'a str, &'a Value<'a>)> + use<'a> {
        self.members.iter().map(|(name, value)| (name.as_ref(), value))
    }

    /// A member that is there and not null.
    pub(crate) fn get(&self, name: &str) -> Option<&'a Value<'a>> {
        let found = self.members.iter().find(|(key, _)| key == name)?;
        if found.1 == Value::Null { None } else { Some(&found.1) }
    }

    pub(crate) fn refuse(&self, why: Why) -> Refused {
        Refused::at(&self.at, why)
    }

    pub(crate) fn text(&self, name: &str) -> Result<&'a str, Refused> {
        self.get(name).and_then(Value::text).ok_or_else(|| self.refuse(Why::Missing(name.to_owned())))
    }

    /// A figure, if it is there.
    pub(crate) fn figure(&self, name: &str) -> Result<Option<Figure>, Refused> {
        match self.get(name) {
            None => Ok(None),
            Some(Value::Number(digits)) => match figure(digits) {
                Some(figure) => Ok(Some(figure)),
                None => Err(self.refuse(Why::NotANumber(format!("{name} = {}", short(digits))))),
            },
            Some(_) => Err(self.refuse(Why::NotANumber(name.to_owned()))),
        }
    }

    /// A figure above zero, if it is there.
    pub(crate) fn positive(&self, name: &str) -> Result<Option<Figure>, Refused> {
        match self.figure(name)? {
            Some(figure) if !figure.value.is_positive() => {
                Err(self.refuse(Why::Impossible(format!("{name} = {}", figure.value))))
            }
            other => Ok(other),
        }
    }

    /// A figure above zero that must be there.
    pub(crate) fn must(&self, name: &str) -> Result<Figure, Refused> {
        self.positive(name)?.ok_or_else(|| self.refuse(Why::Missing(name.to_owned())))
    }
}

/// The beginning of something, for a message.
pub(crate) fn short(text: &str) -> String {
    text.chars().take(40).collect()
}

/// `BTC/USDT`, `BTC-USDT` or `BTC_USDT` in the venue's spelling; none for anything else.
pub(crate) fn instrument(text: &str) -> Option<Label> {
    let (base, quote) = text.split_once(['/', '-', '_'])?;
    let asset = |part: &str| {
        (1..=15).contains(&part.len()) && part.bytes().all(|b| b.is_ascii_uppercase() || b.is_ascii_digit())
    };
    (asset(base) && asset(quote)).then(|| format!("{base}_{quote}").parse().ok()).flatten()
}

/// A position before it was judged.
pub(crate) struct Found<'a> {
    pub(crate) row: String,
    pub(crate) id: &'a str,
    pub(crate) symbol: &'a str,
    pub(crate) side: Option<&'a str>,
    pub(crate) quantity: Figure,
    pub(crate) entry: Figure,
    pub(crate) stop: Option<Figure>,
    pub(crate) highest: Option<Figure>,
    /// In percent.
    pub(crate) trail: Option<Figure>,
    pub(crate) opened: Option<&'a str>,
    /// Seconds of the epoch that the id carries.
    pub(crate) epoch: Option<Fixed>,
}

impl Found<'_> {
    /// Judges the position by itself and adds it to the file's claims.
    ///
    /// # Errors
    /// [`Refused`] when it cannot be: a side that cannot be held, a highest price below the entry, a stop above it.
    pub(crate) fn judge(self, document: &mut Document, zone: &Zone) -> Result<(), Refused> {
        let refuse = |why| Err(Refused::at(&self.row, why));
        let Some(instrument) = instrument(self.symbol) else {
            return refuse(Why::Syntax(format!("symbol {:?} is no pair", short(self.symbol))));
        };
        match self.side {
            None | Some("long" | "LONG" | "buy" | "BUY") => {}
            Some(side) => {
                return refuse(Why::Impossible(format!(
                    "a position of side {:?} on a spot account",
                    short(side)
                )));
            }
        }
        let (entry, quantity) = (Price(self.entry.value), Quantity(self.quantity.value));
        let [stop, highest] = [self.stop, self.highest].map(|f| f.map(|f| Price(f.value)));
        if let Some(highest) = highest.filter(|highest| *highest < entry) {
            return refuse(Why::Contradictory(format!(
                "highest price {highest} below the entry price {entry}"
            )));
        }
        let top = highest.unwrap_or(entry).max(entry);
        if let Some(stop) = stop.filter(|stop| highest.is_some() && *stop > top) {
            return refuse(Why::Contradictory(format!("stop {stop} above the highest price {top}")));
        }
        let trail = match self.trail.filter(|trail| !trail.value.is_zero()) {
            None => None,
            Some(trail) => match trail.value.times(PERCENT, Rounding::HalfEven) {
                Ok(share) if share < Fixed::ONE => Some(Rate(share)),
                Ok(_) | Err(_) => {
                    return refuse(Why::Impossible(format!("a trailing distance of {} %", trail.value)));
                }
            },
        };
        let opened = self.opened.and_then(|text| zone.moment(text));
        let dispute = |kind, claimed, found, detail: String| Dispute {
            row: Text::new(&self.row),
            kind,
            instrument,
            claimed,
            found,
            detail: Text::new(&detail),
        };
        let disputes = [
            self.times(opened).map(|(epoch, created, detail)| dispute(DisputeKind::TimesDisagree, epoch, created, detail)),
            behind_rule(stop, highest, entry, trail).map(|(stop, rule)| {
                let detail = format!(
                    "the highest price {top} and the trailing distance put the stop at {rule}; the file says {stop}. \
                     Proposed: {rule}"
                );
                dispute(DisputeKind::StopBehindRule, stop.0, rule.0, detail)
            }),
            stop.is_none().then(|| {
                let detail = "the position has no stop: the configured one applies".to_owned();
                dispute(DisputeKind::StopMissing, Fixed::ZERO, Fixed::ZERO, detail)
            }),
        ];
        document.disputes.extend(disputes.into_iter().flatten());
        let id = Text::new(self.id);
        let claim = PositionClaim { instrument, id, quantity, entry, stop, highest, trail, opened };
        document.claims.push(ClaimRow { row: Text::new(&self.row), claim: Claim::Position(claim) });
        if [Some(self.quantity), Some(self.entry), self.stop, self.highest].iter().flatten().any(|f| f.cut) {
            document.note(&format!("{} digits", self.row), "digits beyond the eighteenth decimal were cut");
        }
        Ok(())
    }

    /// The id's epoch and the time of creation, where they are more than some seconds apart.
    fn times(&self, opened: Option<Timestamp>) -> Option<(Fixed, Fixed, String)> {
        let epoch = self.epoch?;
        let Some(opened) = opened else {
            return self.opened.map(|text| {
                let detail = format!("{:?} names no moment in the zone given, or two", short(text));
                (epoch, Fixed::ZERO, detail)
            });
        };
        let created = Fixed::from_parts(i128::from(opened.0), 9)?;
        let apart = created.minus(epoch).ok()?;
        if apart.abs() <= Fixed::from_int(5) {
            return None;
        }
        let seconds = apart.to_multiple(Fixed::from_int(1), Rounding::HalfEven).ok()?;
        let quarter = apart.to_multiple(Fixed::from_int(900), Rounding::HalfEven).ok()?;
        let zone_like = quarter.minus(apart).is_ok_and(|off| off.abs() <= Fixed::from_int(5))
            && apart.abs() <= Fixed::from_int(14 * 3600);
        let detail = if zone_like {
            format!(
                "the id's epoch and the time of creation are {seconds} s apart, as zones are: is --timezone right?"
            )
        } else {
            format!(
                "the id's epoch and the time of creation are {seconds} s apart; the time of creation is taken"
            )
        };
        Some((epoch, created, detail))
    }
}

/// Where a trailing stop stands below where its own rule puts it. At the entry price the rule says nothing yet.
fn behind_rule(
    stop: Option<Price>,
    highest: Option<Price>,
    entry: Price,
    trail: Option<Rate>,
) -> Option<(Price, Price)> {
    let (stop, highest, trail) = (stop?, highest?, trail?);
    let rule = highest.scaled(trail.complement().ok()?, Rounding::Floor).ok()?;
    (highest > entry && stop < rule).then_some((stop, rule))
}

/// The epoch seconds behind the last `_` of an id such as `BTC/USDT_1760956229.123`.
pub(crate) fn epoch_of(id: &str) -> Option<Fixed> {
    let digits = id.rsplit_once('_')?.1;
    let figure = figure(digits)?;
    // Nine to eleven digits: seconds between 1973 and 5138.
    let seconds = figure.value;
    (seconds > Fixed::from_int(100_000_000) && seconds < Fixed::from_int(100_000_000_000)).then_some(seconds)
}

//! Exact decimals in SQL, under the names that the `sqlite3` shell has for its own: `decimal_add`, `decimal_sub`,
//! `decimal_mul`, `decimal_cmp`, `decimal_sum`, and the collation `decimal`; and `sum` and `avg` that stay exact.
//!
//! `min` and `max` are SQLite's own: they go by the collation of what they are given, and other columns beside them are of
//! the row that they found, which no function of ours can have SQLite do.
//!
//! Results have 18 digits behind the point; products and quotients are rounded to the nearest, a tie to the even digit.

use aegis_model::{ArithmeticError, Fixed, Rounding, Timestamp};
use rusqlite::functions::{Aggregate, Context, FunctionFlags, WindowAggregate};
use rusqlite::types::{Value, ValueRef};
use rusqlite::{Connection, Error, Result};
use std::cmp::Ordering;

/// Adds all of them.
pub(super) fn add(connection: &Connection) -> Result<()> {
    let flags =
        FunctionFlags::SQLITE_UTF8 | FunctionFlags::SQLITE_DETERMINISTIC | FunctionFlags::SQLITE_INNOCUOUS;
    connection.create_collation("decimal", by_value)?;
    connection.create_collation("time", by_time)?;
    let two = |name: &'static str, apply: fn(Fixed, Fixed) -> std::result::Result<Fixed, ArithmeticError>| {
        connection.create_scalar_function(name, 2, flags, move |context| {
            let (Some(a), Some(b)) = (number(context, 0, name)?, number(context, 1, name)?) else {
                return Ok(None);
            };
            apply(a, b).map(|n| Some(n.to_string())).map_err(|e| failed(name, &e.to_string()))
        })
    };
    two("decimal_add", Fixed::plus)?;
    two("decimal_sub", Fixed::minus)?;
    two("decimal_mul", |a, b| a.times(b, Rounding::HalfEven))?;
    two("decimal_div", |a, b| a.over(b, Rounding::HalfEven))?;
    connection.create_scalar_function("decimal_cmp", 2, flags, |context| {
        let (a, b) = (number(context, 0, "decimal_cmp")?, number(context, 1, "decimal_cmp")?);
        Ok(a.zip(b).map(|(a, b)| a.cmp(&b) as i32))
    })?;
    connection.create_window_function("decimal_sum", 1, flags, Sum { name: "decimal_sum", mean: false })?;
    connection.create_window_function("sum", 1, flags, Sum { name: "sum", mean: false })?;
    connection.create_window_function("avg", 1, flags, Sum { name: "avg", mean: true })
}

/// By value; what is no number comes after all numbers, by its bytes.
fn by_value(a: &str, b: &str) -> Ordering {
    match (a.parse::<Fixed>(), b.parse::<Fixed>()) {
        (Ok(a), Ok(b)) => a.cmp(&b),
        (Ok(_), Err(_)) => Ordering::Less,
        (Err(_), Ok(_)) => Ordering::Greater,
        (Err(_), Err(_)) => a.cmp(b),
    }
}

/// By the moment that they name; what names none comes after all that do, by its bytes.
fn by_time(a: &str, b: &str) -> Ordering {
    // As the tables spell times, they sort as their bytes do.
    let plain = |text: &str| text.len() == 30 && text.ends_with('Z');
    if plain(a) && plain(b) {
        return a.cmp(b);
    }
    match (instant(a), instant(b)) {
        (Some(a), Some(b)) => a.cmp(&b),
        (Some(_), None) => Ordering::Less,
        (None, Some(_)) => Ordering::Greater,
        (None, None) => a.cmp(b),
    }
}

/// A time in RFC 3339, or the first one whose text begins so: `2025`, `2025-03-25`, `2025-03-25 23:08`.
pub(super) fn instant(text: &str) -> Option<Timestamp> {
    const REST: &str = "0000-01-01T00:00:00.000000000Z";
    let parse =
        |text: &str| time::OffsetDateTime::parse(text, &time::format_description::well_known::Rfc3339).ok();
    if !text.is_ascii() {
        return None;
    }
    let text = text.replacen(' ', "T", 1);
    let at = parse(&text).or_else(|| {
        let cut = matches!(text.len(), 4 | 7 | 10 | 13 | 16 | 19 | 21..=29);
        cut.then(|| parse(&format!("{text}{}", &REST[text.len()..]))).flatten()
    })?;
    i64::try_from(at.unix_timestamp_nanos()).ok().map(Timestamp)
}

fn failed(name: &str, why: &str) -> Error {
    Error::UserFunctionError(format!("{name}: {why}").into())
}

fn number(context: &Context<'_>, at: usize, name: &str) -> Result<Option<Fixed>> {
    match context.get_raw(at) {
        ValueRef::Null => Ok(None),
        ValueRef::Integer(n) => Ok(Some(Fixed::from_int(n))),
        ValueRef::Text(text) => {
            let text = String::from_utf8_lossy(text);
            text.parse().map(Some).map_err(|e| failed(name, &format!("{text:?}: {e}")))
        }
        ValueRef::Real(_) => Err(failed(
            name,
            "a float is not exact: calculate with decimal_add, decimal_sub, decimal_mul or decimal_div; total() adds floats",
        )),
        ValueRef::Blob(_) => Err(failed(name, "bytes are no number")),
    }
}

/// A sum, or a mean.
struct Sum {
    name: &'static str,
    mean: bool,
}

/// What was added up.
#[derive(Default)]
struct Added {
    sum: Fixed,
    count: i64,
    /// How many of them were no whole numbers.
    decimals: i64,
}

impl Sum {
    fn change(&self, context: &Context<'_>, added: &mut Added, sign: i64) -> Result<()> {
        let Some(n) = number(context, 0, self.name)? else { return Ok(()) };
        let n = if sign < 0 { n.negated() } else { n };
        added.sum = added.sum.plus(n).map_err(|e| failed(self.name, &e.to_string()))?;
        added.count += sign;
        if !matches!(context.get_raw(0), ValueRef::Integer(_)) {
            added.decimals += sign;
        }
        Ok(())
    }

    fn result(&self, added: Option<&Added>) -> Result<Value> {
        let Some(added) = added.filter(|a| a.count > 0) else { return Ok(Value::Null) };
        if self.mean {
            let mean = added.sum.over(Fixed::from_int(added.count), Rounding::HalfEven);
            return mean.map(|n| Value::Text(n.to_string())).map_err(|e| failed(self.name, &e.to_string()));
        }
        let text = added.sum.to_string();
        match text.parse() {
            Ok(whole) if added.decimals == 0 => Ok(Value::Integer(whole)),
            Ok(_) | Err(_) => Ok(Value::Text(text)),
        }
    }
}

impl Aggregate<Added, Value> for Sum {
    fn init(&self, _context: &mut Context<'_>) -> Result<Added> {
        Ok(Added::default())
    }

    fn step(&self, context: &mut Context<'_>, added: &mut Added) -> Result<()> {
        self.change(context, added, 1)
    }

    fn finalize(&self, _context: &mut Context<'_>, added: Option<Added>) -> Result<Value> {
        self.result(added.as_ref())
    }
}

impl WindowAggregate<Added, Value> for Sum {
    fn value(&self, added: Option<&mut Added>) -> Result<Value> {
        self.result(added.as_deref())
    }

    fn inverse(&self, context: &mut Context<'_>, added: &mut Added) -> Result<()> {
        self.change(context, added, -1)
    }
}

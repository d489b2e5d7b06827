//! Records in, an answer out.

use super::*;
use aegis_model::event::{
    CommandReceived, CommandRefused, EntryPrepared, OrderIntended, Refusal, SettingRecorded,
};
use aegis_model::order::{OrderKind, Purpose, Side};
use aegis_model::{Actor, Command, Fixed, Label, OrderId, Price, Quantity, Timestamp};

const OTHER: Lsn = Lsn(3);
const COMMAND: Lsn = Lsn(10);
const PREPARED: Lsn = Lsn(11);
const HERE: InstrumentId = InstrumentId(0);

fn received(command: Command) -> Fact {
    CommandReceived { by: Label::literal("ann"), command }.into()
}

fn command() -> Fact {
    let quantity = Quantity(Fixed::from_int(1));
    received(Command::Open { instrument: Label::literal("BTC_USDT"), quantity, stop: None })
}

fn refused(reason: &str) -> Fact {
    CommandRefused { by: Label::literal("ann"), reason: Text::new(reason) }.into()
}

fn gate() -> Fact {
    let (need, have) = (Fixed::from_int(6), Fixed::from_int(5));
    EntryRefused { instrument: HERE, reason: Refusal::PositionOpen, need, have, blocking: OTHER }.into()
}

/// No balance came in time: a timer says so, because of the prepared entry.
fn late() -> Fact {
    let zero = Fixed::ZERO;
    let reason = Refusal::BalanceStale;
    EntryRefused { instrument: HERE, reason, need: zero, have: zero, blocking: PREPARED }.into()
}

fn prepared(snapshot: u64, instrument: InstrumentId) -> Fact {
    EntryPrepared {
        instrument,
        snapshot,
        requested: Timestamp::EPOCH,
        until: Timestamp::EPOCH,
        confidence: None,
        quantity: Quantity::ZERO,
        reference: Price::ZERO,
        stop: None,
    }
    .into()
}

fn intended() -> Fact {
    OrderIntended {
        order: OrderId(1),
        run: 1,
        instrument: HERE,
        side: Side::Buy,
        kind: OrderKind::Market,
        quantity: Quantity::ZERO,
        purpose: Purpose::Entry,
        valid_until: Timestamp::EPOCH,
        cancel_at: None,
        replaces: OrderId(0),
        plan: None,
        reference: Price::ZERO,
    }
    .into()
}

/// Hears the command as record 10 and then these facts with their causes.
fn told(facts: &[(Lsn, Fact)]) -> (bool, bool, String) {
    let mut asked = Asked::default();
    let first = [(Lsn::NONE, command())];
    for (lsn, (cause, fact)) in (COMMAND.0..).zip(first.iter().chain(facts)) {
        let event = Event { at: Timestamp::EPOCH, actor: Actor::Engine, cause: *cause, fact: fact.clone() };
        asked.hear(Lsn(lsn), &event);
    }
    let reply = asked.reply(&State { lsn: Lsn(20), ..State::default() });
    (reply.ok, asked.waits(), reply.text)
}

#[test]
fn the_answer_is_that_of_the_record_whose_cause_is_the_command() {
    let setting = || SettingRecorded { key: Text::new("k"), value: Text::new("v") }.into();
    let waits = || (COMMAND, prepared(7, HERE));
    for (facts, wanted) in [
        (vec![], (true, false, "done: records 10 to 20")),
        (vec![(COMMAND, setting())], (true, false, "done: records 10 to 20")),
        (vec![(COMMAND, refused("no dust"))], (false, false, "refused: no dust (record 11)")),
        (
            vec![(COMMAND, gate())],
            (false, false, "refused:  entry: position open, need 6 have 5, because of record 3 (record 11)"),
        ),
        // What answers somebody else.
        (vec![(OTHER, refused("no dust")), (OTHER, gate())], (true, false, "done: records 10 to 20")),
        // An entry that waits, and how that can end.
        (vec![waits()], (true, true, "done: records 10 to 20; the entry waits for the balance")),
        (
            vec![waits(), (OTHER, gate()), (OTHER, prepared(0, InstrumentId(1))), (OTHER, intended())],
            (true, true, "done: records 10 to 20; the entry waits for the balance"),
        ),
        (vec![waits(), (PREPARED, intended())], (true, false, "done: records 10 to 20")),
        (
            vec![waits(), (PREPARED, gate())],
            (false, false, "refused:  entry: position open, need 6 have 5, because of record 3 (record 12)"),
        ),
        (
            vec![waits(), (OTHER, prepared(0, HERE))],
            (false, false, "refused:  entry was given up (record 12)"),
        ),
        (
            vec![waits(), (PREPARED, prepared(0, HERE)), (PREPARED, gate())],
            (false, false, "refused:  entry: position open, need 6 have 5, because of record 3 (record 13)"),
        ),
        (
            vec![waits(), (OTHER, prepared(0, HERE)), (OTHER, late())],
            (false, false, "refused:  entry: balance stale, because of record 11 (record 13)"),
        ),
        // The balance is asked for again.
        (
            vec![
                waits(),
                (OTHER, prepared(8, InstrumentId(1))),
                (Lsn::NONE, prepared(8, HERE)),
                (PREPARED, gate()),
            ],
            (true, true, "done: records 10 to 20; the entry waits for the balance"),
        ),
        (
            vec![waits(), (Lsn::NONE, prepared(8, HERE)), (Lsn(12), intended())],
            (true, false, "done: records 10 to 20"),
        ),
        // The first end is the end, and a second command is another one's.
        (
            vec![(COMMAND, refused("no dust")), (COMMAND, gate())],
            (false, false, "refused: no dust (record 11)"),
        ),
        (vec![(Lsn::NONE, command()), (PREPARED, refused("no"))], (true, false, "done: records 10 to 20")),
    ] {
        let (ok, waiting, text) = told(&facts);
        assert_eq!((ok, waiting, text.as_str()), wanted, "{facts:?}");
    }
}

/// Timers may decide about an entry in the same turn.
#[test]
fn a_command_that_asks_for_no_entry_is_not_answered_by_what_becomes_of_one() {
    let mut asked = Asked::default();
    let event = |cause, fact| Event { at: Timestamp(0), actor: Actor::Operator, cause, fact };
    asked.hear(COMMAND, &event(Lsn::NONE, received(Command::Enable)));
    asked.hear(PREPARED, &event(COMMAND, gate()));
    asked.hear(Lsn(12), &event(COMMAND, prepared(8, HERE)));
    let reply = asked.reply(&State { lsn: Lsn(12), ..State::default() });
    assert_eq!((reply.ok, asked.waits()), (true, false), "{}", reply.text);
}

//! Questions to generated journals: every subject is answered, ledgers add up, words that name nothing or too much are
//! told, and a hole ends the answer and is said. The stories with their texts are S29 in `tests/stories/explained.rs`.

use super::*;
use crate::testing::Written;
use aegis_journal::{MemReader, Storage};
use aegis_model::{Event, Fact};
use aegis_projection::testing::{Dice, Story, histories, wild_histories};
use proptest::prelude::*;

const FEW: Options = Options { all: false };

fn lawful(events: Vec<Event>) -> Vec<Event> {
    events.into_iter().filter(|e| !matches!(e.fact, Fact::GapFound(_))).collect()
}

fn written(events: &[Event]) -> Written {
    let batches: Vec<Vec<Event>> = events.chunks(3).map(<[Event]>::to_vec).collect();
    Written::of(&batches)
}

fn ask(read: &MemReader, words: &str, options: Options) -> Result<Explanation, ExplainError> {
    explain(&|| Ok(read.clone()), words, options, &|_| ())
}

fn life(n: usize) -> Vec<Event> {
    let (mut story, mut dice) = (Story::begin(), Dice::new(7));
    while story.events.len() < n {
        story.step(&mut dice);
    }
    lawful(story.events)
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 24, ..ProptestConfig::default() })]

    #[test]
    fn an_assets_movements_add_up_to_what_is_held(events in histories(100)) {
        let written = written(&lawful(events));
        for asset in &written.state.assets {
            let told = ask(&written.read(), &format!("asset {}", asset.name), Options { all: true }).expect("an asset");
            let adds_up = told.answer.iter().any(|s| s.contains("add up to that, to the last digit"));
            prop_assert!(adds_up, "{}: {:#?}", asset.name, told.answer);
            prop_assert_eq!(told.movements_folded, 0);
        }
    }

    #[test]
    fn whatever_is_asked_of_whatever_journal_is_answered(
        tame in histories(40),
        wild in wild_histories(40),
        pick in any::<prop::sample::Index>(),
    ) {
        for events in [lawful(tame), lawful(wild)] {
            let written = written(&events);
            let read = written.read();
            let lsn = 1 + pick.index(events.len());
            let told = ask(&read, &format!("record {lsn}"), FEW).expect("a record");
            prop_assert!(told.flat().iter().any(|(_, _, line)| line.lsn == lsn as u64));
            let instruments = written.state.instruments.iter().map(|i| i.spec.name.to_string());
            let mut questions: Vec<String> = instruments.flat_map(|n| [n.clone(), format!("stop {n}")]).collect();
            questions.extend(["order 1", "signal 3", "trade t1", "a", "1"].map(str::to_owned));
            for words in questions {
                match ask(&read, &words, FEW) {
                    Ok(told) => prop_assert!(!told.render(80, 9).is_empty(), "{}", words),
                    Err(ExplainError::Unknown { known, .. }) => prop_assert!(!known.is_empty()),
                    Err(ExplainError::Ambiguous { meanings, .. }) => prop_assert!(meanings.len() > 1),
                    Err(e @ ExplainError::Read(_)) => prop_assert!(false, "{}: {}", words, e),
                }
            }
        }
    }
}

#[test]
fn rows_fit_the_width_and_depth_hides_and_says_so() {
    let events = life(900);
    let written = written(&events);
    for width in [100, 120] {
        for words in ["BTC_USD", "stop BTC_USD", "order #1", "record 5"] {
            let told = ask(&written.read(), words, FEW).expect("something");
            for row in told.render(width, 6) {
                assert!(row.chars().count() <= width, "{words} at {width}: {row}");
            }
        }
    }
    let busy = (1..=written.state.last_order.0)
        .map(|n| ask(&written.read(), &format!("order #{n}"), FEW).expect("an order"))
        .find(|told| told.flat().len() > 2)
        .expect("some order has news");
    let shallow = busy.render(100, 1).join("\n");
    assert!(
        shallow.contains("more below") && shallow.lines().count() < busy.render(100, 9).len(),
        "{shallow}"
    );
}

#[test]
fn unknown_words_list_what_there_is_and_ambiguous_ones_what_they_could_mean() {
    let written = written(&life(400));
    let unknown = ask(&written.read(), "DOGE_USD", FEW).expect_err("no such thing").to_string();
    for part in ["nothing in this journal is called \"DOGE_USD\"", "BTC_USD", "asset USD", "record 1 to"] {
        assert!(unknown.contains(part), "{part} in {unknown}");
    }
    let ambiguous = ask(&written.read(), "1", FEW).expect_err("an order and a record").to_string();
    for part in ["record 1", "order #1"] {
        assert!(ambiguous.contains(part), "{part} in {ambiguous}");
    }
    assert_eq!(ask(&written.read(), "record 1", FEW).expect("one meaning").subject, "record 1");
}

#[test]
fn behind_a_hole_nothing_is_told_and_the_hole_is() {
    let written = written(&life(2_000));
    let whole = ask(&written.read(), "asset USD", FEW).expect("an asset");
    let disk = written.closed();
    disk.patch("0000000001.seg", 30_000, &[0xff; 16]);
    let cut = ask(&disk.reader(), "asset USD", FEW).expect("an asset");
    assert!(cut.lsn < whole.lsn && cut.behind_gap > 0);
    let text = cut.render(100, 9).join(" ");
    assert!(text.contains("copied while live or damaged"), "{text}");
}

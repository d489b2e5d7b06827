//! The one function that the program's translation takes from its neighbour for the paper exchange.

use aegis_model::Answer;

/// The same answer with its contents translated.
pub(crate) fn each<T, U>(answer: &Answer<T>, translate: impl Fn(&T) -> U) -> Answer<U> {
    match answer {
        Answer::Complete(value) => Answer::Complete(translate(value)),
        Answer::Failed(why) => Answer::Failed(why.clone()),
        Answer::NotAsked => Answer::NotAsked,
    }
}

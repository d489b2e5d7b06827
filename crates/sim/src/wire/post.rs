//! Where calls and pauses wait for the world. It belongs to the one thread of a world and is emptied when one begins.

use crate::wire::answer::{Reply, Silence};
use aegis_cryptocom::request::Method;
use std::cell::RefCell;
use std::collections::BTreeMap;
use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

/// Something that a future waits for.
#[derive(Clone, Debug)]
pub(crate) enum Want {
    /// A request under way; the whole body is here.
    Call { number: u64, method: Method, body: String },
    /// A pause.
    Sleep { number: u64, lasts: Duration },
}

#[derive(Default)]
struct Post {
    last: u64,
    wants: Vec<Want>,
    answers: BTreeMap<u64, Result<Reply, Silence>>,
    slept: Vec<u64>,
}

thread_local! {
    static POST: RefCell<Post> = RefCell::default();
}

/// Forgets everything.
pub(crate) fn clear() {
    POST.with_borrow_mut(|post| *post = Post::default());
}

/// What was asked for since the last time.
pub(crate) fn wants() -> Vec<Want> {
    POST.with_borrow_mut(|post| std::mem::take(&mut post.wants))
}

/// A call's answer.
pub(crate) fn answer(number: u64, answer: Result<Reply, Silence>) {
    POST.with_borrow_mut(|post| post.answers.insert(number, answer));
}

/// A pause is over.
pub(crate) fn wake(number: u64) {
    POST.with_borrow_mut(|post| post.slept.push(number));
}

/// A call that waits for its answer.
pub(crate) struct Calling(u64);

/// Hands a request to the world.
pub(crate) fn call(method: Method, body: String) -> Calling {
    POST.with_borrow_mut(|post| {
        post.last += 1;
        post.wants.push(Want::Call { number: post.last, method, body });
        Calling(post.last)
    })
}

impl Future for Calling {
    type Output = Result<Reply, Silence>;
    fn poll(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<Self::Output> {
        match POST.with_borrow_mut(|post| post.answers.remove(&self.0)) {
            Some(answer) => Poll::Ready(answer),
            None => Poll::Pending,
        }
    }
}

/// A pause that waits for its end.
pub(crate) struct Sleeping(u64);

/// Waits.
pub(crate) fn sleep(lasts: Duration) -> Sleeping {
    POST.with_borrow_mut(|post| {
        post.last += 1;
        post.wants.push(Want::Sleep { number: post.last, lasts });
        Sleeping(post.last)
    })
}

impl Future for Sleeping {
    type Output = ();
    fn poll(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<()> {
        POST.with_borrow_mut(|post| match post.slept.iter().position(|number| *number == self.0) {
            Some(at) => {
                post.slept.remove(at);
                Poll::Ready(())
            }
            None => Poll::Pending,
        })
    }
}

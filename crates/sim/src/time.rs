//! The one function of a runtime's clock that the program's client calls, answered by the world.

use std::time::Duration;

/// Waits as long as the world says.
pub(crate) async fn sleep(lasts: Duration) {
    crate::wire::post::sleep(lasts).await;
}

//! What is logged.

use super::filter;
use tracing_subscriber::filter::LevelFilter;

#[test]
fn no_level_of_logs_shows_whole_frames() {
    for (verbose, asked) in [(3, None), (0, Some("trace")), (0, Some("warn,aegis=trace"))] {
        let filter = filter(verbose, asked);
        for target in ["tungstenite::protocol", "tokio_tungstenite::compat"] {
            assert!(!filter.would_enable(target, &tracing::Level::DEBUG), "{verbose} {asked:?} {target}");
            assert!(filter.would_enable(target, &tracing::Level::INFO));
        }
        assert!(filter.would_enable("aegis::wire", &tracing::Level::TRACE), "{verbose} {asked:?}");
    }
}

#[test]
fn what_is_asked_for_goes_before_the_flags_and_nonsense_does_not() {
    let warn = Some(LevelFilter::WARN);
    assert_eq!(filter(0, None).default_level(), warn);
    assert_eq!(filter(0, Some("aegis=verbose?")).default_level(), warn);
    assert_eq!(filter(3, Some("warn,aegis::run=debug")).default_level(), warn);
    assert!(filter(3, Some("warn,aegis::run=debug")).would_enable("aegis::run", &tracing::Level::DEBUG));
}

//! Draws lines at random: of a stream too large to look at, a part is often enough.

use tidemill_sdk::prelude::*;

#[derive(Row)]
struct Line<'a> {
    value: &'a str,
}

#[derive(Row, Debug, PartialEq)]
struct Word<'a> {
    word: &'a str,
}

#[config]
struct Draw {
    /// How likely a line is to be kept: 0 for none of them, 1 for all.
    probability: f64,
}

/// Keeps a line with the probability that the manifest says. Chance is the epoch's: when an epoch is run again, after a
/// failure for example, the same lines are drawn again.
#[filter]
fn drawn(_line: Line, config: &Draw) -> bool {
    // 53 bits are what a float between 0 and 1 can hold.
    let drawn = (context::random() >> 11) as f64 / (1_u64 << 53) as f64;
    drawn < config.probability
}

/// Splits a line into words.
#[transform]
fn tokenize<'a>(line: Line<'a>) -> impl Iterator<Item = Word<'a>> {
    words(line.value).map(|word| Word { word })
}

plugin!(drawn, tokenize);

#[test]
fn about_as_many_lines_are_drawn_as_is_likely() {
    use tidemill_sdk::testing::{Scope, json};

    let kept = |probability: f64, seed| {
        let scope = Scope::default().config(json!({ "probability": probability })).seed(seed);
        scope.filter::<drawn>((0..1000).map(|_| Line { value: "tide" })).unwrap()
    };
    let count = |kept: Vec<bool>| kept.into_iter().filter(|kept| *kept).count();
    assert_eq!((count(kept(0.0, 1)), count(kept(1.0, 1))), (0, 1000));
    assert!((200..300).contains(&count(kept(0.25, 1))));
    assert_eq!(kept(0.25, 1), kept(0.25, 1), "the same seed draws the same lines");
    assert_ne!(kept(0.25, 1), kept(0.25, 2));
}

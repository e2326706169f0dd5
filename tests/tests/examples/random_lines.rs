//! `random-lines`: chance in a plugin.

use std::collections::BTreeMap;

use crate::run::{Example, books};

fn example() -> Example {
    Example::new("random-lines/pipeline.toml").set("sinks.out.rows", 1000).set("transforms.frequent.where", "count > 0")
}

/// What is drawn is a part of what there is, and the probability says how large a part: nothing, something or all.
#[test]
fn a_part_of_the_lines_is_drawn() {
    let drawn = |probability: f64| {
        let tables = example().set("transforms.drawn.config.probability", format!("{probability:?}")).run();
        tables.into_iter().flat_map(|table| table.by("word", "count")).collect::<BTreeMap<_, _>>()
    };
    let mut all = BTreeMap::<String, u64>::new();
    for word in books().concat().split_whitespace().filter(|word| word.chars().count() > 4) {
        let word = word.trim_matches(['.', ',', ':', ';', '!', '?', '(', ')', '"', '-']).to_lowercase();
        *all.entry(word).or_default() += 1;
    }
    assert_eq!(drawn(1.0), all);
    assert!(drawn(0.0).is_empty());
    let some = drawn(0.5);
    assert!(some.iter().all(|(word, count)| count <= &all[word]), "{some:?}");
    let sum = |counts: &BTreeMap<String, u64>| counts.values().sum::<u64>();
    assert!((1..sum(&all)).contains(&sum(&some)), "{some:?}");
}

/// Its words have gone out when the process dies, and the epoch is not committed: the next run must draw the same
/// lines, or what is counted is not what was shown.
#[test]
fn an_epoch_that_is_run_again_draws_the_same_lines() {
    let example = example();
    let shown = example.crash("sink-committed:0");
    assert_eq!(shown.len(), 1, "{shown:?}");
    assert_eq!(example.run(), shown);
}

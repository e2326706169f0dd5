//! `stop-words`, `word-lengths`, `longest-word` and `recent-words`: a filter with a config, statistics of each batch,
//! and reducers, one of them with an inverse.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs::{self, File},
    io::Write,
    time::{Duration, SystemTime},
};

use crate::run::{Example, book, books};

/// The stop words are read from the manifest: with others set, other words are dropped, and the plugin stays as it is.
#[test]
fn words_are_dropped_as_the_config_says() {
    let frequent = |stop_words: &[&str]| {
        let mut counts = BTreeMap::<String, u64>::new();
        let bare = book("alice.txt").to_lowercase();
        let words = bare.split_whitespace().map(|word| word.trim_matches(|c: char| !c.is_alphanumeric()));
        words.filter(|word| !word.is_empty()).for_each(|word| *counts.entry(word.to_owned()).or_default() += 1);
        counts.retain(|word, count| *count >= 3 && !stop_words.contains(&&**word));
        counts
    };
    let example = Example::new("stop-words/pipeline.toml").set("sinks.out.rows", 1000);
    let shown = example.run().remove(0).by("word", "count");
    let all = frequent(&[]);
    assert!(shown.len() < all.len() / 2 && shown.iter().all(|(word, count)| all[word] == *count), "{shown:?}");
    assert!(shown.contains_key("alice") && !shown.contains_key("the"), "{shown:?}");

    let few = Example::new("stop-words/pipeline.toml")
        .set("sinks.out.rows", 1000)
        .set("transforms.meaningful.config.stop_words", r#"["the", "she", "alice"]"#);
    assert_eq!(few.run().remove(0).by("word", "count"), frequent(&["the", "she", "alice"]));
}

/// Each batch is described by itself: nothing of the one before is left in it.
#[test]
fn lengths_are_described_batch_by_batch() {
    let shown = Example::new("word-lengths/pipeline.toml").run();
    let row = |lengths: &[f64]| {
        let count = lengths.len() as f64;
        let mean = lengths.iter().sum::<f64>() / count;
        let variance = lengths.iter().map(|length| (length - mean).powi(2)).sum::<f64>() / (count - 1.0);
        let shortest = lengths.iter().copied().fold(f64::INFINITY, f64::min);
        let longest = lengths.iter().copied().fold(0.0, f64::max);
        let values = [count, hundredths(mean), hundredths(variance.sqrt()), shortest, longest];
        values.map(|value| value.to_string())
    };
    let lengths = |text: &str| text.split_whitespace().map(|word| word.chars().count() as f64).collect::<Vec<_>>();
    let expected: BTreeSet<_> = books().map(|book| row(&lengths(&book))).into();
    let columns = ["count", "mean", "deviation", "shortest", "longest"];
    let statistics: BTreeSet<_> =
        shown.iter().flat_map(|table| &table.rows).map(|row| columns.map(|c| row[c].clone())).collect();
    assert_eq!(shown.iter().map(|table| table.batch).collect::<Vec<_>>(), [0, 1, 2]);
    assert_eq!(statistics, expected);
}

/// A reducer's result for each key is the fold over all its rows, wherever they were folded.
#[test]
fn the_longest_word_of_each_letter_is_found() {
    let shown = Example::new("longest-word/pipeline.toml").run();
    let text = books().concat();
    let mut expected = BTreeMap::<String, String>::new();
    for word in text.split_whitespace().filter(|word| word.starts_with(|c: char| c.is_ascii_lowercase())) {
        let word = word.trim_end_matches(['.', ',', ':', ';', '!', '?', '(', ')', '"', '-']);
        let longest = expected.entry(word[..1].to_owned()).or_default();
        if word.len() > longest.len() || (word.len() == longest.len() && word < &**longest) {
            *longest = word.to_owned();
        }
    }
    let found: BTreeMap<_, _> =
        shown[0].rows.iter().map(|row| (row["initial"].clone(), row["longest"].clone())).collect();
    assert_eq!(found, expected);
}

/// What leaves the window is taken out of the sums by the inverse: they are those of two batches however many have gone
/// by, and a word that has not come for two batches is forgotten.
#[test]
fn only_the_last_two_batches_count() {
    let example = Example::new("recent-words/pipeline.toml")
        .set_path("sources.lines.path", "input")
        .set("sinks.out.rows", 1000)
        .set("sinks.out.truncate", false);
    fs::create_dir(example.path("input")).unwrap();
    for (book, place) in books().iter().zip(0..) {
        let mut file = File::create(example.path("input").join(format!("{place}.txt"))).unwrap();
        file.write_all(book.as_bytes()).unwrap();
        file.set_modified(SystemTime::UNIX_EPOCH + Duration::from_secs(1_000_000_000 + place)).unwrap();
    }
    let long = |books: &[&str]| {
        let mut counts = BTreeMap::<String, u64>::new();
        let text = books.concat();
        let words = text.split_whitespace().filter(|word| word.chars().count() > 6);
        words.for_each(|word| *counts.entry(word.to_owned()).or_default() += 1);
        counts
    };
    let [first, second, third] = &books();
    let expected = [long(&[first]), long(&[first, second]), long(&[second, third])].into_iter().zip(0..);
    let shown = example.run();
    let shown: Vec<_> = shown.iter().map(|table| (table.by("word", "value"), table.batch)).collect();
    assert_eq!(shown, expected.collect::<Vec<_>>());
}

fn hundredths(value: f64) -> f64 {
    (value * 100.0).round() / 100.0
}

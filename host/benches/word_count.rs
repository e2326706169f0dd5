//! Text to a table of counts: Wasm tokenizer, running count, memory sink, checkpoint on, against a native program on
//! one thread. First with a table that fits the caches, then with one that does not.

mod support;

use std::{hint::black_box, path::Path, time::Duration};

use arrow::{array::AsArray, datatypes::Int64Type};
use hashbrown::HashMap as FastMap;
use support::{
    bytes_in, compare, native, now,
    pipeline::{loader, run},
    print_peak_memory, text,
};
use tidemill::{ports::PluginLoader, sink::MemoryTables};

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() {
    let loader = loader();
    measure(&loader, &text::small(), 5);
    measure(&loader, &text::large(), 3);
}

fn measure(loader: &dyn PluginLoader, folder: &Path, rounds: usize) {
    let megabytes = bytes_in(folder) as f64 / 1e6;
    let settings = |workers: usize| [format!("sources.lines.path={}", folder.display()), format!("workers={workers}")];
    let (one, two) = (settings(1), settings(2));

    let expected = native::word_count(folder);
    check(&run(loader, "word-count", &two).tables, &expected);

    let mut ways: [(&str, &mut dyn FnMut() -> Duration); 3] = [
        ("native, one thread", &mut || {
            let started = now();
            black_box(native::word_count(folder));
            started.elapsed()
        }),
        ("tidemill, one worker", &mut || run(loader, "word-count", &one).time),
        ("tidemill, two workers", &mut || run(loader, "word-count", &two).time),
    ];
    let title = format!("word count, {megabytes:.0} MB, {} distinct words, checkpoint on", expected.len());
    compare(&title, rounds, megabytes, None, &mut ways);
    print_peak_memory();
}

/// Both give the same counts, or the figures mean nothing.
fn check(tables: &MemoryTables, expected: &FastMap<String, u64>) {
    let snapshot = tables.get(&"out".into()).expect("the sink has run").snapshot();
    let mut found = 0;
    for batch in &snapshot.rows {
        let (words, counts) = (batch.column(0).as_string::<i32>(), batch.column(1).as_primitive::<Int64Type>());
        for (word, count) in words.iter().zip(counts) {
            let (word, count) = (word.expect("a word"), count.expect("a count"));
            assert_eq!(expected.get(word).copied(), u64::try_from(count).ok(), "the count of {word}");
            found += 1;
        }
    }
    assert_eq!(found, expected.len(), "words");
}

//! 100 MB of text to a table of counts: Wasm tokenizer, running count, memory sink, checkpoint on, against a native
//! program on one thread.

mod support;

use std::{collections::HashMap, fs, path::Path, time::Duration};

use hashbrown::HashMap as FastMap;
use support::{bytes_in, loader, medians, now, peak_memory, run, text};

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() {
    let folder = text("words", 10, 10_000_000, 20_000);
    let megabytes = bytes_in(&folder) as f64 / 1e6;
    let loader = loader();
    let pipeline = |workers: usize| manifest(&folder, workers);

    let (_, tables) = run(&loader, &pipeline(2));
    check(&tables, &native(&folder));

    let (one, two) = (pipeline(1), pipeline(2));
    let mut ways: [(&str, &mut dyn FnMut() -> Duration); 3] = [
        ("native, one thread", &mut || {
            let started = now();
            std::hint::black_box(native(&folder));
            started.elapsed()
        }),
        ("tidemill, one worker", &mut || run(&loader, &one).0),
        ("tidemill, two workers", &mut || run(&loader, &two).0),
    ];
    let times = medians(5, &mut ways);
    let native_time = times[0].as_secs_f64();
    println!("word count, {megabytes:.0} MB, checkpoint on");
    for ((name, _), time) in ways.iter().zip(&times) {
        let seconds = time.as_secs_f64();
        println!(
            "  {name:<24} {seconds:>7.3} s {:>7.0} MB/s   {:>5.2} of native",
            megabytes / seconds,
            native_time / seconds
        );
    }
    println!("  peak memory of this process: {} MiB", peak_memory());
}

fn manifest(folder: &Path, workers: usize) -> String {
    format!(
        r#"
        name = "word-count"
        trigger = "available-now"
        workers = {workers}
        plugins.words.crate = "guest-examples/word-count"
        [sources.lines]
        type = "files"
        path = "{}"
        [transforms.tokens]
        inputs = ["lines"]
        call = "words.tokenize"
        [transforms.counts]
        inputs = ["tokens"]
        group_by = ["word"]
        aggregates = {{ count = "count(*)" }}
        [sinks.out]
        inputs = ["counts"]
        type = "memory"
        mode = "complete"
        "#,
        folder.display()
    )
}

/// What a good programmer writes by hand: one pass, a fast hash map, keys copied once.
fn native(folder: &Path) -> FastMap<String, u64> {
    let mut counts: FastMap<String, u64> = FastMap::new();
    for file in fs::read_dir(folder).expect("the folder is there") {
        let bytes = fs::read(file.expect("a file").path()).expect("a file");
        let text = simdutf8::basic::from_utf8(&bytes).expect("generated text");
        for line in text.lines() {
            for word in line.split_ascii_whitespace() {
                *counts.entry_ref(word).or_insert(0) += 1;
            }
        }
    }
    counts
}

/// Both give the same counts, or the figures mean nothing.
fn check(tables: &tidemill::sink::MemoryTables, expected: &FastMap<String, u64>) {
    use arrow::array::AsArray;
    let snapshot = tables.get(&"out".into()).expect("the sink has run").snapshot();
    let mut found: HashMap<String, u64> = HashMap::new();
    for batch in &snapshot.rows {
        let (words, counts) =
            (batch.column(0).as_string::<i32>(), batch.column(1).as_primitive::<arrow::datatypes::Int64Type>());
        for (word, count) in words.iter().zip(counts) {
            found.insert(word.expect("a word").to_owned(), count.expect("a count") as u64);
        }
    }
    assert_eq!(found.len(), expected.len());
    assert!(expected.iter().all(|(word, count)| found.get(word) == Some(count)));
}

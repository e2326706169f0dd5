//! `word-count`: a folder read to its end, a socket, files as they come, and counts that are stored.

use std::{
    collections::BTreeMap,
    fs::{self, File},
    io::Write,
    net::TcpListener,
    sync::mpsc,
    thread,
    time::{Duration, SystemTime},
};

use serde_json::Value;
use tidemill_tests::repository;

use crate::{
    run::{Example, book, books, text, written},
    table::{Table, quoted},
};

type Counts = BTreeMap<String, u64>;

/// The first thing anyone sees of Tidemill: one command, one table.
#[test]
fn a_folder_is_counted_and_its_telling_words_are_shown() {
    let shown = Example::new("word-count/pipeline.toml").run();
    let expected = telling(&books().concat());
    assert_eq!(counts(&shown), [(0, expected)]);
}

/// And it is the one that the README shows. Who has typed its first command compares.
#[test]
fn the_readme_shows_what_its_first_command_shows() {
    let readme = text(&repository().join("README.md"));
    let mut commands =
        readme.lines().filter_map(|line| line.strip_prefix("    cargo run --release -- run guest-examples/"));
    let pipeline = commands.next().expect("there is a first command");
    let [table] = <[Table; 1]>::try_from(Example::new(pipeline).run()).unwrap();
    assert_eq!((table.batch, table.sorted()), (0, quoted(&readme)));
}

/// A restart goes on where the checkpoint stands: what was read is not read again, and what is new adds to the counts.
#[test]
fn a_restart_reads_only_what_is_new_and_goes_on_counting() {
    let example = Example::new("word-count/pipeline.toml").set_path("sources.lines.path", "input");
    let input = example.path("input");
    fs::create_dir(&input).unwrap();

    fs::write(input.join("alice.txt"), book("alice.txt")).unwrap();
    assert_eq!(counts(&example.run()), [(0, telling(&book("alice.txt")))]);

    assert_eq!(example.run(), [], "there is nothing new");

    fs::write(input.join("moby-dick.txt"), book("moby-dick.txt")).unwrap();
    let both = book("alice.txt") + &book("moby-dick.txt");
    assert_eq!(counts(&example.run()), [(1, telling(&both))]);
}

/// Each batch holds the words of its own lines, and all batches together hold every word once, however the lines fall
/// into batches. Ctrl-C is a good end.
#[test]
fn what_a_socket_sends_is_counted_batch_by_batch() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let mut running = Example::new("word-count/socket.toml")
        .set("sources.lines.address", listener.local_addr().unwrap())
        .set("trigger", "{ every = \"100ms\" }")
        .set("sinks.out.rows", 1000)
        .start();
    let (connected, connection) = mpsc::channel();
    thread::spawn(move || connected.send(listener.accept()));
    let (mut connection, _) = connection.recv_timeout(Duration::from_secs(120)).expect("it connects").unwrap();

    for (sent, batch) in ["to be or not to be\r\n", "that is\nthe question\n"].into_iter().zip(1..) {
        connection.write_all(sent.as_bytes()).unwrap();
        let mut missing = words(sent);
        while missing.values().any(|count| *count > 0) {
            let table = running.next_table().unwrap_or_else(|| panic!("it ended before batch {batch} was complete"));
            for (word, count) in table.by("word", "count") {
                let left = missing.get_mut(&word).unwrap_or_else(|| panic!("{word} is from another batch"));
                *left = left.checked_sub(count).unwrap_or_else(|| panic!("{word} was counted too often"));
            }
        }
    }
    assert_eq!(running.interrupt(), []);
}

/// One file a batch, the newest first; the sink gets the words of that file with their counts so far.
#[test]
fn files_are_counted_one_by_one_the_newest_first() {
    let example = Example::new("word-count/files.toml")
        .set_path("sources.lines.path", "input")
        .set("trigger", "available-now")
        .set("sinks.out.rows", 1000)
        .set("sinks.out.truncate", false);
    fs::create_dir(example.path("input")).unwrap();
    for (name, age) in [("alice.txt", 2), ("moby-dick.txt", 3), ("two-cities.txt", 1)] {
        let mut file = File::create(example.path("input").join(name)).unwrap();
        file.write_all(book(name).as_bytes()).unwrap();
        file.set_modified(SystemTime::UNIX_EPOCH + Duration::from_secs(1_000_000_000 - age)).unwrap();
    }

    let mut so_far = Counts::new();
    let expected = ["two-cities.txt", "alice.txt", "moby-dick.txt"].map(|name| {
        let of_file = words(&book(name));
        of_file.iter().for_each(|(word, count)| *so_far.entry(word.clone()).or_default() += count);
        of_file.into_keys().map(|word| (word.clone(), so_far[&word])).collect::<Counts>()
    });
    assert_eq!(counts(&example.run()), [0, 1, 2].into_iter().zip(expected).collect::<Vec<_>>());
}

/// What a sink has stored can be read by other programs: a file a batch, and together every word of every book. A
/// second run stores nothing again.
#[test]
fn each_batch_is_stored_in_a_file_of_its_own() {
    let example = Example::new("word-count/stored.toml").set_path("sinks.out.path", "counts");
    for _ in 0..2 {
        assert_eq!(example.run(), [], "nothing goes to the console");
        let mut stored: Vec<Counts> = written(&example.path("counts")).iter().map(|rows| of_rows(rows)).collect();
        let mut expected = books().map(|book| words(&book));
        // Which book came first is up to the times of the files.
        stored.sort();
        expected.sort();
        assert_eq!(stored, expected);
    }
}

fn of_rows(rows: &[Value]) -> Counts {
    let pair =
        |row: &Value| (row["word"].as_str().expect("a word").to_owned(), row["count"].as_u64().expect("a number"));
    rows.iter().map(pair).collect()
}

fn counts(tables: &[Table]) -> Vec<(u64, Counts)> {
    tables.iter().map(|table| (table.batch, table.by("word", "count"))).collect()
}

fn words(text: &str) -> Counts {
    let mut counts = Counts::new();
    text.split_whitespace().for_each(|word| *counts.entry(word.to_owned()).or_default() += 1);
    counts
}

/// What `pipeline.toml` leaves of the words: long ones that come often.
fn telling(text: &str) -> Counts {
    let clean = |word: &str| word.trim_matches(['.', ',', ':', ';', '!', '?', '(', ')', '"', '-']).to_lowercase();
    let mut counts = words(&text.split_whitespace().map(clean).collect::<Vec<_>>().join(" "));
    counts.retain(|word, count| *count >= 5 && word.chars().count() > 4);
    counts
}

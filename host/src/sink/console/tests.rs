//! What people see.

use std::sync::Mutex;

use arrow::array::Int64Array;

use super::*;

/// Standard output, as it arrives: one element a write.
#[derive(Clone, Default)]
struct Screen(Arc<Mutex<Vec<String>>>);

impl Write for Screen {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().unwrap().push(String::from_utf8(bytes.to_vec()).unwrap());
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

struct Closed;

impl Write for Closed {
    fn write(&mut self, _: &[u8]) -> io::Result<usize> {
        Err(io::ErrorKind::BrokenPipe.into())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

fn schema() -> SchemaRef {
    Arc::new(Schema::new(vec![Field::new("word", DataType::Utf8, true), Field::new("count", DataType::Int64, false)]))
}

fn words(words: &[Option<&str>]) -> RecordBatch {
    let counts = Int64Array::from_iter_values(1..=words.len() as i64);
    RecordBatch::try_new(schema(), vec![Arc::new(StringArray::from(words.to_vec())), Arc::new(counts)]).unwrap()
}

fn printed(settings: &ConsoleSink, epoch: u64, batches: &[RecordBatch]) -> String {
    let screen = Screen::default();
    let mut console = Console::new(settings, Box::new(screen.clone()));
    let epoch = Epoch::new(epoch);
    console.begin(epoch, &schema()).unwrap();
    batches.iter().for_each(|batch| console.write(batch).unwrap());
    assert!(screen.0.lock().unwrap().is_empty(), "nothing is shown before the commit");
    console.commit(CommitPermit::new(epoch)).unwrap();
    let writes = screen.0.lock().unwrap();
    assert_eq!(writes.len(), 1, "an epoch is written in one go");
    writes[0].clone()
}

/// The header and the table as people know them from Spark.
#[test]
fn an_epoch_is_a_table() {
    let settings = ConsoleSink { rows: 20, truncate: Some(20) };
    let shown = printed(&settings, 3, &[words(&[Some("cat"), None]), words(&[Some("дом")])]);
    let expected = "\
-------------------------------------------
Batch: 3
-------------------------------------------
+------+-------+
| word | count |
+------+-------+
| cat  | 1     |
| NULL | 2     |
| дом  | 1     |
+------+-------+

";
    assert_eq!(shown, expected);
    let empty = printed(&settings, 4, &[]);
    assert!(empty.contains("Batch: 4\n") && empty.contains("| word | count |"), "{empty}");
}

/// More rows than wanted are noted, not shown and not kept.
#[test]
fn rows_are_limited() {
    let settings = ConsoleSink { rows: 3, truncate: None };
    let batch = words(&[Some("a"), Some("b")]);
    let shown = printed(&settings, 0, &[batch.clone(), batch.clone(), batch.clone()]);
    assert_eq!(shown.matches("| a").count() + shown.matches("| b").count(), 3);
    assert!(shown.contains("+\nonly showing top 3 rows\n"), "{shown}");
    assert!(!printed(&settings, 0, &[batch]).contains("only showing"));

    let mut console = Console::new(&settings, Box::new(Closed));
    console.begin(Epoch::FIRST, &schema()).unwrap();
    (0..1000).for_each(|_| console.write(&words(&[Some("a"), Some("b")])).unwrap());
    assert_eq!(console.shown.unwrap().rows.iter().map(RecordBatch::num_rows).sum::<usize>(), 3);
}

/// Long values are cut as Spark cuts them, between characters.
#[test]
fn long_values_are_truncated() {
    for (value, most, expected) in [
        ("abcdefghij", 10, "abcdefghij"),
        ("abcdefghijk", 10, "abcdefg..."),
        ("дддддд", 5, "дд..."),
        ("abcdef", 3, "abc"),
        ("abcdef", 0, ""),
    ] {
        assert_eq!(truncated(value, most), expected);
    }
}

/// Rows come from outside: they must neither break the table nor command the terminal.
#[test]
fn control_characters_are_shown_not_obeyed() {
    let shown = printed(&ConsoleSink { rows: 1, truncate: None }, 0, &[words(&[Some("a\nb\u{1b}[2Jc")])]);
    assert!(shown.contains(r"| a\nb\u{1b}[2Jc | 1     |"), "{shown}");
}

/// `tidemill run ... | head` closes the pipe: an error with words, not a panic; and what was given up is not shown.
#[test]
fn a_closed_pipe_is_an_error() {
    let mut console = Console::new(&ConsoleSink { rows: 1, truncate: None }, Box::new(Closed));
    assert_eq!(console.recover().unwrap(), Marker::Unknown);
    console.begin(Epoch::FIRST, &schema()).unwrap();
    let error = console.commit(CommitPermit::new(Epoch::FIRST)).unwrap_err();
    assert!(error.0.contains("closed"), "{error}");
    console.begin(Epoch::FIRST, &schema()).unwrap();
    console.abort();
    assert!(console.shown.is_none());
}

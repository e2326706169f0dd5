//! What a case reads: readings in disorder, the same for each run of the case.

use std::fmt::Write as _;

use toml::Table;

use super::dice::Dice;

/// Event time starts here, in seconds from 1970; on the hour, so that people can read windows.
const START: u64 = 1_800_000_000;

/// Event time between all files and the one that closes what is still open: longer than any window, delay and timer.
const LEAP: u64 = 3_600;

/// `input.toml` of a case.
pub(crate) struct Input {
    /// The folders of the sources, and how many files each has.
    pub(crate) files: Vec<(String, u64)>,
    /// How many rows a file has.
    rows: u64,
    /// How many seconds of event time pass from file to file.
    step: u64,
    /// By how many seconds a row lies back at most. One in three does.
    back: u64,
    /// How many words there are.
    keys: u64,
    /// One row in so many has the id of an earlier one.
    again: u64,
    /// One line in so many is no JSON.
    bad: u64,
    /// Parts of the pipeline that may get another name on the way.
    pub(crate) rename: Vec<String>,
}

impl Input {
    pub(crate) fn read(text: &str) -> Self {
        let table: Table = text.parse().expect("input.toml is TOML");
        let number = |key: &str| table.get(key).map(|value| value.as_integer().expect("a number") as u64);
        let needed = |key: &str| number(key).unwrap_or_else(|| panic!("input.toml says `{key}`"));
        let files = table["files"].as_table().expect("`files` has a number for each folder");
        let files = files.iter().map(|(folder, files)| (folder.clone(), files.as_integer().expect("a number") as u64));
        let rename = table.get("rename").and_then(|names| names.as_array()).into_iter().flatten();
        Input {
            files: files.collect(),
            rows: needed("rows"),
            step: needed("step"),
            back: needed("back"),
            keys: needed("keys"),
            again: number("again").unwrap_or(0),
            bad: number("bad").unwrap_or(0),
            rename: rename.map(|name| name.as_str().expect("a name").to_owned()).collect(),
        }
    }

    /// The number of the file, in each folder, that closes what is still open.
    pub(crate) fn last(&self) -> u64 {
        self.files.iter().map(|(_, files)| *files).max().expect("there is a folder")
    }

    /// The text of a file.
    pub(crate) fn file(&self, folder: &str, file: u64) -> String {
        let mut dice = Dice::new(file, folder);
        let start = START + file * self.step + if file < self.last() { 0 } else { LEAP };
        let mut text = String::new();
        for row in 0..self.rows {
            let back = if self.back > 0 && dice.once_in(3) { dice.below(self.back) } else { 0 };
            let ts = start + dice.below(self.step) - back;
            let id = file * self.rows + row;
            let id = if dice.once_in(self.again) { id - dice.below(id.min(3 * self.rows) + 1) } else { id };
            let key = dice.below(self.keys);
            // Short and long words go different ways, and sums of these fractions depend on their order.
            let word = if key.is_multiple_of(2) { format!("w{key}") } else { format!("wordy-{key}") };
            let (length, value) = (1 + dice.below(9), 1.0 / (1 + dice.below(9_973)) as f64);
            let end = if dice.once_in(self.bad) { "" } else { "}" };
            writeln!(text, r#"{{"ts":{ts},"id":{id},"word":"{word}","length":{length},"value":{value}{end}"#)
                .expect("text grows");
        }
        text
    }
}

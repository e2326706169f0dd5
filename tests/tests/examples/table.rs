//! What a console sink shows of one epoch, read back.

use std::collections::BTreeMap;

/// A table with the number of its batch.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Table {
    pub(crate) batch: u64,
    /// The values by column, row by row.
    pub(crate) rows: Vec<BTreeMap<String, String>>,
}

impl Table {
    /// The table that these lines show.
    pub(crate) fn of(lines: &[String]) -> Self {
        let batch = lines.iter().find_map(|line| line.strip_prefix("Batch: ")).expect("a table has a number");
        Table { batch: batch.parse().expect("the number is a number"), rows: rows(lines.iter().map(String::as_str)) }
    }

    /// The rows in an order of their own: in which order they come is nobody's promise.
    pub(crate) fn sorted(mut self) -> Vec<BTreeMap<String, String>> {
        self.rows.sort();
        self.rows
    }

    /// The numbers of one column by the text of another, which stands in one row each.
    pub(crate) fn by(&self, key: &str, value: &str) -> BTreeMap<String, u64> {
        let pair = |row: &BTreeMap<String, String>| (row[key].clone(), row[value].parse().expect("a whole number"));
        let pairs: BTreeMap<_, _> = self.rows.iter().map(pair).collect();
        assert_eq!(pairs.len(), self.rows.len(), "`{key}` is in two rows: {self:?}");
        pairs
    }
}

/// The rows of the first table that a text shows, as people quote it: indented, or in a comment. In an order of their
/// own.
pub(crate) fn quoted(text: &str) -> Vec<BTreeMap<String, String>> {
    let lines = text.lines().map(|line| line.trim_start_matches('#').trim());
    let table = lines.skip_while(|line| !line.starts_with("+-")).take_while(|line| line.starts_with(['+', '|']));
    let mut rows = rows(table);
    rows.sort();
    rows
}

fn rows<'a>(lines: impl Iterator<Item = &'a str>) -> Vec<BTreeMap<String, String>> {
    let mut rows = lines.filter_map(|line| line.strip_prefix('|')?.strip_suffix('|')).map(cells);
    let columns = rows.next().expect("a table has a head");
    let row = |cells| columns.iter().cloned().zip::<Vec<String>>(cells).collect();
    rows.map(row).collect()
}

fn cells(row: &str) -> Vec<String> {
    row.split('|').map(|cell| cell.trim().to_owned()).collect()
}

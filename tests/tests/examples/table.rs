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
        let mut rows = lines.iter().filter_map(|line| line.strip_prefix('|')?.strip_suffix('|')).map(cells);
        let columns = rows.next().expect("a table has a head");
        let row = |cells| columns.iter().cloned().zip::<Vec<String>>(cells).collect();
        Table { batch: batch.parse().expect("the number is a number"), rows: rows.map(row).collect() }
    }

    /// The numbers of one column by the text of another, which stands in one row each.
    pub(crate) fn by(&self, key: &str, value: &str) -> BTreeMap<String, u64> {
        let pair = |row: &BTreeMap<String, String>| (row[key].clone(), row[value].parse().expect("a whole number"));
        let pairs: BTreeMap<_, _> = self.rows.iter().map(pair).collect();
        assert_eq!(pairs.len(), self.rows.len(), "`{key}` is in two rows: {self:?}");
        pairs
    }
}

fn cells(row: &str) -> Vec<String> {
    row.split('|').map(|cell| cell.trim().to_owned()).collect()
}

//! What comes of a case, to be compared byte for byte: everything in the folders of its sinks, and what is noted beside
//! it.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    path::Path,
};

use tidemill_tests::Folder;

/// Files by their path in `out`: parts, manifests, locks, and whatever should not be there. Notes by a name without a
/// folder.
#[derive(PartialEq)]
pub(crate) struct Output(BTreeMap<String, Vec<u8>>);

/// What a kill has left in the folders of the sinks.
#[derive(Default)]
pub(crate) struct Leftovers {
    /// Something under a temporary name.
    pub(crate) temporary: bool,
    /// A part in its place whose epoch's manifest is not.
    pub(crate) uncommitted: bool,
    /// Sinks that stand at different epochs.
    pub(crate) apart: bool,
    /// The last epoch that any sink has committed.
    pub(crate) committed: Option<u64>,
}

impl Output {
    pub(crate) fn of(folder: &Folder) -> Self {
        let mut files = BTreeMap::new();
        collect(&folder.path("out"), "", &mut files);
        // A bad row is reported with the file it is from, and each folder has a name of its own, of the same length.
        let here = folder.path("").to_str().expect("the temporary folder has a name that is text").to_owned();
        for bytes in files.values_mut() {
            if let Ok(text) = str::from_utf8(bytes) {
                *bytes = text.replace(&here, "./").into_bytes();
            }
        }
        Output(files)
    }

    /// With a note beside the files.
    pub(crate) fn with(mut self, name: &str, note: String) -> Self {
        self.0.insert(name.to_owned(), note.into_bytes());
        self
    }

    /// How many folders of sinks there are.
    pub(crate) fn sinks(&self) -> usize {
        self.folders().len()
    }

    /// The folders of sinks that no row was written to.
    pub(crate) fn sinks_without_rows(&self) -> Vec<&str> {
        let has_rows = |sink: &&str| self.parts(sink).any(|(_, bytes)| !bytes.is_empty());
        self.folders().into_iter().filter(|sink| !has_rows(sink)).collect()
    }

    /// Where the other is not the same.
    pub(crate) fn first_difference(&self, other: &Output) -> Option<String> {
        let names: BTreeSet<&String> = self.0.keys().chain(other.0.keys()).collect();
        names.into_iter().find_map(|name| match (self.0.get(name), other.0.get(name)) {
            (Some(_), None) => Some(format!("`{name}` is missing")),
            (None, Some(_)) => Some(format!("`{name}` is there and should not be")),
            (Some(expected), Some(found)) => Some(format!("`{name}` differs {}", place(expected, found)?)),
            (None, None) => None,
        })
    }

    pub(crate) fn leftovers(&self) -> Leftovers {
        let mut left =
            Leftovers { temporary: self.0.keys().any(|name| name.ends_with(".tmp")), ..Leftovers::default() };
        let mut stands = BTreeSet::new();
        for sink in self.folders() {
            let manifests = self.0.keys().filter_map(|name| {
                name.strip_prefix(sink)?.strip_prefix("/_tidemill/")?.strip_suffix(".json")?.parse::<u64>().ok()
            });
            let committed = manifests.max();
            let epochs = self.parts(sink).filter_map(|(name, _)| name.split('-').next()?.parse::<u64>().ok());
            left.uncommitted |= epochs.max() > committed;
            left.committed = left.committed.max(committed);
            stands.insert(committed);
        }
        left.apart = stands.len() > 1;
        left
    }

    fn folders(&self) -> BTreeSet<&str> {
        self.0.keys().filter_map(|name| Some(name.split_once('/')?.0)).collect()
    }

    /// The parts of a sink: what follows `part-`, and what they hold.
    fn parts(&self, sink: &str) -> impl Iterator<Item = (&str, &Vec<u8>)> {
        let start = format!("{sink}/part-");
        self.0.iter().filter_map(move |(name, bytes)| Some((name.strip_prefix(start.as_str())?, bytes)))
    }
}

fn collect(folder: &Path, prefix: &str, files: &mut BTreeMap<String, Vec<u8>>) {
    // A run that was killed early has made no folder yet.
    let Ok(entries) = fs::read_dir(folder) else { return };
    for entry in entries {
        let entry = entry.expect("a folder can be listed");
        let name = format!("{prefix}{}", entry.file_name().to_string_lossy());
        if entry.path().is_dir() {
            collect(&entry.path(), &format!("{name}/"), files);
        } else {
            files.insert(name, fs::read(entry.path()).expect("nobody else is here to take it away"));
        }
    }
}

/// The first line in which two files differ, if they do.
fn place(expected: &[u8], found: &[u8]) -> Option<String> {
    if expected == found {
        return None;
    }
    let lines = |bytes: &[u8]| String::from_utf8_lossy(bytes).lines().map(str::to_owned).collect::<Vec<_>>();
    let (expected, found) = (lines(expected), lines(found));
    let at = (0..).find(|&at| expected.get(at) != found.get(at) || at > expected.len()).unwrap_or_default();
    let line = |lines: &[String]| lines.get(at).map_or("nothing".to_owned(), |line| format!("`{line}`"));
    Some(format!("in line {}: {} and not {}", at + 1, line(&found), line(&expected)))
}

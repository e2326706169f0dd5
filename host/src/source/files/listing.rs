//! Which files are there to be read.

use std::{
    fs, io,
    path::{Path, PathBuf},
};

use crate::ports::SourceError;

use super::{glob::Glob, planned::modified, seen::Seen};

/// Where files are looked for.
pub(super) enum Inbox {
    /// One file, or the files directly in one folder.
    Path(PathBuf),
    /// Whatever matches.
    Glob(Glob),
}

/// A file that was found. The order is the order of reading: by modification time, then by path.
#[derive(Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Found {
    modified: i64,
    pub(super) path: PathBuf,
}

impl Inbox {
    /// A path that exists is that path, even if it looks like a glob. The path is made absolute, because files are
    /// remembered by it, wherever the next start happens.
    pub(super) fn open(path: &Path) -> Result<Self, SourceError> {
        let shown = path.display();
        let absolute = std::path::absolute(path)
            .map_err(|error| SourceError::Fatal(format!("`{shown}` cannot be made an absolute path: {error}")))?;
        if absolute.exists() {
            return Ok(Inbox::Path(absolute));
        }
        match Glob::parse(&absolute) {
            Ok(Some(glob)) => Ok(Inbox::Glob(glob)),
            Ok(None) => Err(SourceError::Fatal(format!("`{shown}` does not exist; create it, or correct `path`"))),
            Err(error) => Err(SourceError::Fatal(format!("`{shown}` is not a glob: {error}; correct `path`"))),
        }
    }

    /// The files that are not in `seen`. Only those are looked at closer, so a folder full of old files is cheap.
    pub(super) fn list(&self, seen: &Seen) -> Result<Vec<Found>, SourceError> {
        let mut paths = Vec::new();
        let listed = match self {
            Inbox::Path(path) => list_path(path, &mut paths),
            Inbox::Glob(glob) => glob.list(&mut paths),
        };
        listed.map_err(|(path, error)| {
            SourceError::Again(format!("cannot list `{}`: {error}; make the folder readable", path.display()))
        })?;
        paths.retain(|path| !seen.contains(path));
        let mut found: Vec<Found> = paths.into_iter().filter_map(look_at).collect();
        found.retain(|found| !seen.is_too_old(found.modified));
        Ok(found)
    }
}

/// None when it is no regular file, or has vanished since it was listed.
fn look_at(path: PathBuf) -> Option<Found> {
    let metadata = fs::metadata(&path).ok()?;
    metadata.is_file().then(|| Found { modified: modified(&metadata), path })
}

/// Adds the path itself if it is a file, or what is directly in it, hidden names left out, if it is a folder.
pub(super) fn list_path(path: &Path, paths: &mut Vec<PathBuf>) -> Result<(), (PathBuf, io::Error)> {
    match fs::read_dir(path) {
        Ok(entries) => {
            for entry in entries {
                let entry = entry.map_err(|error| (path.to_owned(), error))?;
                if !is_hidden(&entry.file_name().to_string_lossy()) {
                    paths.push(entry.path());
                }
            }
            Ok(())
        }
        Err(error) if error.kind() == io::ErrorKind::NotADirectory => {
            paths.push(path.to_owned());
            Ok(())
        }
        Err(error) => Err((path.to_owned(), error)),
    }
}

/// Names that Spark passes over: files on their way in, and notes that programs leave. `_name=value` is a partition.
pub(super) fn is_hidden(name: &str) -> bool {
    name.starts_with('.') || (name.starts_with('_') && !name.contains('=')) || name.ends_with("._COPYING_")
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What stands beside data without being data must not be read as data.
    #[test]
    fn hidden_names() {
        for hidden in [".x", "_SUCCESS", "_tidemill", "a.txt._COPYING_", "_"] {
            assert!(is_hidden(hidden), "{hidden}");
        }
        for shown in ["a.txt", "_day=1", "a_b", "x._COPYING_.txt"] {
            assert!(!is_hidden(shown), "{shown}");
        }
    }
}

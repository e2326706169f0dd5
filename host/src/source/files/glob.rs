//! Globs: a pattern for each folder on the way, so that only folders that can match are listed.

use std::{
    fs, io,
    path::{Path, PathBuf},
};

use globset::{GlobBuilder, GlobMatcher};

use super::listing::{is_hidden, list_path};

/// A path with `*`, `?`, `[...]` or `{...}` in some of its names, or `**` for any number of folders.
pub(super) struct Glob {
    /// The part before the first pattern.
    base: PathBuf,
    steps: Vec<Step>,
}

enum Step {
    Literal(PathBuf),
    Pattern(GlobMatcher),
    AnyDepth,
}

impl Glob {
    /// None when no name is a pattern. The path is absolute.
    pub(super) fn parse(path: &Path) -> Result<Option<Self>, String> {
        let mut glob = Glob { base: PathBuf::new(), steps: Vec::new() };
        for name in path {
            let pattern = name.to_str().filter(|name| name.contains(['*', '?', '[', '{']));
            match pattern {
                None if glob.steps.is_empty() => glob.base.push(name),
                None => glob.steps.push(Step::Literal(name.into())),
                Some("**") => glob.steps.push(Step::AnyDepth),
                Some(pattern) => {
                    let parsed = GlobBuilder::new(pattern).build().map_err(|error| error.kind().to_string())?;
                    glob.steps.push(Step::Pattern(parsed.compile_matcher()));
                }
            }
        }
        Ok((!glob.steps.is_empty()).then_some(glob))
    }

    /// Adds each match once: a file is itself, a folder stands for the files directly in it.
    pub(super) fn list(&self, paths: &mut Vec<PathBuf>) -> Result<(), (PathBuf, io::Error)> {
        walk(&self.base, &self.steps, paths)?;
        // Two `**` can lead to one file in more than one way.
        paths.sort_unstable();
        paths.dedup();
        Ok(())
    }
}

fn walk(path: &Path, steps: &[Step], paths: &mut Vec<PathBuf>) -> Result<(), (PathBuf, io::Error)> {
    let Some((step, rest)) = steps.split_first() else { return gone_is_empty(list_path(path, paths)) };
    if let Step::Literal(name) = step {
        return walk(&path.join(name), rest, paths);
    }
    if let Step::AnyDepth = step {
        walk(path, rest, paths)?;
    }
    let entries = match fs::read_dir(path) {
        Ok(entries) => entries,
        Err(error) if error.kind() == io::ErrorKind::NotADirectory => return Ok(()),
        Err(error) => return gone_is_empty(Err((path.to_owned(), error))),
    };
    for entry in entries {
        let entry = entry.map_err(|error| (path.to_owned(), error))?;
        let name = entry.file_name();
        if is_hidden(&name.to_string_lossy()) {
            continue;
        }
        match step {
            Step::Pattern(pattern) if pattern.is_match(&name) => {
                if rest.is_empty() && entry.file_type().is_ok_and(|kind| kind.is_file()) {
                    paths.push(entry.path());
                } else {
                    walk(&entry.path(), rest, paths)?;
                }
            }
            // Links are not followed down any number of folders: they may lead round in a circle.
            Step::AnyDepth if entry.file_type().is_ok_and(|kind| kind.is_dir()) => walk(&entry.path(), steps, paths)?,
            _ => {}
        }
    }
    Ok(())
}

/// A folder that is not there matches nothing: it may come.
fn gone_is_empty(listed: Result<(), (PathBuf, io::Error)>) -> Result<(), (PathBuf, io::Error)> {
    match listed {
        Err((_, error)) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        other => other,
    }
}

#[cfg(test)]
mod tests;

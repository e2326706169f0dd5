//! What a plugin is built from, so that a watcher knows when to build it again.

use std::{
    collections::BTreeSet,
    fs,
    hash::{DefaultHasher, Hash, Hasher},
    path::{Path, PathBuf},
};

use super::{
    BuildError,
    cargo::Tools,
    project::{Package, Project},
};

/// The files and folders whose change may change the plugin: of the crate, of the crates it depends on by path, and the
/// workspace's manifest. A folder stands for all that is in it.
pub fn sources(crate_dir: &Path) -> Result<Vec<PathBuf>, BuildError> {
    let project = Project::read(crate_dir, &Tools::found())?;
    let mut crates = BTreeSet::new();
    let mut left = vec![folder(&project.package)];
    while let Some(dir) = left.pop() {
        // A crate outside the workspace is watched, but cargo has not told what it depends on in turn.
        let member = project.members.iter().find(|member| folder(member) == dir);
        if crates.insert(dir) {
            left.extend(member.iter().flat_map(|member| member.paths()).map(Path::to_owned));
        }
    }
    let parts = crates.iter().flat_map(|dir| ["Cargo.toml", "build.rs", "src"].map(|part| dir.join(part)));
    let files: BTreeSet<PathBuf> = parts.chain([project.workspace.join("Cargo.toml")]).collect();
    Ok(files.into_iter().collect())
}

fn folder(package: &Package) -> PathBuf {
    package.manifest_path.parent().unwrap_or(Path::new("")).to_owned()
}

/// Sizes and times of files at one moment. Two that are equal mean that nobody has written in between.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Fingerprint(u64);

/// Looks at these files and everything in these folders, without reading a file. One that is not there counts as well.
pub fn fingerprint(files: &[PathBuf]) -> Fingerprint {
    let mut hasher = DefaultHasher::new();
    for file in files {
        add(file, &mut hasher);
    }
    Fingerprint(hasher.finish())
}

fn add(path: &Path, hasher: &mut DefaultHasher) {
    path.hash(hasher);
    let is_folder = fs::symlink_metadata(path).is_ok_and(|metadata| metadata.is_dir());
    if is_folder {
        let entries = fs::read_dir(path).into_iter().flatten().flatten().map(|entry| entry.path());
        let mut entries: Vec<PathBuf> = entries.filter(|entry| !is_hidden(entry)).collect();
        entries.sort();
        entries.iter().for_each(|entry| add(entry, hasher));
    } else if let Ok(metadata) = fs::metadata(path) {
        // What a link to a folder leads to is left out: it could lead back here.
        metadata.len().hash(hasher);
        metadata.modified().ok().hash(hasher);
    }
}

/// Editors keep their own files next to the one being edited, and write them at every keystroke.
fn is_hidden(path: &Path) -> bool {
    path.file_name().is_some_and(|name| name.as_encoded_bytes().starts_with(b"."))
}

#[cfg(test)]
mod tests {
    use tempfile::TempDir;

    use super::*;

    fn write(dir: &Path, file: &str, text: &str) {
        let path = dir.join(file);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
    }

    /// A change anywhere in what a plugin is made of must be seen, in a crate it leans on as much as in its own; an
    /// editor's swap file is no change.
    #[test]
    fn a_change_is_seen_wherever_it_is() {
        let root = TempDir::new().unwrap();
        let dir = root.path().canonicalize().unwrap();
        let manifest = |name: &str, rest: &str| format!("[package]\nname = \"{name}\"\nversion = \"0.1.0\"\n{rest}");
        write(&dir, "Cargo.toml", "[workspace]\nresolver = \"3\"\nmembers = [\"words\", \"common\", \"other\"]\n");
        write(&dir, "words/Cargo.toml", &manifest("words", "[dependencies]\ncommon = { path = \"../common\" }\n"));
        write(&dir, "common/Cargo.toml", &manifest("common", "[dependencies]\noutside = { path = \"../outside\" }\n"));
        write(&dir, "other/Cargo.toml", &manifest("other", ""));
        write(&dir, "outside/Cargo.toml", &manifest("outside", ""));
        for name in ["words", "common", "other", "outside"] {
            write(&dir, &format!("{name}/src/lib.rs"), "");
        }

        let watched = sources(&dir.join("words")).unwrap();
        let before = fingerprint(&watched);
        write(&dir, "other/src/lib.rs", "// not part of it");
        write(&dir, "words/src/.lib.rs.swp", "keystrokes");
        assert_eq!(before, fingerprint(&watched));
        let mut seen = vec![before];
        for file in [
            "words/src/lib.rs",
            "words/src/new.rs",
            "words/build.rs",
            "common/src/lib.rs",
            "outside/src/lib.rs",
            "Cargo.toml",
        ] {
            write(&dir, file, "// changed");
            let now = fingerprint(&watched);
            assert!(!seen.contains(&now), "{file}");
            seen.push(now);
        }
        fs::remove_file(dir.join("words/src/new.rs")).unwrap();
        assert!(!seen.contains(&fingerprint(&watched)));
    }
}

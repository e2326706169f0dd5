//! Compiled code on disk: it saves most of a start, and what is in it is run without another look. So it must be found
//! again, must not be believed when it is damaged, and must not be taken from where somebody else could have put it.

use std::{
    fs,
    os::unix::fs::{MetadataExt, PermissionsExt},
    path::{Path, PathBuf},
};

use tempfile::TempDir;

use super::{Loader, component};
use crate::ports::PluginLoader;

/// Starts anew, as another process would, and loads the plugin.
fn load(cache: &Path, plugin: &[u8]) {
    let loader = Loader::new(Some(cache.to_owned())).expect("the engine starts");
    let plugin = loader.load("behaving", plugin).unwrap_or_else(|error| panic!("{error}"));
    assert!(plugin.description().function("tokenize").is_some());
}

fn entries(cache: &Path) -> Vec<PathBuf> {
    fs::read_dir(cache).unwrap().map(|entry| entry.unwrap().path()).collect()
}

#[test]
fn code_is_compiled_once_and_again_when_it_is_damaged() {
    let (folder, plugin) = (TempDir::new().unwrap(), component("behaving"));
    let cache = folder.path().join("made/by/the/host");
    load(&cache, &plugin);
    let [entry] = &entries(&cache)[..] else { panic!("one plugin, one entry: {:?}", entries(&cache)) };
    assert_eq!(fs::metadata(&cache).unwrap().mode() & 0o777, 0o700);

    // An entry that is written anew is another file.
    let (file, code) = (|| fs::metadata(entry).unwrap().ino(), fs::read(entry).unwrap());
    let first = file();
    load(&cache, &plugin);
    assert_eq!((file(), entries(&cache).len()), (first, 1), "it was compiled again");

    for damaged in [&b"not code at all"[..], b"", &code[..code.len() / 3]] {
        fs::write(entry, damaged).unwrap();
        load(&cache, &plugin);
        assert!(fs::read(entry).unwrap() == code, "{} bytes were left as they were", damaged.len());
    }
}

/// Whoever can write to the folder could have the host run any code.
#[test]
fn a_folder_that_others_can_write_to_is_not_used() {
    let (folder, plugin) = (TempDir::new().unwrap(), component("behaving"));
    for shared in [0o770, 0o702] {
        fs::set_permissions(folder.path(), fs::Permissions::from_mode(shared)).unwrap();
        load(folder.path(), &plugin);
        assert!(entries(folder.path()).is_empty(), "{shared:o}");
    }
    fs::set_permissions(folder.path(), fs::Permissions::from_mode(0o750)).unwrap();
    load(folder.path(), &plugin);
    assert_eq!(entries(folder.path()).len(), 1);
}

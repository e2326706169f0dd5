//! What globs find.

use std::fs;

use super::*;

/// One tree, many patterns.
#[test]
fn patterns_and_what_they_match() {
    let folder = tempfile::tempdir().unwrap();
    for name in ["a/1.txt", "a/2.log", "b/1.txt", "b/deep/er/3.txt", "_x/1.txt", ".y/1.txt", "day=1/1.txt", "top.txt"] {
        let path = folder.path().join(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, "").unwrap();
    }
    let cases: [(&str, &[&str]); 10] = [
        ("*.txt", &["top.txt"]),
        ("*/1.txt", &["a/1.txt", "b/1.txt", "day=1/1.txt"]),
        ("?/*.{txt,log}", &["a/1.txt", "a/2.log", "b/1.txt"]),
        ("[ab]", &["a/1.txt", "a/2.log", "b/1.txt"]),
        ("*/deep/er", &["b/deep/er/3.txt"]),
        ("**/*.txt", &["a/1.txt", "b/1.txt", "b/deep/er/3.txt", "day=1/1.txt", "top.txt"]),
        ("b/**", &["b/1.txt", "b/deep/er/3.txt"]),
        ("**/**/3.txt", &["b/deep/er/3.txt"]),
        ("_x/*", &["_x/1.txt"]),
        ("none/*", &[]),
    ];
    for (pattern, expected) in cases {
        let glob = Glob::parse(&folder.path().join(pattern)).unwrap().expect("it is a pattern");
        let mut paths = Vec::new();
        glob.list(&mut paths).unwrap();
        // What is listed need not be a file: that is looked at when it is known to be new.
        paths.retain(|path| path.is_file());
        let found: Vec<_> =
            paths.iter().map(|path| path.strip_prefix(folder.path()).unwrap().to_str().unwrap()).collect();
        assert_eq!(found, expected, "{pattern}");
    }
}

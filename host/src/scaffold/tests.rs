//! What `tidemill new` writes. That it builds and runs is tried end to end.

use std::process::Command;

use tempfile::TempDir;

use super::*;
use crate::manifest::SourceConnector;

const ROLES: [Role; 5] = [Role::Transform, Role::Filter, Role::Reducer, Role::KeyedState, Role::BatchHandler];

/// An SDK that is good enough to be named.
fn sdk(dir: &TempDir) -> SdkLocation {
    fs::write(dir.path().join("Cargo.toml"), "[package]\nname = \"tidemill-sdk\"\n").unwrap();
    SdkLocation::Folder(dir.path().to_owned())
}

fn refusal<T>(result: Result<T, ScaffoldError>) -> String {
    result.err().expect("it should have been refused").to_string()
}

/// Every role gets a crate in which nothing is left to fill in, whose pipeline is a pipeline of exactly that crate.
#[test]
fn a_crate_for_every_role() {
    let folder = TempDir::new().unwrap();
    let sdk = sdk(&folder);
    for role in ROLES {
        let dir = TempDir::new().unwrap();
        let crate_dir = dir.path().join("made");
        let files = create(&crate_dir, "my-words", role, &sdk).unwrap();
        for file in &files {
            let text = fs::read_to_string(file).unwrap();
            assert!(!text.contains("{{"), "{}: {text}", file.display());
        }
        let manifest: toml::Table = fs::read_to_string(crate_dir.join("Cargo.toml")).unwrap().parse().unwrap();
        assert_eq!(manifest["package"]["name"].as_str(), Some("my-words"));
        let path = manifest["dependencies"]["tidemill-sdk"]["path"].as_str().unwrap();
        assert_eq!(Path::new(path), folder.path().canonicalize().unwrap());

        let source = fs::read_to_string(crate_dir.join("src/lib.rs")).unwrap();
        assert!(source.contains("plugin!(") && source.contains("#[test]"), "{role:?}");
        let pipeline = fs::read_to_string(crate_dir.join("pipeline.toml")).unwrap();
        let manifest = crate::manifest::parse(&pipeline, "pipeline.toml", &crate_dir);
        let manifest = manifest.unwrap_or_else(|error| panic!("{role:?}: {error:?}"));
        let SourceConnector::Files(input) = &manifest.sources[0].connector else { panic!("{role:?}: {pipeline}") };
        assert!(crate_dir.join(&input.path).exists(), "{role:?}: {}", input.path.display());
    }
}

/// A name that cargo would refuse minutes later, or a folder with somebody's work in it, is refused at once.
#[test]
fn what_cannot_be_made() {
    let (sdk_folder, dir) = (TempDir::new().unwrap(), TempDir::new().unwrap());
    let sdk = sdk(&sdk_folder);
    for name in ["", "1st", "-a", "word count", "wörter", "a/b", "a.b", &"x".repeat(65)] {
        let error = refusal(create(&dir.path().join("new"), name, Role::Filter, &sdk));
        assert!(error.contains("begins with a letter"), "{name}: {error}");
    }
    for name in ["fn", "test", "tidemill-sdk"] {
        assert!(refusal(create(&dir.path().join("new"), name, Role::Filter, &sdk)).contains("try `my-"), "{name}");
    }
    assert!(!dir.path().join("new").exists());

    fs::write(dir.path().join("thesis.txt"), "years of work").unwrap();
    assert!(refusal(create(dir.path(), "words", Role::Filter, &sdk)).contains("is there already and not empty"));
    fs::create_dir(dir.path().join("empty")).unwrap();
    create(&dir.path().join("empty"), "words", Role::Filter, &sdk).unwrap();

    let wrong = SdkLocation::Folder(dir.path().to_owned());
    assert!(
        refusal(create(&dir.path().join("new"), "words", Role::Filter, &wrong)).contains("not the folder of the crate")
    );
}

/// The SDK that the binary carries stands alone: cargo reads it where nothing of the repository is around it. It is
/// unpacked once, and what a person has done to it since is left alone.
#[test]
fn the_carried_sdk_stands_alone() {
    let home = TempDir::new().unwrap();
    let workspace = sdk::unpack(home.path()).unwrap();
    assert!(workspace.join("sdk/src/lib.rs").exists() && workspace.join("sdk/macros/src/lib.rs").exists());
    assert!(workspace.join("wit/tidemill.wit").exists());
    let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let read = Command::new(cargo)
        .args(["metadata", "--no-deps", "--format-version", "1"])
        .current_dir(workspace.join("sdk"))
        .output()
        .unwrap();
    assert!(read.status.success(), "{}", String::from_utf8_lossy(&read.stderr));

    fs::write(workspace.join("note"), "").unwrap();
    assert_eq!(sdk::unpack(home.path()).unwrap(), workspace);
    assert!(workspace.join("note").exists());
    let left: Vec<_> = fs::read_dir(home.path().join("tidemill")).unwrap().collect();
    assert_eq!(left.len(), 1, "nothing temporary stays behind: {left:?}");
}

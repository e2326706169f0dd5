//! Where a new crate finds the SDK. It is on no registry, so the binary carries its sources and unpacks them once.

use std::{
    env,
    fs::{self, File},
    io::{self, Write},
    path::{Path, PathBuf},
};

use tempfile::TempDir;

use crate::model::Digest;

use super::ScaffoldError;

// `FILES`: path and text of every file of the SDK, its macros and the WIT package, and of a workspace manifest for
// them.
include!(concat!(env!("OUT_DIR"), "/sdk_files.rs"));

/// Which SDK a new crate depends on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum SdkLocation {
    /// The one this binary carries, unpacked for this user.
    Carried,
    /// The crate `tidemill-sdk` in this folder.
    Folder(PathBuf),
}

impl SdkLocation {
    /// The folder of the SDK's crate, unpacked if need be.
    pub(super) fn folder(&self) -> Result<PathBuf, ScaffoldError> {
        match self {
            SdkLocation::Carried => Ok(unpack(&data_home()?)?.join("sdk")),
            SdkLocation::Folder(folder) => {
                let manifest = fs::read_to_string(folder.join("Cargo.toml")).unwrap_or_default();
                if !manifest.lines().any(|line| line.trim() == "name = \"tidemill-sdk\"") {
                    return Err(ScaffoldError(format!(
                        "`{}` is not the folder of the crate tidemill-sdk: give the one that has its Cargo.toml, or leave --sdk out",
                        folder.display()
                    )));
                }
                folder.canonicalize().map_err(|error| failed(folder, &error))
            }
        }
    }
}

/// Where programs keep data for this user, as the XDG base directory specification has it.
fn data_home() -> Result<PathBuf, ScaffoldError> {
    let absolute = |name| env::var_os(name).map(PathBuf::from).filter(|path| path.is_absolute());
    absolute("XDG_DATA_HOME").or_else(|| Some(absolute("HOME")?.join(".local/share"))).ok_or_else(|| {
        ScaffoldError(
            "there is no home folder to unpack the SDK to: set XDG_DATA_HOME, or name an SDK with --sdk".to_owned(),
        )
    })
}

/// The SDK's workspace below this folder. Its name tells its content, so what is there is complete and never changes.
pub(super) fn unpack(data_home: &Path) -> Result<PathBuf, ScaffoldError> {
    let parent = data_home.join("tidemill");
    let target = parent.join(format!("sdk-{}-{}", env!("CARGO_PKG_VERSION"), content().short()));
    if target.is_dir() {
        return Ok(target);
    }
    fill(&parent, &target).map_err(|error| failed(&target, &error))?;
    Ok(target)
}

fn fill(parent: &Path, target: &Path) -> io::Result<()> {
    fs::create_dir_all(parent)?;
    let folder = TempDir::with_prefix_in(".sdk-", parent)?;
    for (name, text) in FILES {
        let path = folder.path().join(name);
        fs::create_dir_all(path.parent().expect("every file lies in the folder"))?;
        let mut file = File::create_new(path)?;
        file.write_all(text.as_bytes())?;
        // Before the folder gets its name: it would be taken for complete after a power cut.
        file.sync_all()?;
    }
    match fs::rename(folder.path(), target) {
        // Another process was faster and has put the same there.
        Err(_) if target.is_dir() => Ok(()),
        result => result,
    }
}

fn content() -> Digest {
    let mut all = Vec::new();
    for (file, text) in FILES {
        all.extend_from_slice(format!("{file}\n{}\n{text}", text.len()).as_bytes());
    }
    Digest::of(&all)
}

fn failed(place: &Path, error: &io::Error) -> ScaffoldError {
    ScaffoldError(format!(
        "cannot put the SDK into `{}`: {error}; see to the folder, or name an SDK with --sdk",
        place.display()
    ))
}

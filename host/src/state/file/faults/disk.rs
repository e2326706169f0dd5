//! A file system in memory that can lose its power, and fail, at any operation.

use std::{
    collections::BTreeMap,
    io,
    path::{Component, Path, PathBuf},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use super::{
    content::Content,
    dice::Dice,
    names::{Names, Node},
};

/// A way to fail.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Fault {
    /// The process is gone: nothing it does happens any more.
    Killed,
    /// There is no more room.
    Full,
    /// The disk does not answer any more.
    Broken,
    /// It does not answer once.
    Error,
    /// A write stops half-way, once.
    Short,
}

/// What kind of operation this is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Operation {
    Read,
    /// What may need more room.
    Grow,
    Sync,
    Remove,
}

/// The file system. All handles are to the same.
#[derive(Debug, Clone)]
pub(super) struct SimDisk(Arc<Mutex<Inner>>);

/// What is in the file system; the root is the first folder.
#[derive(Debug)]
pub(super) struct Inner {
    pub(super) files: Vec<Content>,
    folders: Vec<Names>,
    pub(super) locked: Vec<PathBuf>,
    operations: u64,
    fault: Option<(u64, Fault)>,
    struck: bool,
    dice: Dice,
}

/// How far an operation gets.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Turn {
    Whole,
    /// Half of it happens, then what the error says.
    Half(io::ErrorKind),
}

impl SimDisk {
    pub(super) fn new() -> Self {
        SimDisk::of(Vec::new(), vec![Names::default()], Dice::new(0))
    }

    fn of(files: Vec<Content>, folders: Vec<Names>, dice: Dice) -> Self {
        let locked = Vec::new();
        SimDisk(Arc::new(Mutex::new(Inner { files, folders, locked, operations: 0, fault: None, struck: false, dice })))
    }

    /// Lets the operation of this number fail, counted from now.
    pub(super) fn fail(&self, at: u64, fault: Fault) {
        let mut inner = self.lock();
        inner.fault = Some((inner.operations + at, fault));
        inner.struck = false;
    }

    /// All is well from now on. Says whether anything had failed.
    pub(super) fn heal(&self) -> bool {
        let mut inner = self.lock();
        inner.fault = None;
        inner.struck
    }

    /// How many operations there were.
    pub(super) fn operations(&self) -> u64 {
        self.lock().operations
    }

    /// What the next start of the machine finds if the power goes now.
    pub(super) fn after_power_loss(&self, seed: u64) -> SimDisk {
        let inner = self.lock();
        let mut dice = Dice::new(seed);
        let folders: Vec<_> = inner.folders.iter().map(|names| names.survivor(&mut dice)).collect();
        let mut named = vec![false; inner.files.len()];
        for node in folders.iter().flat_map(BTreeMap::values) {
            if let Node::File(file) = node {
                named[*file] = true;
            }
        }
        let files = inner.files.iter().zip(named).map(|(file, named)| match named {
            true => Content::on_platter(file.survivor(&mut dice)),
            false => Content::default(),
        });
        SimDisk::of(files.collect(), folders.into_iter().map(Names::on_platter).collect(), dice)
    }

    /// All files below a folder, by their path in it.
    pub(super) fn tree(&self, folder: &Path) -> BTreeMap<String, Vec<u8>> {
        let inner = self.lock();
        let mut tree = BTreeMap::new();
        let mut left = match inner.find(folder) {
            Ok(Node::Folder(root)) => vec![(String::new(), root)],
            _ => return tree,
        };
        while let Some((prefix, folder)) = left.pop() {
            for (name, node) in inner.folders[folder].seen() {
                match node {
                    Node::Folder(folder) => left.push((format!("{prefix}{name}/"), *folder)),
                    Node::File(file) => {
                        drop(tree.insert(format!("{prefix}{name}"), inner.files[*file].seen().to_vec()))
                    }
                }
            }
        }
        tree
    }

    /// A panic of the code under test while it held the lock has left nothing half done here.
    pub(super) fn lock(&self) -> MutexGuard<'_, Inner> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Inner {
    /// Counts an operation, and lets it fail if it is its turn.
    pub(super) fn turn(&mut self, operation: Operation) -> io::Result<Turn> {
        self.operations += 1;
        let Some((at, fault)) = self.fault else { return Ok(Turn::Whole) };
        if self.operations <= at {
            return Ok(Turn::Whole);
        }
        let first = !self.struck;
        let kind = match fault {
            Fault::Killed | Fault::Broken => io::ErrorKind::Other,
            Fault::Full if operation == Operation::Grow => io::ErrorKind::StorageFull,
            Fault::Error | Fault::Short if first => io::ErrorKind::Other,
            _ => return Ok(Turn::Whole),
        };
        self.struck = true;
        match operation {
            Operation::Grow if first && fault != Fault::Error => Ok(Turn::Half(kind)),
            _ => Err(error(kind)),
        }
    }

    /// Makes what a file holds durable, or loses some of it for good.
    pub(super) fn sync_file(&mut self, file: usize) -> io::Result<()> {
        match self.turn(Operation::Sync) {
            Ok(_) => {
                self.files[file].sync();
                Ok(())
            }
            Err(error) => {
                if !matches!(self.fault, Some((_, Fault::Killed))) {
                    self.files[file].fail_sync(&mut self.dice);
                }
                Err(error)
            }
        }
    }

    pub(super) fn find(&self, path: &Path) -> io::Result<Node> {
        path.components().try_fold(Node::Folder(0), |node, component| match (node, component) {
            (node, Component::RootDir) => Ok(node),
            (Node::Folder(folder), Component::Normal(name)) => {
                let name = name.to_str().expect("the tests' names are text");
                self.folders[folder].seen().get(name).copied().ok_or(io::ErrorKind::NotFound.into())
            }
            _ => Err(io::ErrorKind::NotADirectory.into()),
        })
    }

    pub(super) fn folder(&mut self, path: &Path) -> io::Result<&mut Names> {
        match self.find(path)? {
            Node::Folder(folder) => Ok(&mut self.folders[folder]),
            Node::File(_) => Err(io::ErrorKind::NotADirectory.into()),
        }
    }

    /// Gives a name to a node; none is taken away from another.
    pub(super) fn name(&mut self, path: &Path, node: Node) -> io::Result<()> {
        if self.find(path).is_ok() {
            return Err(io::ErrorKind::AlreadyExists.into());
        }
        let (folder, name) = split(path);
        self.folder(folder)?.set(name, Some(node));
        Ok(())
    }

    pub(super) fn unname(&mut self, path: &Path) -> io::Result<Node> {
        let node = self.find(path)?;
        let (folder, name) = split(path);
        self.folder(folder)?.set(name, None);
        Ok(node)
    }

    pub(super) fn new_file(&mut self, path: &Path) -> io::Result<usize> {
        self.name(path, Node::File(self.files.len()))?;
        self.files.push(Content::default());
        Ok(self.files.len() - 1)
    }

    pub(super) fn new_folder(&mut self, path: &Path) -> io::Result<()> {
        self.name(path, Node::Folder(self.folders.len()))?;
        self.folders.push(Names::default());
        Ok(())
    }
}

pub(super) fn error(kind: io::ErrorKind) -> io::Error {
    match kind {
        io::ErrorKind::StorageFull => io::Error::new(kind, "no space left on device"),
        kind => io::Error::new(kind, "input/output error"),
    }
}

fn split(path: &Path) -> (&Path, &str) {
    let name = path.file_name().and_then(|name| name.to_str()).expect("the tests' paths end in a name");
    (path.parent().expect("the tests' paths are absolute"), name)
}

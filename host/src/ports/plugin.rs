//! The port of user code: a loaded plugin, and an instance of it that one worker calls.

use std::sync::Arc;

use arrow::{
    array::{BinaryArray, RecordBatch},
    buffer::BooleanBuffer,
    datatypes::SchemaRef,
};

use super::{KeyedOutcome, KeyedWork};
use crate::{
    manifest::Limits,
    model::{Digest, Epoch, ProcessingTime},
};

/// Turns the bytes of a plugin file into a plugin.
pub trait PluginLoader: Send + Sync {
    /// Loads a plugin; `origin` is how messages name the file.
    fn load(&self, origin: &str, bytes: &[u8]) -> Result<Arc<dyn Plugin>, LoadError>;
}

/// Why a file is not a plugin. The text names the file and says what to do next.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub struct LoadError(pub String);

/// A plugin ready to be instantiated.
pub trait Plugin: Send + Sync {
    /// What it says of itself.
    fn description(&self) -> &Description;

    /// Which module this is.
    fn digest(&self) -> Digest;

    /// The names of the interfaces it imports, for people who want to know what a file can do.
    fn imports(&self) -> Vec<String>;

    /// Checks a config (JSON) against a function. The error says which setting is wrong.
    fn check_config(&self, function: &str, config: &str) -> Result<(), String>;

    /// A new instance with these functions prepared: `UseIndex(i)` stands for `uses[i]` from then on.
    fn instantiate(&self, uses: &[FunctionUse], limits: Limits) -> Result<Box<dyn Instance>, CallError>;
}

/// One use of a function in a pipeline.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FunctionUse {
    /// How messages name it: `plugin.function`, the plugin by its name in the manifest.
    pub label: String,
    /// The function's name.
    pub function: String,
    /// Its config as JSON; none for the function's default.
    pub config: Option<String>,
}

/// Which of the prepared uses a call is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct UseIndex(pub usize);

/// What a plugin says of itself.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Description {
    /// The plugin's name.
    pub name: String,
    /// Its version.
    pub version: String,
    /// Its functions, each name once.
    pub functions: Vec<Function>,
}

impl Description {
    /// The function with this name.
    pub fn function(&self, name: &str) -> Option<&Function> {
        self.functions.iter().find(|function| function.name == name)
    }
}

/// One function of a plugin.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Function {
    /// Its name.
    pub name: String,
    /// Through which interface it is called.
    pub role: Role,
    /// What it does.
    pub doc: String,
    /// The columns it reads, in order.
    pub input: SchemaRef,
    /// A keyed state's key columns, in order; empty for every other role.
    pub key: SchemaRef,
    /// The columns it produces; empty for filters and batch handlers.
    pub output: SchemaRef,
    /// A batch handler's ways out.
    pub outlets: Vec<Outlet>,
    /// The shape of its config, as JSON Schema.
    pub config_schema: Option<String>,
    /// The config it has when none is given; none when one must be given, or when it takes none.
    pub default_config: Option<String>,
    /// Whether a reducer has the inverse.
    pub retracts: bool,
    /// The version of its state's layout.
    pub state_version: u32,
}

/// A named way out of a batch handler.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Outlet {
    /// Its name.
    pub name: String,
    /// The columns written to it.
    pub columns: SchemaRef,
}

/// How a function is called.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Role {
    /// Rows in, rows out.
    Transform,
    /// Which rows stay.
    Filter,
    /// Values of a group folded into a state.
    Reducer,
    /// A state per key, with timers.
    KeyedState,
    /// Called with every epoch's batch: foreachBatch.
    BatchHandler,
}

impl Role {
    /// The name in manifests and messages.
    pub const fn name(self) -> &'static str {
        match self {
            Role::Transform => "transform",
            Role::Filter => "filter",
            Role::Reducer => "reducer",
            Role::KeyedState => "keyed-state",
            Role::BatchHandler => "batch-handler",
        }
    }
}

/// What a guest may know while it runs. The same when an epoch is run again.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct CallScope {
    /// The epoch.
    pub epoch: Epoch,
    /// The epoch's batch time: what every clock of the guest shows.
    pub batch_time: ProcessingTime,
    /// Where the guest's random numbers start.
    pub seed: u64,
}

/// An instance of a plugin, called by one worker at a time.
///
/// A call that traps leaves the instance as good as new: the next call starts from a fresh one.
pub trait Instance: Send {
    /// Sets what the following calls may know.
    fn enter(&mut self, scope: &CallScope);

    /// Calls a transform. `parents` says whether the caller needs to know which row each row came from.
    fn transform(&mut self, function: UseIndex, input: &RecordBatch, parents: bool) -> Result<Transformed, CallError>;

    /// Calls a filter: true keeps the row.
    fn filter(&mut self, function: UseIndex, input: &RecordBatch) -> Result<BooleanBuffer, CallError>;

    /// Folds rows into states: row i belongs to group `groups[i]`, and there is a state (or null) for each group.
    fn accumulate(
        &mut self,
        function: UseIndex,
        states: &BinaryArray,
        groups: &[u32],
        input: &RecordBatch,
    ) -> Result<BinaryArray, CallError>;

    /// Merges two columns of states row by row.
    fn merge(&mut self, function: UseIndex, left: &BinaryArray, right: &BinaryArray) -> Result<BinaryArray, CallError>;

    /// Takes states out of states row by row.
    fn retract(
        &mut self,
        function: UseIndex,
        states: &BinaryArray,
        leaving: &BinaryArray,
    ) -> Result<BinaryArray, CallError>;

    /// Turns states into output columns.
    fn finish(&mut self, function: UseIndex, states: &BinaryArray) -> Result<RecordBatch, CallError>;

    /// Runs a keyed state's function for some keys of an epoch.
    ///
    /// Laws: the outcome has a state for each key, and all else in it belongs to one of them; what breaks this is a
    /// [`CallError::Contract`]. After an error nothing of the call counts: the states are those that were handed in. An
    /// epoch's keys may come in several calls, each key in one of them; an epoch that is run again makes the same
    /// calls.
    fn update(&mut self, function: UseIndex, work: &KeyedWork<'_>) -> Result<KeyedOutcome, CallError>;

    /// Rewrites states that an older version of a keyed state's function has left, row by row. Migrating removes
    /// nothing: where there was a state there is one afterwards, or the call fails with [`CallError::Contract`].
    fn migrate(
        &mut self,
        function: UseIndex,
        from_version: u32,
        states: &BinaryArray,
    ) -> Result<BinaryArray, CallError>;

    /// Calls a batch handler.
    fn handle(&mut self, function: UseIndex, input: &RecordBatch) -> Result<Vec<HandlerOutput>, CallError>;
}

/// What a transform gave back.
#[derive(Debug, Clone)]
pub struct Transformed {
    /// The rows.
    pub rows: RecordBatch,
    /// The input row each came from, never descending; none when row i came from row i, or when they were not asked
    /// for.
    pub parents: Option<Vec<u32>>,
}

/// Rows a batch handler wrote to one of its outlets.
#[derive(Debug, Clone)]
pub struct HandlerOutput {
    /// Which of the function's outlets, by position.
    pub outlet: usize,
    /// The rows.
    pub rows: RecordBatch,
}

/// Why a call did not give a result. The text names plugin and function.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum CallError {
    /// The function refused one row: the rest may go on without it.
    #[error("{message}")]
    Row {
        /// The row of the batch.
        row: usize,
        /// The function's own words, with its name.
        message: String,
    },
    /// The function failed as a whole: it said so, panicked or trapped. Some row may be the reason.
    #[error("{0}")]
    Failed(String),
    /// It ran into a limit of time or memory.
    #[error("{0}")]
    Limit(String),
    /// It gave back something that is not a batch of what it described: a fault of the plugin, not of a row.
    #[error("{0}")]
    Contract(String),
}

//! What the epoch loop needs from the outside world, as traits. The adapters implement them; the runtime is the
//! only place where port and adapter meet.

mod checkpoint;
mod clock;
mod keyed_state;
mod plugin;
mod sink;
mod source;
mod table;

pub use checkpoint::{CheckpointError, CheckpointStore, ChunkKind, StateChange, StateChunk, StateReader};
pub use clock::{Clock, Wake};
pub use keyed_state::{GroupTimer, KeyedOutcome, KeyedWork, Timer};
pub use plugin::{
    CallError, CallScope, Description, Function, FunctionUse, HandlerOutput, Instance, LoadError, Outlet, Plugin,
    PluginLoader, Role, Transformed, UseIndex,
};
pub use sink::{CommitPermit, Marker, Sink, SinkError};
pub use source::{BadRow, Control, Offset, Range, RowReceiver, Source, SourceError, Split};
pub use table::{Table, TableError, TableRows};

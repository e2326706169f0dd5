//! A function of a plugin: what it says of itself, and how it is called once it has its config.
//!
//! The attribute macros make a [`Definition`] out of each function; nothing here is written by hand.

use crate::{
    bindings::exports::tidemill::plugin::{
        describe::{Function, Outlet, Role},
        keyed_state::{Outcome, Work},
        transform::Output,
    },
    config::Config,
    reducer::{Folds, Reducer},
    row::Row,
    wire::{Batch, Column, Failure, Field},
};

/// A function that a host can call: the attribute of its role makes it one.
#[diagnostic::on_unimplemented(
    message = "this is not a function of a plugin",
    label = "no role",
    note = "write `#[transform]`, `#[filter]`, `#[keyed_state]` or `#[batch_handler]` above the function, or `#[reducer]` above \
            the `impl Reducer`"
)]
pub trait PluginFunction {
    /// What the host needs to know about it.
    fn definition() -> Definition;
}

/// What the host needs to know about a function.
pub struct Definition {
    role: Role,
    doc: &'static str,
    input: fn() -> Vec<Field>,
    key: Option<fn() -> Vec<Field>>,
    output: Option<fn() -> Vec<Field>>,
    outlets: Vec<OutletColumns>,
    config_schema: fn() -> Option<String>,
    retracts: bool,
    state_version: u32,
    prepare: Prepare,
}

/// The name of an outlet, and the columns written to it.
type OutletColumns = (&'static str, fn() -> Vec<Field>);

/// Makes a function with a config out of a function.
type Prepare = Box<dyn Fn(Option<&str>) -> Result<Prepared, String>>;

type Transform = dyn Fn(&Batch, bool) -> Result<Output, Failure>;
type Filter = dyn Fn(&Batch) -> Result<Vec<u8>, Failure>;
type Update = dyn Fn(&Work) -> Result<Outcome, Failure>;
type Migrate = fn(u32, &Column) -> Result<Column, Failure>;
type Handler = dyn Fn(u64, &Batch) -> Result<(), Failure>;

/// A function with its config, ready to be called.
pub(crate) enum Prepared {
    /// Rows in, rows out.
    Transform(Box<Transform>),
    /// Which rows stay.
    Filter(Box<Filter>),
    /// Rows of a group folded into a state.
    Reducer(Box<dyn Folds>),
    /// A state per key.
    KeyedState(Box<Update>, Migrate),
    /// Called with every batch.
    BatchHandler(Box<Handler>),
}

impl Prepared {
    /// The role it plays, as messages name it.
    pub(crate) fn role(&self) -> &'static str {
        match self {
            Prepared::Transform(_) => "transform",
            Prepared::Filter(_) => "filter",
            Prepared::Reducer(_) => "reducer",
            Prepared::KeyedState(..) => "keyed state",
            Prepared::BatchHandler(_) => "batch handler",
        }
    }
}

impl Definition {
    fn new<I: Row, C: Config>(role: Role, doc: &'static str, prepare: impl Fn(C) -> Prepared + 'static) -> Self {
        Definition {
            role,
            doc,
            input: I::fields,
            key: None,
            output: None,
            outlets: Vec::new(),
            config_schema: C::schema,
            retracts: false,
            state_version: 0,
            prepare: Box::new(move |config| C::parse(config).map(&prepare)),
        }
    }

    /// A transform from rows `I` to rows `O`.
    pub fn transform<I: Row, O: Row, C: Config>(
        doc: &'static str,
        apply: fn(&C, &Batch, bool) -> Result<Output, Failure>,
    ) -> Self {
        let prepare = move |config| Prepared::Transform(Box::new(move |input, parents| apply(&config, input, parents)));
        Definition { output: Some(O::fields), ..Self::new::<I, C>(Role::Transform, doc, prepare) }
    }

    /// A filter of rows `I`.
    pub fn filter<I: Row, C: Config>(doc: &'static str, apply: fn(&C, &Batch) -> Result<Vec<u8>, Failure>) -> Self {
        let prepare = move |config| Prepared::Filter(Box::new(move |input| apply(&config, input)));
        Self::new::<I, C>(Role::Filter, doc, prepare)
    }

    /// A reducer, made from its config.
    pub fn reducer<R: Reducer, C: Config>(doc: &'static str, state_version: u32, reducer: fn(C) -> R) -> Self {
        let prepare = move |config| Prepared::Reducer(Box::new(reducer(config)));
        Definition {
            output: Some(R::Output::fields),
            retracts: R::RETRACTS,
            state_version,
            ..Self::new::<R::Input<'_>, C>(Role::Reducer, doc, prepare)
        }
    }

    /// A state for each key `K`, made of rows `I`, putting out rows `O`.
    pub fn keyed_state<K: Row, I: Row, O: Row, C: Config>(
        doc: &'static str,
        state_version: u32,
        update: fn(&C, &Work) -> Result<Outcome, Failure>,
        migrate: Migrate,
    ) -> Self {
        let prepare = move |config| Prepared::KeyedState(Box::new(move |work| update(&config, work)), migrate);
        Definition {
            key: Some(K::fields),
            output: Some(O::fields),
            state_version,
            ..Self::new::<I, C>(Role::KeyedState, doc, prepare)
        }
    }

    /// A handler of batches of rows `I`.
    pub fn batch_handler<I: Row, C: Config>(
        doc: &'static str,
        outlets: Vec<OutletColumns>,
        handle: fn(&C, u64, &Batch) -> Result<(), Failure>,
    ) -> Self {
        let prepare = move |config| Prepared::BatchHandler(Box::new(move |epoch, input| handle(&config, epoch, input)));
        Definition { outlets, ..Self::new::<I, C>(Role::BatchHandler, doc, prepare) }
    }

    /// What the host is told.
    pub(crate) fn describe(&self, name: &str) -> Function {
        let config_schema = (self.config_schema)();
        let has_default = config_schema.is_some() && (self.prepare)(None).is_ok();
        Function {
            name: name.to_owned(),
            role: self.role,
            doc: self.doc.to_owned(),
            input: self.input(),
            key: self.key.map(|columns| columns()).unwrap_or_default(),
            output: self.output(),
            outlets: self.outlets().map(|(name, columns)| Outlet { name: name.to_owned(), columns }).collect(),
            config_schema,
            default_config: has_default.then(|| "{}".to_owned()),
            retracts: self.retracts,
            state_version: self.state_version,
        }
    }

    /// The columns it reads.
    pub(crate) fn input(&self) -> Vec<Field> {
        (self.input)()
    }

    /// The columns it puts out; none when it has outlets, or puts nothing out.
    pub(crate) fn output(&self) -> Vec<Field> {
        self.output.map(|columns| columns()).unwrap_or_default()
    }

    /// The outlets with their columns.
    pub(crate) fn outlets(&self) -> impl Iterator<Item = (&'static str, Vec<Field>)> {
        self.outlets.iter().map(|(name, columns)| (*name, columns()))
    }

    /// Whether it has an inverse.
    #[cfg(not(target_arch = "wasm32"))]
    pub(crate) fn retracts(&self) -> bool {
        self.retracts
    }

    /// The function with this config.
    pub(crate) fn prepare(&self, config: Option<&str>) -> Result<Prepared, String> {
        (self.prepare)(config)
    }
}

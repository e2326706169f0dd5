//! The pipeline that calls a function once: standard input as a file of JSON lines, the function, a folder for each way
//! out and one for rows that were refused.

use std::{
    ops::Range as Span,
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};

use serde_json::Value;

use crate::{
    manifest::{
        Aggregate, BadRows, CallSpec, Extent, FileFormat, FilesSink, FilesSource, FunctionName, GroupSpec, Input,
        Limits, Manifest, Operation, OutputFormat, PluginOrigin, PluginSpec, SinkConnector, SinkSpec, SourceConnector,
        SourceSpec, SourceText, Spanned, TransformSpec, Trigger, UpdateSpec, WatermarkSettings,
    },
    model::{DataType, Digest, PartName},
    ports::{Function, Role},
};

/// The file that standard input is copied to: messages name rows by it, as in `standard input:3`.
const INPUT: &str = "standard input";
const SOURCE: &str = "input";
const CALL: &str = "call";
const OUTPUT: &str = "output";

/// As in a manifest that says nothing else.
const MAX_LINE_BYTES: usize = 16 << 20;

/// The command line as a text, so that what is wrong with it is shown in its place.
pub(super) struct Command {
    text: String,
    plugin: String,
    file: PathBuf,
    function: Spanned<String>,
    config: Option<Spanned<Value>>,
}

impl Command {
    pub(super) fn new(file: &Path, plugin: &str, function: &str, config: Option<Value>) -> Self {
        let mut text = format!("tidemill test {} ", file.display());
        let function = Spanned { value: function.to_owned(), span: append(&mut text, function) };
        let config = config.map(|value| {
            text.push_str(" --config ");
            let span = append(&mut text, &value.to_string());
            Spanned { value, span }
        });
        Command { text, plugin: plugin.to_owned(), file: file.to_owned(), function, config }
    }

    /// Where a part without a text of its own is taken to stand.
    fn whole<T>(&self, value: T) -> Spanned<T> {
        Spanned { value, span: 0..self.text.len() }
    }
}

fn append(text: &mut String, piece: &str) -> Span<usize> {
    let start = text.len();
    text.push_str(piece);
    start..text.len()
}

/// A function and the folder it is tried out in.
pub(super) struct Trial<'a> {
    folder: &'a Path,
    function: &'a Function,
    input: PathBuf,
}

impl<'a> Trial<'a> {
    pub(super) fn new(folder: &'a Path, function: &'a Function) -> Self {
        Trial { folder, function, input: folder.join(INPUT) }
    }

    /// Where the rows are read from.
    pub(super) fn input(&self) -> &Path {
        &self.input
    }

    /// Where the results are, for a batch handler with the name of their outlet.
    pub(super) fn outputs(&self) -> Vec<(Option<String>, PathBuf)> {
        let outlets = self.function.outlets.iter().enumerate();
        match self.function.role {
            // By number: an outlet's name need not be one for a folder.
            Role::BatchHandler => {
                outlets.map(|(at, o)| (Some(o.name.clone()), self.folder.join(format!("{OUTPUT}-{at}")))).collect()
            }
            _ => vec![(None, self.folder.join(OUTPUT))],
        }
    }

    /// Where rows are that were refused.
    pub(super) fn refused(&self) -> PathBuf {
        self.folder.join("refused")
    }

    /// A message without the folder, of which nobody knows.
    pub(super) fn without_path(&self, message: &str) -> String {
        message.replace(&format!("{}/", self.folder.display()), "")
    }

    pub(super) fn manifest(&self, command: &Command) -> Manifest {
        let sink = |name: String, input: Input, path: PathBuf| SinkSpec {
            name: command.whole(PartName::new(name)),
            inputs: vec![command.whole(input)],
            mode: None,
            connector: SinkConnector::Files(FilesSink { path, format: OutputFormat::Json }),
        };
        let outputs = self.outputs().into_iter().enumerate();
        let outputs = outputs
            .map(|(at, (outlet, path))| sink(format!("{OUTPUT}-{at}"), Input { part: CALL.into(), outlet }, path));
        let refused = Input { part: SinkSpec::DEAD_LETTERS.into(), outlet: None };
        Manifest {
            name: "test".to_owned(),
            trigger: Trigger::Once,
            // Rows and log lines come in one order, every time.
            workers: Some(1),
            checkpoint: None,
            bad_rows: BadRows::SetAside,
            watermarks: WatermarkSettings::default(),
            limits: Limits::default(),
            plugins: vec![PluginSpec {
                name: command.whole(command.plugin.clone()),
                origin: command.whole(PluginOrigin::Path(command.file.clone())),
                sha256: None,
            }],
            sources: vec![SourceSpec { name: command.whole(SOURCE.into()), watermark: None, connector: self.source() }],
            tables: Vec::new(),
            transforms: vec![TransformSpec {
                name: command.whole(CALL.into()),
                inputs: vec![command.whole(Input { part: SOURCE.into(), outlet: None })],
                filter: None,
                operation: Some(self.operation(command)),
                select: None,
                watermark: None,
            }],
            sinks: outputs.chain([sink("refused".to_owned(), refused, self.refused())]).collect(),
            source: Arc::new(SourceText::new("command line", command.text.clone())),
            meaning: Digest::of(command.text.as_bytes()),
        }
    }

    fn source(&self) -> SourceConnector {
        let own = self.function.input.fields();
        let keys = self.function.key.fields().iter().filter(|key| own.iter().all(|field| field.name() != key.name()));
        let fields = keys.chain(own.iter());
        let column = |field: &arrow::datatypes::FieldRef| {
            let data_type = DataType::from_arrow(field.data_type());
            (field.name().clone(), data_type.expect("a description has no other types"))
        };
        SourceConnector::Files(FilesSource {
            path: self.input.clone(),
            format: FileFormat::Json { schema: fields.map(column).collect() },
            max_files_per_trigger: None,
            max_bytes_per_trigger: None,
            latest_first: false,
            max_file_age: Duration::MAX,
            max_line_bytes: MAX_LINE_BYTES,
        })
    }

    fn operation(&self, command: &Command) -> Operation {
        let name = FunctionName { plugin: command.plugin.clone(), function: command.function.value.clone() };
        let call = CallSpec {
            function: Spanned { value: name, span: command.function.span.clone() },
            config: command.config.clone(),
            columns: Vec::new(),
            keep: Vec::new(),
            mode: None,
        };
        match self.function.role {
            Role::KeyedState => {
                let by = self.function.key.fields().iter();
                let by = by.map(|key| command.whole(format!("\"{}\"", key.name().replace('"', "\"\""))));
                Operation::Update(UpdateSpec { by: by.collect(), call, visit_all: false, event_time: None })
            }
            Role::Reducer => Operation::Group(GroupSpec {
                by: Vec::new(),
                aggregate: Aggregate::Reduce(call),
                extent: Extent::Batch,
                allowed_lateness: None,
            }),
            _ => Operation::Call(call),
        }
    }
}

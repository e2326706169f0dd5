//! From a manifest and its plugins to a plan, collecting every fault on the way.

use std::{collections::BTreeSet, sync::Arc};

use arrow::datatypes::{Schema, SchemaRef};

use super::{
    Plan, SinkNode, SourceNode, Target, WatermarkNode,
    modes::{check_modes, settle_modes},
    node::build_node,
    scope::{Finality, Rows, Scope},
    sink::build_sink,
    time::put_watermark,
};
use crate::{
    manifest::{Diagnostics, FileFormat, Input, Manifest, Operation, SourceConnector, Spanned, TransformSpec},
    model::PartName,
    ports::Plugin,
};

/// Checks a whole pipeline. `plugins` stand in the order of the manifest, `schemas` are the full schemas of its
/// sources, `tables` those of its tables, in their order.
pub fn build(
    manifest: &Manifest,
    plugins: &[Arc<dyn Plugin>],
    schemas: &[SchemaRef],
    tables: &[SchemaRef],
) -> Result<Plan, Diagnostics> {
    let full = assemble(manifest, plugins, schemas, tables, &[])?;
    let projections = projections(manifest, &full);
    match projections.iter().any(Option::is_some) {
        // Positions of columns shift when a source reads fewer of them, so everything is compiled once more.
        true => assemble(manifest, plugins, schemas, tables, &projections),
        false => Ok(full),
    }
}

fn assemble(
    manifest: &Manifest,
    plugins: &[Arc<dyn Plugin>],
    schemas: &[SchemaRef],
    tables: &[SchemaRef],
    projections: &[Option<Vec<String>>],
) -> Result<Plan, Diagnostics> {
    let mut scope = Scope::new(manifest, plugins, tables);
    let mut sources = Vec::with_capacity(manifest.sources.len());
    for (at, (spec, schema)) in manifest.sources.iter().zip(schemas).enumerate() {
        let projection = projections.get(at).cloned().flatten();
        let schema = match &projection {
            Some(columns) => project(schema, columns),
            None => Arc::clone(schema),
        };
        let name = spec.name.value.clone();
        let place = spec.name.span.clone();
        let mut rows = Rows {
            schema: Arc::clone(&schema),
            finality: Finality::Final,
            fires_again: false,
            event_times: Vec::new(),
            watermark: None,
            place,
        };
        let watermark = match &spec.watermark {
            Some(watermark) => match put_watermark(&mut scope, &name, watermark, &mut rows) {
                Some(watermark) => Some(watermark),
                None => continue,
            },
            None => None,
        };
        scope.publish(&name, None, rows);
        let targets = targets_of(manifest, &name, None);
        sources.push(SourceNode { name, schema, projection, watermark, targets });
    }
    let mut nodes = Vec::with_capacity(manifest.transforms.len());
    for spec in &manifest.transforms {
        let Some((mut node, outputs)) = build_node(&mut scope, spec) else { continue };
        for (output, rows) in node.outputs.iter_mut().zip(outputs) {
            output.targets = targets_of(manifest, &node.name, output.outlet.as_deref());
            scope.publish(&node.name, output.outlet.clone(), rows);
        }
        nodes.push(node);
    }
    let sinks: Vec<SinkNode> = manifest.sinks.iter().filter_map(|spec| build_sink(&mut scope, spec)).collect();
    let Scope { faults, uses, watermarks, lookups, .. } = scope;
    let mut plan = faults.into_result(Plan { sources, nodes, sinks, uses, watermarks, lookups })?;
    settle_modes(&mut plan);
    let mut faults = manifest.diagnostics();
    check_modes(manifest, &plan, &mut faults);
    faults.into_result(plan)
}

/// Who names this way out as an input.
fn targets_of(manifest: &Manifest, part: &PartName, outlet: Option<&str>) -> Vec<Target> {
    let names = |input: &Input| &input.part == part && input.outlet.as_deref() == outlet;
    let nodes = manifest.transforms.iter().enumerate();
    let nodes = nodes.flat_map(|(node, spec)| {
        // Inputs of a union are one; those of a join are its sides.
        let is_join = matches!(&spec.operation, Some(Operation::Join(join)) if join.table.is_none());
        let here = spec.inputs.iter().enumerate().filter(|(_, input)| names(&input.value));
        here.map(|(at, _)| Target::Node { node, side: if is_join { at } else { 0 } }).collect::<Vec<_>>()
    });
    let sinks = manifest.sinks.iter().enumerate();
    let sinks = sinks.filter(|(_, spec)| spec.inputs.iter().any(|i| names(&i.value))).map(|(at, _)| Target::Sink(at));
    nodes.chain(sinks).collect()
}

/// Which columns of each source are wanted, where that is fewer than all and the source can leave the others out.
fn projections(manifest: &Manifest, plan: &Plan) -> Vec<Option<Vec<String>>> {
    let sources = || plan.sources.iter().enumerate();
    let mut wanted: Vec<_> = sources().map(|(at, source)| columns_wanted(manifest, plan, at, source)).collect();
    // The inputs of a union have the same columns, so each reads what any of them does; one that is no source has them
    // all.
    let is_union =
        |spec: &&TransformSpec| spec.inputs.len() > 1 && !spec.operation.as_ref().is_some_and(Operation::joins_streams);
    let position = |input: &Spanned<Input>| plan.sources.iter().position(|source| source.name == input.value.part);
    loop {
        let before = wanted.clone();
        for union in manifest.transforms.iter().filter(is_union) {
            let inputs: Vec<Option<usize>> = union.inputs.iter().map(position).collect();
            let of_input = |input: &Option<usize>| wanted[(*input)?].clone();
            let together: Option<Vec<BTreeSet<usize>>> = inputs.iter().map(of_input).collect();
            let together: Option<BTreeSet<usize>> = together.map(|all| all.into_iter().flatten().collect());
            inputs.into_iter().flatten().for_each(|input| wanted[input] = together.clone());
        }
        if wanted == before {
            break;
        }
    }
    let names = |((_, source), wanted): ((usize, &SourceNode), Option<BTreeSet<usize>>)| {
        let (wanted, fields) = (wanted?, source.schema.fields());
        (wanted.len() < fields.len()).then(|| wanted.iter().map(|&column| fields[column].name().clone()).collect())
    };
    sources().zip(wanted).map(names).collect()
}

/// The columns of a source that somebody reads; none when it may be all, or when the source cannot leave any out.
fn columns_wanted(manifest: &Manifest, plan: &Plan, at: usize, source: &SourceNode) -> Option<BTreeSet<usize>> {
    let SourceConnector::Files(files) = &manifest.sources[at].connector else { return None };
    let FileFormat::Json { .. } = files.format else { return None };
    let mut wanted = BTreeSet::new();
    for target in &source.targets {
        match *target {
            Target::Node { node, .. } => wanted.extend(plan.nodes[node].columns_read()?),
            Target::Sink(_) => return None,
        }
    }
    if let Some(watermark) = source.watermark {
        let WatermarkNode { column, per, .. } = plan.watermarks[watermark];
        wanted.extend([column].into_iter().chain(per));
    }
    Some(wanted)
}

fn project(schema: &Schema, columns: &[String]) -> SchemaRef {
    let wanted = schema.fields().iter().filter(|field| columns.contains(field.name())).cloned();
    Arc::new(Schema::new(wanted.collect::<Vec<_>>()))
}

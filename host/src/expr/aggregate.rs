//! One SQL aggregate over the columns of a batch.

use std::sync::Arc;

use arrow::{
    array::{ArrayRef, BooleanArray, RecordBatch, cast::AsArray, new_null_array},
    buffer::BooleanBuffer,
    datatypes::{DataType, Field, FieldRef, Schema},
};
use datafusion_expr::{
    EmitTo, Expr, GroupsAccumulator, execution_props::ExecutionProps,
    physical_planning_context::PhysicalPlanningContext,
};
use datafusion_physical_expr::{
    GroupsAccumulatorAdapter, PhysicalExpr,
    aggregate::{AggregateFunctionExpr, LoweredAggregateBuilder},
    expressions::Literal,
};

use super::{
    ExprError,
    extreme::Extreme,
    output::{output_type, to_output},
    scalar::{asks_for_the_time, parse},
};

/// A compiled aggregate.
#[derive(Clone)]
pub struct AggregateExpr {
    name: String,
    data_type: DataType,
    arguments: Vec<Arc<dyn PhysicalExpr>>,
    argument_types: Vec<DataType>,
    /// Whether it counts rows, whatever is in them: `count(*)`.
    counts_rows: bool,
    filter: Option<Arc<dyn PhysicalExpr>>,
    columns: Vec<usize>,
    function: Arc<AggregateFunctionExpr>,
    state_fields: Vec<FieldRef>,
}

impl AggregateExpr {
    /// Compiles one call of an aggregate function, as in `avg(temperature) filter (where valid)`.
    pub fn compile(name: &str, sql: &str, schema: &Schema) -> Result<Self, ExprError> {
        let (expr, df_schema) = parse(sql, schema)?;
        let expr = expr.unalias();
        let Expr::AggregateFunction(call) = &expr else {
            return Err(ExprError(
                "this must be one call of an aggregate function, such as `count(*)` or `avg(temperature)`; \
                 compute with its result in `select`"
                    .to_owned(),
            ));
        };
        if !call.params.order_by.is_empty() {
            return Err(ExprError(
                "an aggregate over a stream has no `order by`: rows are folded as they come".to_owned(),
            ));
        }
        if asks_for_the_time(&expr)? {
            return Err(ExprError("an aggregate cannot use now(): compute it in a `select` before".to_owned()));
        }
        let lowered = LoweredAggregateBuilder::new(
            &expr,
            &df_schema,
            schema,
            &ExecutionProps::new(),
            &PhysicalPlanningContext::default(),
        )
        .build()?;
        let function = lowered.aggregate;
        let mut columns: Vec<usize> = expr.column_refs().iter().filter_map(|c| schema.index_of(&c.name).ok()).collect();
        columns.sort_unstable();
        let arguments = function.expressions();
        let argument_types = arguments.iter().map(|argument| argument.data_type(schema)).collect::<Result<_, _>>()?;
        let counts_rows = function.fun().name() == "count"
            && !function.is_distinct()
            && matches!(arguments.as_slice(), [one] if one.downcast_ref::<Literal>().is_some_and(|l| !l.value().is_null()));
        Ok(AggregateExpr {
            name: name.to_owned(),
            data_type: output_type(function.field().data_type())?,
            argument_types,
            arguments,
            counts_rows,
            filter: lowered.filter,
            columns,
            state_fields: function.state_fields()?,
            function,
        })
    }

    /// The column it makes.
    pub fn field(&self) -> Field {
        Field::new(&self.name, self.data_type.clone(), true)
    }

    /// The columns in which a group's partial state travels and is stored, named after this aggregate.
    pub fn state_fields(&self) -> Vec<Field> {
        let rename =
            |(i, field): (usize, &FieldRef)| Field::new(format!("{}[{i}]", self.name), field.data_type().clone(), true);
        self.state_fields.iter().enumerate().map(rename).collect()
    }

    /// The columns it reads, by position, ascending.
    pub fn columns(&self) -> &[usize] {
        &self.columns
    }

    /// An empty accumulator for many groups.
    pub fn accumulator(&self) -> Result<Box<dyn GroupsAccumulator>, ExprError> {
        let value = self.state_fields.first().map_or(&DataType::Null, |field| field.data_type());
        let extreme = Extreme::of(self.function.fun().name(), value);
        if let Some(accumulator) = extreme.and_then(|extreme| extreme.accumulator(value)) {
            return Ok(accumulator);
        }
        if self.function.groups_accumulator_supported() {
            return Ok(self.function.create_groups_accumulator()?);
        }
        let function = Arc::clone(&self.function);
        Ok(Box::new(GroupsAccumulatorAdapter::new(move || function.create_accumulator())))
    }

    /// The partial state of no rows at all, in the columns of [`AggregateExpr::state_fields`].
    pub fn state_of_nothing(&self) -> Result<Vec<ArrayRef>, ExprError> {
        let mut accumulator = self.accumulator()?;
        // Accumulators take it that each group they are told of has had a row, unless that row is filtered out.
        let row: Vec<ArrayRef> = self.argument_types.iter().map(|of| new_null_array(of, 1)).collect();
        accumulator.update_batch(&row, &[0], Some(&BooleanArray::from(vec![false])), 1)?;
        Ok(accumulator.state(EmitTo::All)?)
    }

    /// Its arguments for every row.
    pub fn arguments(&self, batch: &RecordBatch) -> Result<Vec<ArrayRef>, ExprError> {
        if self.counts_rows {
            // It looks at which values are missing and at no value, so the narrowest do.
            return Ok(vec![Arc::new(BooleanArray::new(BooleanBuffer::new_set(batch.num_rows()), None))]);
        }
        let evaluate = |argument: &Arc<dyn PhysicalExpr>| Ok(argument.evaluate(batch)?.into_array(batch.num_rows())?);
        self.arguments.iter().map(evaluate).collect()
    }

    /// Which rows it takes, if it has a `filter (where ...)`.
    pub fn filter(&self, batch: &RecordBatch) -> Result<Option<BooleanArray>, ExprError> {
        let Some(filter) = &self.filter else { return Ok(None) };
        let mask = filter.evaluate(batch)?.into_array(batch.num_rows())?;
        Ok(Some(mask.as_boolean().clone()))
    }

    /// Brings an accumulator's results to this aggregate's column type.
    pub fn result(&self, computed: ArrayRef) -> Result<ArrayRef, ExprError> {
        to_output(computed, &self.data_type)
    }
}

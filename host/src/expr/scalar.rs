//! One SQL expression over the columns of a batch.

use std::sync::Arc;

use arrow::{
    array::{Array, ArrayRef, BooleanArray, RecordBatch, cast::AsArray},
    datatypes::{DataType, Field, Schema},
};
use datafusion_common::{
    DFSchema,
    tree_node::{TreeNode, TreeNodeRecursion},
};
use datafusion_expr::{
    Expr, Volatility, execution_props::ExecutionProps, physical_planning_context::PhysicalPlanningContext,
    simplify::SimplifyContext,
};
use datafusion_optimizer::simplify_expressions::ExprSimplifier;
use datafusion_physical_expr::{PhysicalExpr, create_physical_expr};
use datafusion_sql::{
    parser::DFParser,
    planner::{PlannerContext, SqlToRel},
};

use super::{
    ExprError,
    catalog::Catalog,
    output::{equal_numbers_as_one, output_type, to_output},
};
use crate::model::ProcessingTime;

/// A compiled expression.
#[derive(Clone)]
pub struct ScalarExpr {
    name: String,
    data_type: DataType,
    nullable: bool,
    columns: Vec<usize>,
    /// Whether it is a column and nothing else.
    plain: bool,
    /// Whether equal values must be the same bytes.
    key: bool,
    physical: Arc<dyn PhysicalExpr>,
    /// What to compile again when the batch time changes; none when the expression does not ask for the time.
    timed: Option<Arc<(Expr, DFSchema)>>,
}

impl ScalarExpr {
    /// Compiles `expression` or `expression as name` against the columns of a schema. Without a name a plain column
    /// keeps its own, and anything else is named by its text.
    pub fn compile(sql: &str, schema: &Schema) -> Result<Self, ExprError> {
        let (expr, df_schema) = parse(sql, schema)?;
        if contains_aggregate(&expr) {
            return Err(ExprError(
                "aggregates such as count(*) stand in `aggregates` of a part with `group_by`, not here".to_owned(),
            ));
        }
        let name = match &expr {
            Expr::Alias(alias) => alias.name.clone(),
            Expr::Column(column) => column.name.clone(),
            _ => sql.trim().to_owned(),
        };
        Self::from_logical(name, expr, df_schema, schema)
    }

    /// Compiles a condition: an expression that is true, false or null.
    pub fn compile_condition(sql: &str, schema: &Schema) -> Result<Self, ExprError> {
        let compiled = Self::compile(sql, schema)?;
        match compiled.data_type {
            DataType::Boolean => Ok(compiled),
            ref other => Err(ExprError(format!(
                "a condition must be true or false, but this is {}; compare it with something",
                crate::model::type_name(other)
            ))),
        }
    }

    fn from_logical(name: String, expr: Expr, df_schema: DFSchema, schema: &Schema) -> Result<Self, ExprError> {
        let timed = asks_for_the_time(&expr)?;
        let physical = to_physical(&expr, &df_schema, timed.then_some(ProcessingTime::from_micros(0)))?;
        let data_type = output_type(&physical.data_type(schema)?)?;
        let nullable = physical.nullable(schema)?;
        let mut columns: Vec<usize> = expr.column_refs().iter().filter_map(|c| schema.index_of(&c.name).ok()).collect();
        columns.sort_unstable();
        let plain = matches!(expr.clone().unalias(), Expr::Column(_));
        let timed = timed.then(|| Arc::new((expr, df_schema)));
        Ok(ScalarExpr { name, data_type, nullable, columns, plain, key: false, physical, timed })
    }

    /// The column it makes.
    pub fn field(&self) -> Field {
        Field::new(&self.name, self.data_type.clone(), self.nullable)
    }

    /// The same values as another type, to which they must be castable.
    #[must_use]
    pub fn cast(mut self, to: &DataType) -> Self {
        self.data_type = to.clone();
        self
    }

    /// The same values as a part of a key, in which numbers that are equal are one: 0.0 and -0.0, and all that are not
    /// a number.
    #[must_use]
    pub fn into_key(mut self) -> Self {
        self.key = true;
        self
    }

    /// The columns it reads, by position, ascending.
    pub fn columns(&self) -> &[usize] {
        &self.columns
    }

    /// The column it passes on as it is, if that is all it does.
    pub fn plain_column(&self) -> Option<usize> {
        self.columns.first().copied().filter(|_| self.plain)
    }

    /// Whether it asks for the time.
    pub fn is_timed(&self) -> bool {
        self.timed.is_some()
    }

    /// Sets what `now()` is.
    pub fn set_batch_time(&mut self, now: ProcessingTime) -> Result<(), ExprError> {
        if let Some(timed) = &self.timed {
            self.physical = to_physical(&timed.0, &timed.1, Some(now))?;
        }
        Ok(())
    }

    /// Evaluates it for every row.
    pub fn evaluate(&self, batch: &RecordBatch) -> Result<ArrayRef, ExprError> {
        let value = self.physical.evaluate(batch)?;
        let values = to_output(value.into_array(batch.num_rows())?, &self.data_type)?;
        Ok(if self.key { equal_numbers_as_one(values) } else { values })
    }

    /// Evaluates a condition for every row; null counts as false.
    pub fn evaluate_condition(&self, batch: &RecordBatch) -> Result<BooleanArray, ExprError> {
        let mask = self.evaluate(batch)?;
        let mask = mask.as_boolean();
        Ok(match mask.null_count() {
            0 => mask.clone(),
            _ => arrow::compute::prep_null_mask_filter(mask),
        })
    }
}

/// Reads an expression and brings the types of its parts together.
pub(super) fn parse(sql: &str, schema: &Schema) -> Result<(Expr, DFSchema), ExprError> {
    let syntax = DFParser::parse_sql_into_expr(sql)?;
    let df_schema = DFSchema::try_from(schema.clone())?;
    let planner = SqlToRel::new_with_options(Catalog::get(), Catalog::parser_options());
    let expr = planner.sql_to_expr_with_alias(syntax, &df_schema, &mut PlannerContext::new())?;
    let context = SimplifyContext::builder().with_schema(Arc::new(df_schema.clone())).build();
    let expr = ExprSimplifier::new(context).coerce(expr, &df_schema)?;
    Ok((expr, df_schema))
}

/// Compiles a logical expression, with the batch time in the place of `now()`.
pub(super) fn to_physical(
    expr: &Expr,
    schema: &DFSchema,
    now: Option<ProcessingTime>,
) -> Result<Arc<dyn PhysicalExpr>, ExprError> {
    let now = now.and_then(|now| arrow::temporal_conversions::timestamp_us_to_datetime(now.micros()));
    let context = SimplifyContext::builder()
        .with_schema(Arc::new(schema.clone()))
        .with_query_execution_start_time(now.map(|now| now.and_utc()))
        .build();
    let simple = ExprSimplifier::new(context).simplify(expr.clone())?;
    let physical = create_physical_expr(&simple, schema, &ExecutionProps::new(), &PhysicalPlanningContext::default())?;
    Ok(physical)
}

/// Whether it uses `now()` or its like. Functions that give another value at each call are refused: an epoch that
/// is run again must give the same rows.
pub(super) fn asks_for_the_time(expr: &Expr) -> Result<bool, ExprError> {
    let mut asks = false;
    let mut volatile = None;
    expr.apply(|node| {
        if let Expr::ScalarFunction(call) = node {
            match call.func.signature().volatility {
                Volatility::Stable => asks = true,
                Volatility::Volatile => volatile = Some(call.func.name().to_owned()),
                Volatility::Immutable => {}
            }
        }
        Ok(TreeNodeRecursion::Continue)
    })?;
    match volatile {
        Some(name) => Err(ExprError(format!(
            "`{name}()` gives another value each time, so an epoch run again after a crash would give other rows; \
             use a plugin and its seeded `context::random()`"
        ))),
        None => Ok(asks),
    }
}

fn contains_aggregate(expr: &Expr) -> bool {
    expr.exists(|node| Ok(matches!(node, Expr::AggregateFunction(_)))).unwrap_or(false)
}

//! The functions an expression may use: DataFusion's scalar and aggregate functions, found by name in any case.

use std::{
    collections::{BTreeSet, HashMap},
    sync::{Arc, OnceLock},
};

use arrow::datatypes::DataType;
use datafusion_common::{Result, TableReference, config::ConfigOptions, plan_err};
use datafusion_expr::{
    AggregateUDF, HigherOrderUDF, ScalarUDF, TableSource, WindowUDF,
    planner::{ContextProvider, ExprPlanner},
};
use datafusion_sql::planner::ParserOptions;

/// All functions there are.
pub(super) struct Catalog {
    scalars: HashMap<String, Arc<ScalarUDF>>,
    aggregates: HashMap<String, Arc<AggregateUDF>>,
    planners: Vec<Arc<dyn ExprPlanner>>,
    options: ConfigOptions,
}

impl Catalog {
    /// The one catalog: it never changes, and building it takes a while.
    pub(super) fn get() -> &'static Catalog {
        static CATALOG: OnceLock<Catalog> = OnceLock::new();
        CATALOG.get_or_init(Catalog::new)
    }

    fn new() -> Self {
        let mut scalars = HashMap::new();
        for function in datafusion_functions::all_default_functions() {
            for name in function.aliases().iter().map(String::as_str).chain([function.name()]) {
                scalars.insert(name.to_owned(), Arc::clone(&function));
            }
        }
        let mut aggregates = HashMap::new();
        for function in datafusion_functions_aggregate::all_default_aggregate_functions() {
            for name in function.aliases().iter().map(String::as_str).chain([function.name()]) {
                aggregates.insert(name.to_owned(), Arc::clone(&function));
            }
        }
        Catalog {
            scalars,
            aggregates,
            planners: vec![
                Arc::new(datafusion_functions::core::planner::CoreFunctionPlanner::default()),
                Arc::new(datafusion_functions::unicode::planner::UnicodeFunctionPlanner),
                Arc::new(datafusion_functions_aggregate::planner::AggregateFunctionPlanner),
            ],
            options: ConfigOptions::default(),
        }
    }

    /// The names of all functions, in an order that does not change from one start to the next.
    pub(super) fn names(&self) -> BTreeSet<&str> {
        self.aggregates.keys().chain(self.scalars.keys()).map(String::as_str).collect()
    }

    /// How expressions are read: column names are taken as written, and text is Arrow's Utf8 everywhere.
    pub(super) fn parser_options() -> ParserOptions {
        ParserOptions::new().with_enable_ident_normalization(false).with_map_string_types_to_utf8view(false)
    }
}

impl ContextProvider for Catalog {
    fn get_table_source(&self, name: TableReference) -> Result<Arc<dyn TableSource>> {
        plan_err!("an expression cannot read the table `{name}`: it sees the columns of its input only")
    }

    fn get_expr_planners(&self) -> &[Arc<dyn ExprPlanner>] {
        &self.planners
    }

    fn get_function_meta(&self, name: &str) -> Option<Arc<ScalarUDF>> {
        self.scalars.get(&name.to_ascii_lowercase()).cloned()
    }

    fn get_higher_order_meta(&self, _name: &str) -> Option<Arc<HigherOrderUDF>> {
        None
    }

    fn get_aggregate_meta(&self, name: &str) -> Option<Arc<AggregateUDF>> {
        self.aggregates.get(&name.to_ascii_lowercase()).cloned()
    }

    fn get_window_meta(&self, _name: &str) -> Option<Arc<WindowUDF>> {
        None
    }

    fn get_variable_type(&self, _variable_names: &[String]) -> Option<DataType> {
        None
    }

    fn options(&self) -> &ConfigOptions {
        &self.options
    }

    fn udf_names(&self) -> Vec<String> {
        self.scalars.keys().cloned().collect()
    }

    fn higher_order_function_names(&self) -> Vec<String> {
        Vec::new()
    }

    fn udaf_names(&self) -> Vec<String> {
        self.aggregates.keys().cloned().collect()
    }

    fn udwf_names(&self) -> Vec<String> {
        Vec::new()
    }
}

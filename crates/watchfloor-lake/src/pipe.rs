//! Pipe queries over the lake: lowered to DataFusion plans and run within limits.

mod aggregates;
mod evaluate;
mod expand;
mod expression;
mod fields;
mod functions;
mod hashes;
mod in_set;
mod join;
mod lists;
mod members;
mod networks;
mod operators;
pub(crate) mod output;
mod row_functions;
mod series;
mod series_functions;
mod sources;
mod tables;
mod texts;
mod times;
mod verbs;
mod windows;

pub(crate) use in_set::in_set_function;
pub(crate) use row_functions::row_functions;

use std::cell::{Cell, RefCell};
use std::collections::HashMap;
use std::ops::Range;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use datafusion::common::ScalarValue;
use datafusion::datasource::TableProvider;
use datafusion::error::DataFusionError;
use datafusion::execution::runtime_env::RuntimeEnvBuilder;
use datafusion::logical_expr::{Expr as DfExpr, SortExpr, col, lit};
use datafusion::prelude::{DataFrame, SessionContext};
use futures::StreamExt;
use jiff::Timestamp;
use watchfloor_query::Diagnostic;
use watchfloor_query::pipe::{self, Expr, FunctionBody, Let, LetValue, Program, Render};

use crate::cluster;
use crate::progress::{Limit, Progress, Run};
use crate::schema;
use crate::search::{in_time, query_error};
use crate::snapshot::Snapshot;
use crate::table::{Lake, ReadError, is_of_bucket, is_of_files};

/// Most steps of lowering, since functions that call functions multiply.
const MAX_STEPS: usize = 20_000;

/// A query whose answer is rows.
#[derive(Clone, Debug)]
pub enum RowsQuery {
    /// With verbs.
    Pipe(Box<Program>),
    /// One `SELECT` over `events` and `findings`.
    Sql(String),
}

impl RowsQuery {
    /// Reads a query with verbs or in SQL.
    ///
    /// # Errors
    /// With place and hint, if a query with verbs is wrong; SQL is read when it runs.
    pub fn parse(text: &str) -> Result<Self, Diagnostic> {
        if watchfloor_query::is_sql(text) {
            return Ok(Self::Sql(text.to_owned()));
        }
        pipe::parse(text).map(|program| Self::Pipe(Box::new(program)))
    }
}

/// A query whose answer is rows, and its limits.
#[derive(Clone, Debug)]
pub struct PipeRequest {
    /// What is asked.
    pub query: RowsQuery,
    /// First instant of event time.
    pub from: Timestamp,
    /// First instant of event time that is left out.
    pub to: Timestamp,
    /// Only rows of this journal position and later ones.
    pub since: Option<u64>,
    /// Most rows to return.
    pub limit: usize,
    /// What it may use.
    pub run: Run,
}

/// A column of a result.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PipeColumn {
    /// Its name.
    pub name: String,
    /// `text`, `long`, `real`, `bool`, `time`, `span`, `list` or `map`.
    pub kind: &'static str,
}

/// What a pipe query found.
#[derive(Clone, Debug, PartialEq)]
pub struct PipeResult {
    /// Columns in their order.
    pub columns: Vec<PipeColumn>,
    /// Rows, each with a value per column.
    pub rows: Vec<Vec<serde_json::Value>>,
    /// Whether there were more rows than the limit.
    pub is_capped: bool,
    /// How it is to be drawn.
    pub render: Option<Render>,
    /// How long it took.
    pub took: Duration,
    /// Files of the asked time that cannot be read: what they hold is not in the rows.
    pub unread: Vec<String>,
}

/// A piece of a result, as it comes.
#[derive(Clone, Debug, PartialEq)]
pub enum PipePart {
    /// The columns, and how they are to be drawn; what came before, if anything, does not count.
    Columns(Vec<PipeColumn>, Option<Render>),
    /// Further rows.
    Rows(Vec<Vec<serde_json::Value>>),
}

/// Why a pipe query gave no result.
#[derive(Debug, thiserror::Error)]
pub enum PipeError {
    /// The query is wrong, at a place.
    #[error("{0}")]
    Query(Diagnostic),
    /// It ran into a limit.
    #[error("the query was stopped: {1}")]
    Limited(Limit, String),
    /// The engine cannot run it.
    #[error("the query was stopped: {0}")]
    Stopped(String),
    /// The lake cannot be read.
    #[error(transparent)]
    Read(#[from] ReadError),
}

impl From<Diagnostic> for PipeError {
    fn from(error: Diagnostic) -> Self {
        Self::Query(error)
    }
}

impl Lake {
    /// Runs a query whose answer is rows. Files that cannot be read are named and passed over.
    ///
    /// # Errors
    /// If the query is wrong, runs into a limit, or the lake cannot be read.
    pub async fn pipe(&self, request: &PipeRequest) -> Result<PipeResult, PipeError> {
        type Collected = (Vec<PipeColumn>, Vec<Vec<serde_json::Value>>);
        let collected: Mutex<Collected> = Mutex::default();
        let lock = || collected.lock().unwrap_or_else(PoisonError::into_inner);
        let mut result = self
            .pipe_into(request, |part| {
                match part {
                    PipePart::Columns(columns, _) => *lock() = (columns, Vec::new()),
                    PipePart::Rows(more) => lock().1.extend(more),
                }
                std::future::ready(())
            })
            .await?;
        (result.columns, result.rows) = std::mem::take(&mut *lock());
        Ok(result)
    }

    /// As [`Lake::pipe`], with the rows handed on as they come; the result has none of them.
    ///
    /// # Errors
    /// As [`Lake::pipe`].
    pub async fn pipe_into<F: Future<Output = ()>>(
        &self,
        request: &PipeRequest,
        mut take: impl FnMut(PipePart) -> F,
    ) -> Result<PipeResult, PipeError> {
        let start = Instant::now();
        loop {
            let run = self.rows(request, start, &mut take);
            let found = match tokio::time::timeout(request.run.timeout, run).await {
                Ok(found) => found,
                Err(_) => Err(too_long(request.run.timeout)),
            };
            match found {
                Err(_) if request.run.progress.is_over() => return Err(too_much(&request.run)),
                Err(error) if self.tries_again(&error, &request.run).await => {}
                found => break found,
            }
        }
    }

    async fn rows<F: Future<Output = ()>>(
        &self,
        request: &PipeRequest,
        start: Instant,
        take: &mut impl FnMut(PipePart) -> F,
    ) -> Result<PipeResult, PipeError> {
        let (frame, render) = self.planned_rows(request, start).await?;
        let columns = output::columns(frame.schema());
        take(PipePart::Columns(columns, render.clone())).await;
        // One more tells whether there are more.
        let frame = frame
            .limit(0, Some(request.limit + 1))
            .map_err(query_error)?;
        let mut stream = frame.execute_stream().await.map_err(stopped)?;
        let mut left = request.limit;
        let mut is_capped = false;
        while let Some(batch) = stream.next().await {
            let batch = batch.map_err(stopped)?;
            let mut rows = Vec::new();
            output::rows(&batch, &mut rows).map_err(ReadError::Rows)?;
            is_capped |= rows.len() > left;
            rows.truncate(left);
            left -= rows.len();
            if !rows.is_empty() {
                take(PipePart::Rows(rows)).await;
            }
        }
        Ok(PipeResult {
            columns: Vec::new(),
            rows: Vec::new(),
            is_capped,
            render,
            took: start.elapsed(),
            unread: self.unread(request.from, request.to),
        })
    }

    /// The plan of a query with verbs or in SQL.
    pub(crate) async fn planned_rows(
        &self,
        request: &PipeRequest,
        start: Instant,
    ) -> Result<(DataFrame, Option<Render>), PipeError> {
        let snapshot = self.snapshot().watched(&request.run.progress);
        Ok(match &request.query {
            RowsQuery::Pipe(program) => self.lowered(program, request, start, snapshot).await?,
            RowsQuery::Sql(text) => (self.planned(text, request, snapshot).await?, None),
        })
    }

    /// The plan of a query with verbs over some of the lake's rows.
    pub(crate) async fn lowered(
        &self,
        program: &Program,
        request: &PipeRequest,
        start: Instant,
        snapshot: Snapshot,
    ) -> Result<(DataFrame, Option<Render>), PipeError> {
        let lowering = Lowering {
            context: self.pipe_context(&request.run)?,
            events: Arc::new(snapshot),
            in_time: asked(request),
            span: (request.from.as_microsecond(), request.to.as_microsecond()),
            now: Timestamp::now(),
            steps: Cell::new(0),
            is_filter: Cell::new(false),
            known: RefCell::default(),
            until: start + request.run.timeout,
        };
        let program = program.clone();
        let mut waiting = GiveUp(Some(Arc::clone(&request.run.progress)));
        // Lowering may run parts of the query whose values must be known beforehand.
        let lowered = tokio::task::spawn_blocking(move || lowering.program(&program)).await;
        waiting.0 = None;
        Ok(lowered.map_err(|error| PipeError::Stopped(error.to_string()))??)
    }

    pub(crate) fn pipe_context(&self, run: &Run) -> Result<SessionContext, ReadError> {
        let runtime = RuntimeEnvBuilder::from_runtime_env(&self.runtime)
            .with_memory_limit(run.memory_bytes, 1.0)
            .build_arc()
            .map_err(query_error)?;
        let helpers = self.helpers(run);
        if helpers.is_some() {
            run.progress.share();
        }
        cluster::session(runtime, &self.tiers, helpers).map_err(query_error)
    }
}

/// The rows that are asked for at all.
pub(crate) fn asked(request: &PipeRequest) -> DfExpr {
    let in_time = in_time(request.from, request.to);
    match request.since {
        Some(position) => {
            let position = i64::try_from(position).unwrap_or(i64::MAX);
            in_time.and(col(schema::POSITION).gt_eq(lit(position)))
        }
        None => in_time,
    }
}

/// Stops what a thread reads for a query that nobody waits for any more.
struct GiveUp(Option<Arc<Progress>>);

impl Drop for GiveUp {
    fn drop(&mut self) {
        if let Some(progress) = self.0.take() {
            progress.give_up();
        }
    }
}

/// What is said of a query that ran out of time.
pub(crate) fn too_long(timeout: Duration) -> PipeError {
    let seconds = timeout.as_secs();
    let detail = format!("it took longer than {seconds} s; ask for less time or fewer groups");
    PipeError::Limited(Limit::Time, detail)
}

/// What is said of a query that reads more than it may.
fn too_much(run: &Run) -> PipeError {
    let megabytes = run.progress.bytes_max() >> 20;
    let detail = format!(
        "it reads more than {megabytes} MiB of files; ask for less time, fewer columns, or a rarer value"
    );
    PipeError::Limited(Limit::Bytes, detail)
}

/// What running a plan says: a limit of memory is the asker's to mend.
pub(crate) fn stopped(error: DataFusionError) -> PipeError {
    match error.find_root() {
        DataFusionError::ResourcesExhausted(_) => PipeError::Limited(
            Limit::Memory,
            "it needs more memory than a query may have; ask for less time, or fewer groups or columns"
                .to_owned(),
        ),
        root if is_of_files(root) || is_of_bucket(root) => PipeError::Read(query_error(error)),
        other => PipeError::Stopped(other.strip_backtrace()),
    }
}

/// What one query is lowered with.
struct Lowering {
    context: SessionContext,
    events: Arc<dyn TableProvider>,
    /// The asked span of time.
    in_time: DfExpr,
    /// The same in microseconds since 1970.
    span: (i64, i64),
    now: Timestamp,
    steps: Cell<usize>,
    /// Whether a condition is lowered, in which an unknown outcome is as good as no.
    is_filter: Cell<bool>,
    /// Values of parts that were run, by place and scope.
    known: RefCell<HashMap<evaluate::Key, (ScalarValue, Scope)>>,
    /// When parts that must be run beforehand have to be done.
    until: Instant,
}

/// Rows on their way from verb to verb.
#[derive(Clone)]
struct Rows {
    frame: DataFrame,
    /// Whether the lake's columns are still there, so that any field can be asked for.
    is_wide: bool,
    /// Columns that were added to the lake's, in their order.
    added: Vec<String>,
    /// The table that they come from; empty where there is no single one.
    table: String,
    /// Whole events of the right sides of joins.
    sides: Vec<Side>,
    /// Columns of right sides whose names mean a field of the left side too.
    shadowed: Vec<(String, String)>,
    /// Columns of whole events that are not shown.
    hidden: Vec<String>,
    /// The order that was asked for last.
    order: Vec<SortExpr>,
    /// What verbs keep apart, within `mv-apply` and `partition`.
    group: Option<Group>,
}

/// The lake's columns of a right side, which stand under their names with a mark before.
#[derive(Clone)]
struct Side {
    mark: String,
    table: String,
}

/// Rows that belong together.
#[derive(Clone)]
struct Group {
    key: String,
    /// Columns from outside that stay with the rows.
    carried: Vec<String>,
}

impl Rows {
    fn new(frame: DataFrame) -> Self {
        Self {
            frame,
            is_wide: false,
            added: Vec::new(),
            table: String::new(),
            sides: Vec::new(),
            shadowed: Vec::new(),
            hidden: Vec::new(),
            order: Vec::new(),
            group: None,
        }
    }

    /// Other rows of the same table and groups, whose columns are those that were made.
    fn narrowed(&self, frame: DataFrame) -> Self {
        Self {
            table: self.table.clone(),
            group: self.group.clone(),
            ..Self::new(frame)
        }
    }

    fn names(&self) -> Vec<String> {
        let fields = self.frame.schema().fields().iter();
        fields.map(|field| field.name().clone()).collect()
    }

    fn has(&self, name: &str) -> bool {
        self.frame.schema().has_column_with_unqualified_name(name)
    }
}

/// What names mean at a place of the query.
type Scope = Option<Arc<Binding>>;

struct Binding {
    name: String,
    value: Value,
    outer: Scope,
}

#[derive(Clone)]
enum Value {
    /// An expression with the names of the place where it stands.
    Scalar(Expr, Scope),
    Rows(Box<Rows>),
    Function(Vec<(String, Option<Expr>)>, Arc<FunctionBody>, Scope),
}

type Lowered<T> = Result<T, Diagnostic>;

fn bind(scope: &Scope, name: &str, value: Value) -> Scope {
    Some(Arc::new(Binding {
        name: name.to_owned(),
        value,
        outer: scope.clone(),
    }))
}

fn find(scope: &Scope, name: &str) -> Option<Value> {
    let mut at = scope.as_ref();
    while let Some(binding) = at {
        if binding.name == name {
            return Some(binding.value.clone());
        }
        at = binding.outer.as_ref();
    }
    None
}

impl Lowering {
    fn program(&self, program: &Program) -> Lowered<(DataFrame, Option<Render>)> {
        let scope = self.lets(&program.lets, &None)?;
        let (rows, render) = self.pipeline(&program.body, &scope)?;
        Ok((self.shown(rows, &program.body.place)?, render))
    }

    fn lets(&self, lets: &[Let], outer: &Scope) -> Lowered<Scope> {
        let mut scope = outer.clone();
        for one in lets {
            let value = self.value(&one.value, &scope)?;
            scope = bind(&scope, &one.name, value);
        }
        Ok(scope)
    }

    fn value(&self, value: &LetValue, scope: &Scope) -> Lowered<Value> {
        Ok(match value {
            LetValue::Scalar(expr) => Value::Scalar(expr.clone(), scope.clone()),
            LetValue::Table(pipeline) => Value::Rows(Box::new(self.pipeline(pipeline, scope)?.0)),
            LetValue::Function(parameters, body) => {
                let body = Arc::new(FunctionBody::clone(body));
                Value::Function(parameters.clone(), body, scope.clone())
            }
        })
    }

    fn pipeline(
        &self,
        pipeline: &pipe::Pipeline,
        scope: &Scope,
    ) -> Lowered<(Rows, Option<Render>)> {
        let mut rows = self.source(&pipeline.source, &pipeline.place, scope)?;
        let mut render = None;
        let mut scope = scope.clone();
        for verb in &pipeline.verbs {
            self.step(&verb.place)?;
            match &verb.kind {
                pipe::VerbKind::Render(how) => render = Some(how.clone()),
                pipe::VerbKind::As(name) => {
                    scope = bind(&scope, name, Value::Rows(Box::new(rows.clone())));
                }
                _ => rows = self.verb(rows, verb, &scope)?,
            }
        }
        Ok((rows, render))
    }

    fn step(&self, place: &Range<usize>) -> Lowered<()> {
        self.steps.set(self.steps.get() + 1);
        if self.steps.get() > MAX_STEPS {
            return Err(Diagnostic::new(
                "the query unfolds into too many steps",
                place.clone(),
                "call fewer functions within functions",
            ));
        }
        Ok(())
    }
}

/// An error of the engine's planner, as one at a place.
fn at(place: &Range<usize>) -> impl Fn(DataFusionError) -> Diagnostic {
    let place = place.clone();
    move |error| {
        let message = error.find_root().strip_backtrace();
        Diagnostic::new(
            message,
            place.clone(),
            "look at the types of the columns with getschema; tostring(), toint() and todatetime() change them",
        )
    }
}

//! The parsed form of a pipe query.

use std::ops::Range;

use crate::ast::Query;

/// A whole query.
#[derive(Clone, Debug, PartialEq)]
pub struct Program {
    /// Named values, tables and functions, in their order.
    pub lets: Vec<Let>,
    /// What is asked.
    pub body: Pipeline,
}

/// A `let` statement.
#[derive(Clone, Debug, PartialEq)]
pub struct Let {
    /// Its name.
    pub name: String,
    /// What it names.
    pub value: LetValue,
}

/// What a `let` names.
#[derive(Clone, Debug, PartialEq)]
pub enum LetValue {
    /// A value.
    Scalar(Expr),
    /// Rows.
    Table(Pipeline),
    /// A function: names of its parameters with their defaults, and what it gives.
    Function(Vec<(String, Option<Expr>)>, Box<FunctionBody>),
}

/// What a function gives.
pub type FunctionBody = (Vec<Let>, LetValue);

/// A source and verbs.
#[derive(Clone, Debug, PartialEq)]
pub struct Pipeline {
    /// Where rows come from.
    pub source: Source,
    /// What is done with them, in order.
    pub verbs: Vec<Verb>,
    /// Place of the source in the text.
    pub place: Range<usize>,
}

/// Where rows come from.
#[derive(Clone, Debug, PartialEq)]
pub enum Source {
    /// Events that the search bar's language finds.
    Search(Query),
    /// A table or a `let` by name.
    Table(String),
    /// A call of a function that gives rows.
    Call(String, Vec<Arg>),
    /// One row of values.
    Print(Vec<Named>),
    /// `range name from a to b step c`.
    Range(String, Expr, Expr, Expr),
    /// `datatable (name: type, …) [ values ]`.
    DataTable(Vec<(String, String)>, Vec<Expr>),
    /// Rows of several pipelines.
    Union(Union),
    /// A pipeline in brackets.
    Group(Box<Pipeline>),
    /// `find` and `search` with conditions or among tables.
    Find(Box<Find>),
    /// `externaldata (name: type, …) [ … ]`: rows from outside, which this engine does not fetch.
    External(Vec<(String, String)>),
}

/// What `find` and `search` look for, and where.
#[derive(Clone, Debug, PartialEq)]
pub struct Find {
    /// The tables, which may hold `*`; all where there are none.
    pub tables: Vec<String>,
    /// What rows must hold.
    pub sought: Sought,
    /// A column that tells from which table a row came.
    pub with_source: Option<String>,
    /// The columns that are asked for.
    pub project: Vec<Named>,
}

/// What rows must hold.
#[derive(Clone, Debug, PartialEq)]
pub enum Sought {
    /// In the search bar's language.
    Words(Query),
    /// An expression, in which a text alone is a word that any column holds.
    Condition(Expr),
}

/// Rows of several pipelines, one after the other.
#[derive(Clone, Debug, PartialEq)]
pub struct Union {
    /// The pipelines.
    pub parts: Vec<Pipeline>,
    /// Whether only the columns that all have stay.
    pub is_inner: bool,
    /// Whether tables that there are not are left out.
    pub is_fuzzy: bool,
    /// A column that tells from which part a row came.
    pub with_source: Option<String>,
}

/// A verb with its place.
#[derive(Clone, Debug, PartialEq)]
pub struct Verb {
    /// What it does.
    pub kind: VerbKind,
    /// Its place in the text.
    pub place: Range<usize>,
}

/// What a verb does.
#[derive(Clone, Debug, PartialEq)]
pub enum VerbKind {
    /// Keeps rows that hold.
    Where(Expr),
    /// Keeps rows that hold words.
    Search(Sought),
    /// Adds columns.
    Extend(Vec<Named>),
    /// Makes columns.
    Project(Vec<Named>),
    /// Keeps, drops, renames or orders columns.
    Columns(ProjectKind, Vec<Named>),
    /// Aggregates by keys.
    Summarize(Vec<Named>, Vec<Named>),
    /// Sorts.
    Sort(Vec<SortKey>),
    /// The first rows of an order.
    Top(Expr, Vec<SortKey>),
    /// Some rows.
    Take(Expr),
    /// Distinct rows of columns; of all where there are none.
    Distinct(Vec<Named>),
    /// The number of rows.
    Count,
    /// Pairs of rows.
    Join(Join),
    /// Rows of other pipelines too.
    Union(Union),
    /// A row per item of a list.
    MvExpand(MvExpand),
    /// Columns out of a text.
    Parse(ParseVerb),
    /// Series over time.
    MakeSeries(MakeSeries),
    /// How the result is drawn.
    Render(Render),
    /// Events in an order.
    Sequence(Sequence),
    /// The columns and their types.
    GetSchema,
    /// A name for the rows so far; nothing else.
    As(String),
    /// Numbers the rows; nothing else.
    Serialize(Vec<Named>),
    /// Verbs over the items of a list, for each row.
    MvApply(MvExpand, Vec<Verb>),
    /// Verbs for each value of a column.
    Partition(Expr, Vec<Verb>),
    /// A function of the engine or a plugin, such as `bag_unpack`.
    Evaluate(String, Vec<Arg>),
    /// A function of `let` that takes the rows so far.
    Invoke(String, Vec<Arg>),
    /// Some distinct values of a column.
    SampleDistinct(Expr, Named),
    /// The values with the most rows, or with the largest sum.
    TopHitters(Expr, Named, Option<Expr>),
    /// Columns out of a text of names and values.
    ParseKv(ParseKv),
    /// Reads all rows and gives none.
    Consume,
    /// A verb of Kusto that is read but not known here, by its name.
    Other(String),
}

/// `parse-kv`.
#[derive(Clone, Debug, PartialEq)]
pub struct ParseKv {
    /// The text.
    pub text: Expr,
    /// Names and types of columns.
    pub columns: Vec<(String, String)>,
    /// Options with their texts, such as `pair_delimiter`.
    pub with: Vec<(String, String)>,
}

/// What is done with the columns that are named; a name may hold `*`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ProjectKind {
    /// These stay.
    Keep,
    /// These go.
    Away,
    /// These get other names.
    Rename,
    /// These come first.
    Reorder,
}

/// An expression with the name of its column.
#[derive(Clone, Debug, PartialEq)]
pub struct Named {
    /// Names as written: several for functions that give several columns.
    pub names: Vec<String>,
    /// The value.
    pub expr: Expr,
}

/// One key of an order.
#[derive(Clone, Debug, PartialEq)]
pub struct SortKey {
    /// The key.
    pub expr: Expr,
    /// Whether small ones come first.
    pub is_ascending: bool,
    /// Whether absent ones come first.
    pub nulls_first: bool,
}

/// Which rows of a join stay.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum JoinKind {
    /// Pairs, with one left row of each key.
    InnerUnique,
    /// All pairs.
    Inner,
    /// Pairs, and left rows without one.
    LeftOuter,
    /// Pairs, and right rows without one.
    RightOuter,
    /// Pairs, and rows without one.
    FullOuter,
    /// Left rows with a pair.
    LeftSemi,
    /// Right rows with a pair.
    RightSemi,
    /// Left rows without a pair.
    LeftAnti,
    /// Right rows without a pair.
    RightAnti,
}

/// A join, or a `lookup`, which keeps the right side's key out.
#[derive(Clone, Debug, PartialEq)]
pub struct Join {
    /// Which rows stay.
    pub kind: JoinKind,
    /// The right side.
    pub right: Pipeline,
    /// Conditions: a name that both have, or `$left.a == $right.b`.
    pub on: Vec<Expr>,
    /// Whether it is a lookup.
    pub is_lookup: bool,
}

/// `mv-expand`.
#[derive(Clone, Debug, PartialEq)]
pub struct MvExpand {
    /// The lists, with the name of the column that takes the items.
    pub columns: Vec<(Named, Option<String>)>,
    /// A column that takes the number of the item, from 0 on.
    pub index: Option<String>,
    /// Most rows of one row.
    pub limit: Option<Expr>,
}

/// A part of a `parse` pattern.
#[derive(Clone, Debug, PartialEq)]
pub enum ParsePart {
    /// Any text.
    Any,
    /// This text.
    Text(String),
    /// A text that becomes a column, with its type.
    Column(String, Option<String>),
}

/// `parse` and `parse-where`.
#[derive(Clone, Debug, PartialEq)]
pub struct ParseVerb {
    /// The text.
    pub text: Expr,
    /// The pattern.
    pub parts: Vec<ParsePart>,
    /// Whether the texts of the pattern are regular expressions.
    pub is_regex: bool,
    /// Flags of regular expressions, such as `i`.
    pub flags: String,
    /// Whether rows that do not fit go.
    pub is_filter: bool,
}

/// `make-series`.
#[derive(Clone, Debug, PartialEq)]
pub struct MakeSeries {
    /// Aggregates with what stands for an empty step.
    pub aggregates: Vec<(Named, Option<Expr>)>,
    /// The axis, mostly the time.
    pub on: Expr,
    /// First step.
    pub from: Option<Expr>,
    /// End, left out.
    pub to: Option<Expr>,
    /// Width of a step.
    pub step: Expr,
    /// One series for each.
    pub by: Vec<Named>,
}

/// How a result is drawn.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Render {
    /// Such as `timechart`.
    pub kind: String,
    /// Properties as written, such as `title`.
    pub with: Vec<(String, String)>,
}

/// Events in an order, as `sequence by user [a] [b] with maxspan=5m`.
#[derive(Clone, Debug, PartialEq)]
pub struct Sequence {
    /// What all events of a sequence share.
    pub by: Vec<Expr>,
    /// The steps in their order.
    pub steps: Vec<SeqStep>,
    /// Most time from the first to the last.
    pub maxspan: Option<Expr>,
}

/// A step of a sequence.
#[derive(Clone, Debug, PartialEq)]
pub struct SeqStep {
    /// What an event must hold.
    pub condition: SeqCondition,
    /// What this step shares beside, in the order of the first step's.
    pub by: Vec<Expr>,
}

/// What an event of a step must hold.
#[derive(Clone, Debug, PartialEq)]
pub enum SeqCondition {
    /// In the search bar's language.
    Search(Query),
    /// As `where` takes it.
    Where(Expr),
}

/// An argument, with a name where one is written.
#[derive(Clone, Debug, PartialEq)]
pub struct Arg {
    /// Its name.
    pub name: Option<String>,
    /// Its value.
    pub expr: Expr,
}

/// An expression with its place.
#[derive(Clone, Debug, PartialEq)]
pub struct Expr {
    /// What it is.
    pub kind: ExprKind,
    /// Its place in the text.
    pub place: Range<usize>,
}

/// What an expression is.
#[derive(Clone, Debug, PartialEq)]
pub enum ExprKind {
    /// No value.
    Null,
    /// True or false.
    Bool(bool),
    /// A whole number.
    Long(i64),
    /// A number.
    Real(f64),
    /// A text.
    Text(String),
    /// A span of time in microseconds.
    Span(i64),
    /// An instant in microseconds since 1970.
    Time(i64),
    /// A list.
    List(Vec<Expr>),
    /// A JSON document.
    Dynamic(String),
    /// A column or a `let`, parts joined by dots.
    Name(String),
    /// All columns.
    Star,
    /// An item or member.
    Index(Box<Expr>, Box<Expr>),
    /// A call.
    Call(String, Vec<Arg>),
    /// `not`.
    Not(Box<Expr>),
    /// A number's negative.
    Minus(Box<Expr>),
    /// Two operands.
    Binary(Binary, Box<Expr>, Box<Expr>),
    /// A value among others.
    In {
        /// The value.
        value: Box<Expr>,
        /// The others.
        list: Vec<Expr>,
        /// Whether letter case does not count.
        is_folded: bool,
        /// Whether it must not be among them.
        is_not: bool,
    },
    /// A value between two, both included.
    Between(Box<Expr>, Box<Expr>, Box<Expr>),
    /// The rows of a pipeline, as a list or a value.
    Rows(Box<Pipeline>),
}

/// An operator between two operands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Binary {
    /// Both.
    And,
    /// One.
    Or,
    /// Equal.
    Equal,
    /// Not equal.
    NotEqual,
    /// Equal without regard to letter case.
    EqualFolded,
    /// Not equal without regard to letter case.
    NotEqualFolded,
    /// Less.
    Less,
    /// Less or equal.
    LessEqual,
    /// Greater.
    Greater,
    /// Greater or equal.
    GreaterEqual,
    /// Sum.
    Add,
    /// Difference.
    Subtract,
    /// Product.
    Multiply,
    /// Quotient.
    Divide,
    /// Remainder.
    Modulo,
    /// A test of two texts, by its name in lower case, such as `startswith_cs`.
    Text(&'static str),
}

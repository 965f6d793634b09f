//! An incident report as PDF, typeset by Typst.
//!
//! The template is fixed; everything that varies reaches it as data through `sys.inputs`, so
//! that text is shown and never read as markup.

use std::sync::LazyLock;

use typst::diag::{FileError, FileResult, SourceDiagnostic};
use typst::foundations::{Array, Bytes, Datetime, Dict, Duration, IntoValue, Str, Value};
use typst::syntax::{FileId, RootedPath, Source, VirtualPath, VirtualRoot};
use typst::text::{Font, FontBook};
use typst::utils::LazyHash;
use typst::{Library, LibraryExt, World};

use crate::IncidentReport;
use crate::text::visible;

const TEMPLATE: &str = include_str!("../assets/incident.typ");

/// Reports whose layout stays cached.
const CACHE_AGE_MAX: usize = 2;

/// Why a PDF could not be made.
#[derive(Debug, thiserror::Error)]
pub enum PdfError {
    /// The template's own path is refused; a fault of this program.
    #[error("the template cannot be opened")]
    Template,
    /// Typesetting failed; a fault of this program.
    #[error("the report could not be typeset: {0}")]
    Typeset(String),
}

/// Fonts and their catalogue, parsed once.
struct Fonts {
    book: LazyHash<FontBook>,
    fonts: Vec<Font>,
}

static FONTS: LazyLock<Fonts> = LazyLock::new(|| {
    let fonts: Vec<Font> = typst_assets::fonts()
        .flat_map(|data| Font::iter(Bytes::new(data)))
        .collect();
    Fonts {
        book: LazyHash::new(FontBook::from_fonts(&fonts)),
        fonts,
    }
});

/// What Typst sees: one file, the embedded fonts, no clock, no file system.
struct ReportWorld {
    library: LazyHash<Library>,
    source: Source,
}

impl World for ReportWorld {
    fn library(&self) -> &LazyHash<Library> {
        &self.library
    }

    fn book(&self) -> &LazyHash<FontBook> {
        &FONTS.book
    }

    fn main(&self) -> FileId {
        self.source.id()
    }

    fn source(&self, id: FileId) -> FileResult<Source> {
        if id == self.source.id() {
            return Ok(self.source.clone());
        }
        Err(FileError::AccessDenied)
    }

    fn file(&self, _id: FileId) -> FileResult<Bytes> {
        Err(FileError::AccessDenied)
    }

    fn font(&self, index: usize) -> Option<Font> {
        FONTS.fonts.get(index).cloned()
    }

    fn today(&self, _offset: Option<Duration>) -> Option<Datetime> {
        None
    }
}

fn text(value: &str) -> Value {
    Str::from(visible(value)).into_value()
}

fn texts(values: &[String]) -> Value {
    let list: Array = values.iter().map(|value| text(value)).collect();
    list.into_value()
}

fn dict<const N: usize>(pairs: [(&str, Value); N]) -> Value {
    let mut dict = Dict::new();
    for (name, value) in pairs {
        dict.insert(name.into(), value);
    }
    dict.into_value()
}

fn list<T>(rows: &[T], to_value: impl Fn(&T) -> Value) -> Value {
    let list: Array = rows.iter().map(to_value).collect();
    list.into_value()
}

fn count(value: u64) -> Value {
    i64::try_from(value).unwrap_or(i64::MAX).into_value()
}

fn data(report: &IncidentReport) -> Dict {
    let mut inputs = Dict::new();
    let mut put = |name: &str, value: Value| {
        inputs.insert(name.into(), value);
    };
    put("number", count(report.number));
    put("title", text(&report.title));
    put("summary", text(&report.summary));
    put("severity", text(report.severity.as_str()));
    put("status", text(&report.status));
    put("verdict", text(&report.verdict));
    put("assignee", text(&report.assignee));
    put("marking", text(report.marking.as_str()));
    put("made_at", text(&report.made_at));
    put("made_by", text(&report.made_by));
    put("first_time", text(&report.first_time));
    put("last_time", text(&report.last_time));
    put(
        "clocks",
        list(&report.clocks, |row| {
            dict([
                ("name", text(&row.name)),
                ("at", text(&row.at)),
                ("after", text(row.after.as_deref().unwrap_or(""))),
            ])
        }),
    );
    put(
        "path",
        list(&report.path, |row| {
            dict([
                ("tactic", text(&row.tactic)),
                ("techniques", texts(&row.techniques)),
                ("alerts", count(row.alerts)),
            ])
        }),
    );
    put(
        "scope",
        list(&report.scope, |row| {
            dict([
                ("kind", text(&row.kind)),
                ("value", text(&row.value)),
                ("roles", text(&row.roles)),
                ("alerts", count(row.alerts)),
            ])
        }),
    );
    put("timeline", timeline(report));
    put("alerts", alerts(report));
    work(report, &mut put);
    inputs
}

fn timeline(report: &IncidentReport) -> Value {
    list(&report.timeline, |row| {
        dict([
            ("at", text(&row.at)),
            ("kind", text(&row.kind)),
            ("title", text(&row.title)),
            ("detail", text(&row.detail)),
            ("actor", text(&row.actor)),
            ("severity", text(row.severity.map_or("", |s| s.as_str()))),
        ])
    })
}

fn alerts(report: &IncidentReport) -> Value {
    list(&report.alerts, |row| {
        let matched: Array = row
            .matched
            .iter()
            .map(|(field, value)| dict([("field", text(field)), ("value", text(value))]))
            .collect();
        dict([
            ("id", text(&row.id)),
            ("title", text(&row.title)),
            ("severity", text(row.severity.as_str())),
            ("at", text(&row.at)),
            ("summary", text(&row.summary)),
            ("rule", text(&row.rule)),
            ("count", count(row.count)),
            ("verdict", text(&row.verdict)),
            ("techniques", texts(&row.techniques)),
            ("matched", matched.into_value()),
            ("reasons", texts(&row.reasons)),
        ])
    })
}

fn work(report: &IncidentReport, put: &mut impl FnMut(&str, Value)) {
    put(
        "tasks",
        list(&report.tasks, |row| {
            dict([
                ("title", text(&row.title)),
                ("status", text(&row.status)),
                ("assignee", text(&row.assignee)),
            ])
        }),
    );
    put(
        "notes",
        list(&report.notes, |row| {
            dict([
                ("at", text(&row.at)),
                ("author", text(&row.author)),
                ("text", text(&row.text)),
            ])
        }),
    );
    put(
        "observables",
        list(&report.observables, |row| {
            dict([
                ("kind", text(&row.kind)),
                ("value", text(&row.value)),
                ("note", text(&row.note)),
            ])
        }),
    );
    put(
        "decisions",
        list(&report.decisions, |row| {
            dict([
                ("at", text(&row.at)),
                ("actor", text(&row.actor)),
                ("text", text(&row.text)),
            ])
        }),
    );
}

fn first_message(errors: &[SourceDiagnostic]) -> PdfError {
    PdfError::Typeset(
        errors
            .first()
            .map_or_else(|| "no reason given".to_owned(), |e| e.message.to_string()),
    )
}

/// Renders the report. Takes seconds of a core in unoptimised builds: call it off the async
/// runtime.
///
/// # Errors
/// [`PdfError`].
pub fn incident_pdf(report: &IncidentReport) -> Result<Vec<u8>, PdfError> {
    let path = VirtualPath::new("incident.typ").map_err(|_| PdfError::Template)?;
    let id = FileId::new(RootedPath::new(VirtualRoot::Project, path));
    let world = ReportWorld {
        library: LazyHash::new(Library::builder().with_inputs(data(report)).build()),
        source: Source::new(id, TEMPLATE.to_owned()),
    };
    let document = typst::compile(&world)
        .output
        .map_err(|errors| first_message(&errors))?;
    let options = typst_pdf::PdfOptions::default();
    let pdf = typst_pdf::pdf(&document, &options).map_err(|errors| first_message(&errors));
    typst::comemo::evict(CACHE_AGE_MAX);
    pdf
}

//! Report documents as HTML and PDF, from plain values.
//!
//! Text in a report comes from logs and is hostile: it is escaped in HTML, and given to Typst
//! as data, never as markup. Pure: the time of making is given by the caller.

mod document;
mod html;
mod pdf;
mod text;

pub use document::{
    IncidentReport, ReportAlert, ReportClock, ReportDecision, ReportNote, ReportObservable,
    ReportScope, ReportTask, ReportTechnique, ReportTimelineEntry,
};
pub use html::incident_html;
pub use pdf::{PdfError, incident_pdf};

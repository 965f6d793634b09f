//! Indicators of attackers' doing: lists read, kept compactly by the ten million, and met in
//! events.
//!
//! Nothing here knows a file, a socket or a clock: readers take a `BufRead`, and whether an
//! indicator is still valid is judged by the time of the event.
//!
//! Start at [`IndicatorSet`].

mod export;
mod finding;
mod indicator;
mod list;
mod matcher;
mod places;
mod set;
mod url;
mod value;

pub use export::{csv_header, csv_line, stix_object};
pub use finding::{EntitiesOf, Findings};
pub use indicator::{Indicator, IndicatorKind, KindCounts};
pub use list::{ListFormat, ListReport, RefusedLine, read_list};
pub use matcher::{EventMatches, Matcher, Met};
pub use set::{Held, IndicatorSet, SetBuilder, SetFull};
pub use value::{Value, ValueError};

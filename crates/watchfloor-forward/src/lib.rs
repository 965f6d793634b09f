//! Destinations that copies of records are forwarded to.
//!
//! Start at [`Destination`].

mod bucket;
mod destination;
mod http;
mod kafka;
mod syslog;

pub use bucket::{Bucket, BucketOptions};
pub use destination::{Destination, SendError, SetUpError};
pub use http::{Http, HttpOptions, http_client};
pub use kafka::{Kafka, KafkaOptions};
pub use syslog::{Syslog, SyslogTarget, Transport};

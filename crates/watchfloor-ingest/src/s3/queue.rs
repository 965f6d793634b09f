//! Being told of new objects by an SQS-compatible queue.
//!
//! A message is deleted when all objects that it names are done; until then the queue gives it
//! again.
//!
//! # Source
//! Amazon SQS, "Making HTTP requests using the AWS JSON protocol"; Amazon S3, "Event message
//! structure".

use std::time::Duration;

use object_store::ClientOptions;
use object_store::aws::AwsAuthorizer;
use object_store::client::{HttpClient, HttpConnector, HttpRequest, ReqwestConnector};
use object_store::path::Path;
use serde_json::{Value, json};

use super::{Bucket, Failed, MEND, RETRY_WAIT};

/// Messages asked for, and worked on, at once; the queue gives at most ten.
const MESSAGES_AT_ONCE: u32 = 4;
/// How long the queue waits for messages, in seconds.
const WAIT_S: u32 = 5;
/// How long a message is ours before it is given to another, in seconds: as long as one waits that
/// a process took which was killed.
const HIDDEN_S: u32 = 30;
/// How often a message that is being worked on is kept from others.
const KEEP_WAIT: Duration = Duration::from_secs(10);
/// How long a request may take.
const REQUEST_LIMIT: Duration = Duration::from_secs(30);
/// Largest answer that is read, in bytes.
const ANSWER_BYTES_MAX: usize = 4 << 20;

struct Queue<'b> {
    bucket: &'b Bucket,
    url: String,
    /// Where requests go: the queue's server.
    server: String,
    http: HttpClient,
}

/// Works on the messages of a queue for ever.
pub(super) async fn run(bucket: &Bucket, url: &str) {
    let options = ClientOptions::new()
        .with_timeout(REQUEST_LIMIT)
        .with_allow_http(true);
    let http = match ReqwestConnector::default().connect(&options) {
        Ok(http) => http,
        Err(error) => {
            bucket
                .handle
                .ended(error, "mend the settings and start the server again");
            return;
        }
    };
    let server = match url::Url::parse(url) {
        Ok(parsed) if parsed.has_host() => parsed.origin().ascii_serialization() + "/",
        _ => {
            bucket.handle.ended(
                format!("'{url}' is no address of a queue"),
                "write it as https://sqs.REGION.amazonaws.com/ACCOUNT/NAME",
            );
            return;
        }
    };
    let queue = Queue {
        bucket,
        url: url.to_owned(),
        server,
        http,
    };
    loop {
        if let Err(error) = queue.round().await {
            bucket.handle.retrying(error, MEND);
            tokio::time::sleep(RETRY_WAIT).await;
        }
    }
}

impl Queue<'_> {
    async fn round(&self) -> Result<(), String> {
        let asked = json!({
            "QueueUrl": self.url, "MaxNumberOfMessages": MESSAGES_AT_ONCE,
            "WaitTimeSeconds": WAIT_S, "VisibilityTimeout": HIDDEN_S,
        });
        let answer = self.ask("ReceiveMessage", asked).await?;
        self.bucket.handle.connected(format!("queue {}", self.url));
        let messages = answer["Messages"].as_array().cloned().unwrap_or_default();
        let working = messages.iter().map(|message| self.finish(message));
        let done = futures::future::join_all(working).await;
        done.into_iter().collect()
    }

    /// Works on a message and deletes it; it is kept from others meanwhile.
    async fn finish(&self, message: &Value) -> Result<(), String> {
        let receipt = &message["ReceiptHandle"];
        let body = message["Body"].as_str().unwrap_or_default();
        let mut working = std::pin::pin!(self.work(body));
        let is_done = loop {
            tokio::select! {
                done = &mut working => break done?,
                () = tokio::time::sleep(KEEP_WAIT) => {}
            }
            let asked = json!({
                "QueueUrl": self.url, "ReceiptHandle": receipt, "VisibilityTimeout": HIDDEN_S,
            });
            self.ask("ChangeMessageVisibility", asked).await?;
        };
        if is_done {
            let asked = json!({"QueueUrl": self.url, "ReceiptHandle": receipt});
            self.ask("DeleteMessage", asked).await?;
        }
        Ok(())
    }

    /// Reads the objects that a message names; says whether it is done with.
    async fn work(&self, body: &str) -> Result<bool, String> {
        let handle = &self.bucket.handle;
        let Some(objects) = objects_of(body) else {
            handle.dropped(handle.records_as(), "not_a_notification", 1);
            handle.trouble(
                "not_a_notification",
                format!(
                    "the queue gave a message that tells of no object; let only S3's notifications go to it. It begins: {}",
                    body.chars().take(120).collect::<String>()
                ),
            );
            return Ok(true);
        };
        for (bucket, key) in objects {
            if bucket != self.bucket.options.bucket {
                handle.trouble(
                    "other_bucket",
                    format!("the queue tells of the bucket {bucket}; give it a source of its own"),
                );
                continue;
            }
            let path = Path::parse(&key).unwrap_or_else(|_| Path::from(key));
            if !self.bucket.is_wanted(&path) {
                continue;
            }
            match self.bucket.read(&path, None).await {
                Ok(()) | Err(Failed::Gone) => {}
                Err(Failed::Later(error)) => return Err(error),
                Err(Failed::Stop) => return Ok(false),
            }
        }
        Ok(true)
    }

    async fn ask(&self, action: &str, asked: Value) -> Result<Value, String> {
        let failed = |error: &dyn std::fmt::Display| format!("the queue: {error}");
        let credential = self.bucket.client.credentials().get_credential().await;
        let credential = credential.map_err(|error| failed(&error))?;
        let body = asked.to_string();
        let request = http::Request::builder()
            .method("POST")
            .uri(&self.server)
            .header("content-type", "application/x-amz-json-1.0")
            .header("x-amz-target", format!("AmazonSQS.{action}"))
            .body(body.into());
        let mut request: HttpRequest = request.map_err(|error| failed(&error))?;
        let region = self.bucket.options.storage.get("region");
        let region = region.map_or("us-east-1", String::as_str);
        AwsAuthorizer::new(&credential, "sqs", region).authorize(&mut request, None);
        let answer = self.http.execute(request).await;
        let answer = answer.map_err(|error| failed(&error))?;
        let status = answer.status();
        let bytes = answer.into_body().bytes().await;
        let bytes = bytes.map_err(|error| failed(&error))?;
        if bytes.len() > ANSWER_BYTES_MAX {
            return Err(failed(&"its answer is too long"));
        }
        if !status.is_success() {
            let text = String::from_utf8_lossy(&bytes);
            let text: String = text.chars().take(200).collect();
            return Err(failed(&format!("{action} is refused ({status}): {text}")));
        }
        if bytes.is_empty() {
            return Ok(Value::Null);
        }
        serde_json::from_slice(&bytes).map_err(|error| failed(&error))
    }
}

/// The objects that a notification names: of S3 itself, through SNS, or through EventBridge.
/// `None` if it is no notification; empty for S3's test message.
pub(super) fn objects_of(body: &str) -> Option<Vec<(String, String)>> {
    let told: Value = serde_json::from_str(body).ok()?;
    if let Some(inner) = told["Message"].as_str() {
        // One step only: SNS does not wrap twice.
        let inner: Value = serde_json::from_str(inner).ok()?;
        return objects_in(&inner);
    }
    objects_in(&told)
}

fn objects_in(told: &Value) -> Option<Vec<(String, String)>> {
    if told["Event"] == "s3:TestEvent" {
        return Some(Vec::new());
    }
    let text = |value: &Value| value.as_str().map(str::to_owned);
    if let Some(detail) = told.get("detail") {
        let object = (
            text(&detail["bucket"]["name"])?,
            text(&detail["object"]["key"])?,
        );
        return Some(vec![object]);
    }
    let records = told["Records"].as_array()?;
    let objects = records.iter().map(|record| {
        let name = record["eventName"].as_str().unwrap_or_default();
        if name.contains("Removed") {
            return Some(None);
        }
        let key = text(&record["s3"]["object"]["key"])?;
        Some(Some((
            text(&record["s3"]["bucket"]["name"])?,
            form_decoded(&key),
        )))
    });
    let objects: Option<Vec<_>> = objects.collect();
    Some(objects?.into_iter().flatten().collect())
}

/// S3 writes names of objects as forms do.
fn form_decoded(key: &str) -> String {
    let pair = format!("k={key}");
    let mut pairs = url::form_urlencoded::parse(pair.as_bytes());
    pairs
        .next()
        .map_or_else(String::new, |(_, value)| value.into_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn notifications_of_every_road_name_their_objects() {
        let s3 = r#"{"Records":[{"eventName":"ObjectCreated:Put","s3":{"bucket":{"name":"soc"},"object":{"key":"a+b/c%3D1.gz"}}},
            {"eventName":"ObjectRemoved:Delete","s3":{"bucket":{"name":"soc"},"object":{"key":"gone"}}}]}"#;
        let expected = vec![("soc".to_owned(), "a b/c=1.gz".to_owned())];
        assert_eq!(objects_of(s3), Some(expected.clone()));
        let sns = json!({"Type": "Notification", "Message": s3}).to_string();
        assert_eq!(objects_of(&sns), Some(expected));
        let bridge = r#"{"detail-type":"Object Created","detail":{"bucket":{"name":"soc"},"object":{"key":"x/y"}}}"#;
        assert_eq!(
            objects_of(bridge),
            Some(vec![("soc".to_owned(), "x/y".to_owned())])
        );
        assert_eq!(objects_of(r#"{"Event":"s3:TestEvent"}"#), Some(Vec::new()));
        for other in [
            "",
            "{}",
            "[1]",
            r#"{"Records":[{}]}"#,
            r#"{"Message":"{}"}"#,
        ] {
            assert_eq!(objects_of(other), None, "{other}");
        }
    }
}

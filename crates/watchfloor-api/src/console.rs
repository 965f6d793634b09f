//! The built console, embedded in the binary: files, or the first page for every other path,
//! because the console has its own routes.

use std::collections::HashMap;
use std::io::Write;
use std::sync::{LazyLock, Mutex};

use axum::body::Body;
use axum::extract::Request;
use axum::http::{HeaderMap, HeaderValue, Method, StatusCode, header};
use axum::response::{IntoResponse, Response};
use bytes::Bytes;
use flate2::Compression;
use flate2::write::GzEncoder;
use rust_embed::{EmbeddedFile, RustEmbed};

use crate::ingest;
use crate::problem::{ApiError, ProblemCode};

#[derive(RustEmbed)]
#[folder = "../../console/dist/"]
struct Assets;

/// Shorter files are not worth compressing.
const GZIP_BYTES_MIN: usize = 1_024;

/// Compressed files, each made once; as many as the binary embeds.
static COMPRESSED: LazyLock<Mutex<HashMap<String, Bytes>>> = LazyLock::new(Mutex::default);

/// Answers every path that is no route.
pub(crate) async fn serve(request: Request) -> Response {
    let path = request.uri().path().trim_start_matches('/').to_owned();
    let is_api = path == "api"
        || path.starts_with("api/")
        || path.starts_with("ingest/")
        || path.starts_with("_");
    if is_api {
        return ApiError::new(
            StatusCode::NOT_FOUND,
            ProblemCode::RouteNotFound,
            "no such route; /api/v1/openapi.json lists them",
        )
        .into_response();
    }
    if !matches!(*request.method(), Method::GET | Method::HEAD) {
        return ApiError::new(
            StatusCode::METHOD_NOT_ALLOWED,
            ProblemCode::MethodNotAllowed,
            "pages are only read",
        )
        .into_response();
    }
    if path.is_empty() && asks_for_search_engine(request.headers()) {
        return ingest::bulk::info().await;
    }
    if let Some(file) = Assets::get(&path) {
        return answer(&path, file, request.headers()).await;
    }
    // A missing file is missing; only paths without an extension are pages of the console.
    let is_page = path
        .rsplit('/')
        .next()
        .is_none_or(|last| !last.contains('.'));
    match Assets::get("index.html").filter(|_| is_page) {
        Some(file) => answer("index.html", file, request.headers()).await,
        None => ApiError::not_found("no such file").into_response(),
    }
}

/// Clients of Elasticsearch ask the root for its version; browsers ask for HTML.
fn asks_for_search_engine(headers: &HeaderMap) -> bool {
    let accept = headers
        .get(header::ACCEPT)
        .and_then(|value| value.to_str().ok())
        .unwrap_or_default();
    accept.contains("json") && !accept.contains("text/html")
}

fn media_type(path: &str) -> &'static str {
    match path.rsplit('.').next().unwrap_or_default() {
        "html" => "text/html; charset=utf-8",
        "js" | "mjs" => "text/javascript; charset=utf-8",
        "css" => "text/css; charset=utf-8",
        "json" | "map" => "application/json",
        "webmanifest" => "application/manifest+json",
        "svg" => "image/svg+xml",
        "png" => "image/png",
        "ico" => "image/x-icon",
        "webp" => "image/webp",
        "woff2" => "font/woff2",
        "woff" => "font/woff",
        "txt" => "text/plain; charset=utf-8",
        "wasm" => "application/wasm",
        _ => "application/octet-stream",
    }
}

fn is_compressible(media: &str) -> bool {
    media.starts_with("text/")
        || media.contains("json")
        || media.contains("svg")
        || media.contains("wasm")
}

async fn answer(path: &str, file: EmbeddedFile, headers: &HeaderMap) -> Response {
    let media = media_type(path);
    let digest = file.metadata.sha256_hash();
    let tag = format!("\"{}\"", hex::encode(&digest[..12]));
    // Vite puts a hash of the content into the names under assets/.
    let cache = if path.starts_with("assets/") {
        "public, max-age=31536000, immutable"
    } else {
        "no-cache"
    };
    let known = headers
        .get(header::IF_NONE_MATCH)
        .is_some_and(|value| value.as_bytes() == tag.as_bytes());
    let takes_gzip = headers
        .get(header::ACCEPT_ENCODING)
        .and_then(|value| value.to_str().ok())
        .is_some_and(|text| text.contains("gzip"));
    let plain = match file.data {
        std::borrow::Cow::Borrowed(bytes) => Bytes::from_static(bytes),
        std::borrow::Cow::Owned(bytes) => Bytes::from(bytes),
    };
    let zip = takes_gzip && is_compressible(media) && plain.len() >= GZIP_BYTES_MIN;
    let mut response = if known {
        StatusCode::NOT_MODIFIED.into_response()
    } else if zip {
        let mut response = Body::from(compressed(path, plain).await).into_response();
        response
            .headers_mut()
            .insert(header::CONTENT_ENCODING, HeaderValue::from_static("gzip"));
        response
    } else {
        Body::from(plain).into_response()
    };
    let out = response.headers_mut();
    out.insert(header::CONTENT_TYPE, HeaderValue::from_static(media));
    out.insert(header::CACHE_CONTROL, HeaderValue::from_static(cache));
    out.insert(header::VARY, HeaderValue::from_static("accept-encoding"));
    if let Ok(value) = HeaderValue::try_from(tag) {
        out.insert(header::ETAG, value);
    }
    response
}

/// The compressed form of a file, made at the first request for it, off the async runtime.
async fn compressed(path: &str, plain: Bytes) -> Bytes {
    let cached = |path: &str| {
        let map = COMPRESSED.lock().unwrap_or_else(|e| e.into_inner());
        map.get(path).cloned()
    };
    if let Some(bytes) = cached(path) {
        return bytes;
    }
    let work = move || {
        let mut encoder = GzEncoder::new(Vec::new(), Compression::best());
        encoder.write_all(&plain).and_then(|()| encoder.finish())
    };
    match tokio::task::spawn_blocking(work).await {
        Ok(Ok(bytes)) => {
            let bytes = Bytes::from(bytes);
            let mut map = COMPRESSED.lock().unwrap_or_else(|e| e.into_inner());
            map.insert(path.to_owned(), bytes.clone());
            bytes
        }
        // Writing to memory does not fail and the closure does not panic; an empty page would
        // be seen at once.
        Ok(Err(_)) | Err(_) => Bytes::new(),
    }
}

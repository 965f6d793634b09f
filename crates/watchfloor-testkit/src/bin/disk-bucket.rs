//! An S3-compatible server that keeps its objects on disk, so that it can be killed.
//!
//! `disk-bucket ADDRESS FOLDER ACCESS_KEY SECRET_KEY`; a folder in the folder is a bucket.

use std::path::PathBuf;
use std::sync::Arc;

use anyhow::{Context, Result, anyhow, bail};
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper::{Method, Request};
use hyper_util::rt::TokioIo;
use hyper_util::server::conn::auto::Builder;
use s3s::auth::SimpleAuth;
use s3s::service::S3ServiceBuilder;
use s3s_fs::FileSystem;
use tokio::net::TcpListener;
use tokio::sync::Mutex;

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<()> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [address, folder, access_key, secret_key] = arguments.as_slice() else {
        bail!("disk-bucket ADDRESS FOLDER ACCESS_KEY SECRET_KEY");
    };
    let files = FileSystem::new(PathBuf::from(folder)).map_err(|error| anyhow!("{error:?}"))?;
    let mut builder = S3ServiceBuilder::new(files);
    builder.set_auth(SimpleAuth::from_single(access_key, secret_key.as_str()));
    let service = builder.build();
    let listener = TcpListener::bind(address)
        .await
        .with_context(|| format!("cannot listen on {address}"))?;
    // The library looks whether an object is there and then writes it; a bucket does both at once.
    let writing: Arc<Mutex<()>> = Arc::default();
    loop {
        let (socket, _) = listener.accept().await?;
        let (service, writing) = (service.clone(), Arc::clone(&writing));
        let service = service_fn(move |request: Request<Incoming>| {
            let (service, writing) = (service.clone(), Arc::clone(&writing));
            async move {
                let _alone = match *request.method() {
                    Method::PUT => Some(writing.lock().await),
                    _ => None,
                };
                service.call(request.map(Into::into)).await
            }
        });
        tokio::spawn(async move {
            let server = Builder::new(hyper_util::rt::TokioExecutor::new());
            // A client that goes away is no fault of the server.
            let _ = server.serve_connection(TokioIo::new(socket), service).await;
        });
    }
}

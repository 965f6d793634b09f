//! `watchfloor cluster`: machines that help with queries, and the certificates by which they know
//! each other.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};
use rcgen::{
    BasicConstraints, CertificateParams, DnType, ExtendedKeyUsagePurpose, IsCa, Issuer, KeyPair,
    KeyUsagePurpose,
};
use tokio::net::TcpListener;
use watchfloor_lake::NodeIdentity;

use crate::Outcome;
use crate::cli::{ClusterCommand, WorkerArgs};
use crate::command::block_on;
use crate::config::{ClusterConfig, Config};

const AUTHORITY: &str = "authority.pem";
const AUTHORITY_KEY: &str = "authority.key";
/// Name of the authority in its certificate.
const NAME: &str = "Watchfloor cluster";

pub(crate) fn run(command: &ClusterCommand) -> Result<Outcome> {
    match command {
        ClusterCommand::Authority { out } => authority(out)?,
        ClusterCommand::Certificate {
            authority,
            name,
            out,
        } => certificate(authority, name, out)?,
        ClusterCommand::Worker(args) => worker(args)?,
    }
    Ok(Outcome::Done)
}

/// Makes the authority that signs the certificates of a cluster's nodes.
fn authority(out: &Path) -> Result<()> {
    let path = out.join(AUTHORITY);
    if path.exists() {
        bail!(
            "{} exists; nodes that trust it would not trust a new one, so name another folder or remove it first",
            path.display()
        );
    }
    let key = KeyPair::generate().context("no key can be made")?;
    let made = authority_params().self_signed(&key);
    let made = made.context("no certificate can be made")?;
    write(out, AUTHORITY, &made.pem())?;
    write(out, AUTHORITY_KEY, &key.serialize_pem())?;
    println!("{}", path.display());
    Ok(())
}

/// The same every time: who it is stands in the key.
fn authority_params() -> CertificateParams {
    let mut params = CertificateParams::default();
    params.distinguished_name.push(DnType::CommonName, NAME);
    params.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
    params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
    params
}

/// Makes the certificate of a node; it serves and asks with the same.
fn certificate(authority: &Path, names: &[String], out: &Path) -> Result<()> {
    let (Some(first), read) = (names.first(), |name: &str| {
        let path = authority.join(name);
        std::fs::read_to_string(&path).with_context(|| {
            format!(
                "cannot read {}; watchfloor cluster authority makes it",
                path.display()
            )
        })
    }) else {
        bail!("a node needs a name: its host name or address, as others reach it");
    };
    let key =
        KeyPair::from_pem(&read(AUTHORITY_KEY)?).context("the authority's key is not valid")?;
    let issuer = Issuer::new(authority_params(), key);
    let mut params = CertificateParams::new(names)
        .with_context(|| format!("'{}' cannot stand in a certificate", names.join("', '")))?;
    params
        .distinguished_name
        .push(DnType::CommonName, first.as_str());
    params.extended_key_usages = vec![
        ExtendedKeyUsagePurpose::ServerAuth,
        ExtendedKeyUsagePurpose::ClientAuth,
    ];
    let own = KeyPair::generate().context("no key can be made")?;
    let made = params.signed_by(&own, &issuer);
    let made = made.context("no certificate can be made")?;
    write(out, "node.pem", &made.pem())?;
    write(out, "node.key", &own.serialize_pem())?;
    write(out, AUTHORITY, &read(AUTHORITY)?)?;
    println!("{}", out.join("node.pem").display());
    Ok(())
}

/// Writes a file that only its owner reads.
fn write(folder: &Path, name: &str, text: &str) -> Result<()> {
    use std::io::Write;
    use std::os::unix::fs::OpenOptionsExt;
    std::fs::create_dir_all(folder)
        .with_context(|| format!("cannot make the folder {}", folder.display()))?;
    let path = folder.join(name);
    let file = std::fs::OpenOptions::new()
        .create(true)
        .truncate(true)
        .write(true)
        .mode(0o600)
        .open(&path);
    file.and_then(|mut file| file.write_all(text.as_bytes()))
        .with_context(|| format!("cannot write {}", path.display()))
}

fn worker(args: &WorkerArgs) -> Result<()> {
    let file = args.config.as_deref().map(Config::cluster_and_storage);
    let (cluster, storage) = file.transpose()?.unwrap_or_default();
    let identity = identity(&ClusterConfig {
        authority: args.authority.clone().or(cluster.authority),
        certificate: args.certificate.clone().or(cluster.certificate),
        key: args.key.clone().or(cluster.key),
        ..ClusterConfig::default()
    })?;
    let memory = usize::try_from(args.memory_mib << 20).unwrap_or(usize::MAX);
    block_on(serve(args, identity, storage, memory))
}

async fn serve(
    args: &WorkerArgs,
    identity: NodeIdentity,
    storage: BTreeMap<String, String>,
    memory: usize,
) -> Result<()> {
    let listener = TcpListener::bind(args.listen).await.with_context(|| {
        format!(
            "cannot listen on {}; choose another address with --listen",
            args.listen
        )
    })?;
    println!("ready https://{}", listener.local_addr()?);
    let stop = crate::server::told_to_end();
    watchfloor_lake::work(listener, &identity, storage, memory, stop).await?;
    Ok(())
}

/// Reads the certificates of a node.
pub(crate) fn identity(config: &ClusterConfig) -> Result<NodeIdentity> {
    let read = |path: &Option<PathBuf>, what: &str| {
        let path = path.as_ref().with_context(|| {
            format!("cluster.{what} is missing; watchfloor cluster certificate makes the files")
        })?;
        std::fs::read_to_string(path).with_context(|| format!("cannot read {}", path.display()))
    };
    Ok(NodeIdentity {
        authority: read(&config.authority, "authority")?,
        certificate: read(&config.certificate, "certificate")?,
        key: read(&config.key, "key")?,
    })
}

//! `watchfloor admin`: tokens and the audit chain, on a data folder whose server may run.

use std::path::Path;
use std::sync::Arc;

use anyhow::{Result, anyhow};
use jiff::Timestamp;
use watchfloor_casework::{Casework, CaseworkSettings, SystemClock};
use watchfloor_fleet::Authority;
use watchfloor_link::EnrolmentToken;
use watchfloor_model::{Actor, Scope, TenantId};

use crate::Outcome;
use crate::cli::{AdminCommand, AuditCommand};
use crate::command::block_on;
use crate::fleet;
use crate::records;

pub(crate) fn run(command: &AdminCommand) -> Result<Outcome> {
    match command {
        AdminCommand::Token {
            scope,
            name,
            days,
            data,
        } => block_on(token(scope, name, *days, data)),
        AdminCommand::Enrolment { uses, hours, data } => block_on(enrolment(*uses, *hours, data)),
        AdminCommand::Audit(AuditCommand::Verify { data }) => block_on(verify(data)),
    }
}

async fn open(data: &Path) -> Result<Casework> {
    let store = records::of_data(data).await?;
    Ok(Casework::new(
        store,
        CaseworkSettings::standard(),
        Arc::new(SystemClock),
    ))
}

async fn token(scopes: &[String], name: &str, days: u32, data: &Path) -> Result<Outcome> {
    let scopes: Result<Vec<Scope>> = scopes
        .iter()
        .map(|word| {
            Scope::parse(word).ok_or_else(|| {
                anyhow!("there is no scope '{word}'; there are ingest, read, write, admin")
            })
        })
        .collect();
    let casework = open(data).await?;
    let made = casework
        .add_token(&Actor::system(TenantId::main()), name, scopes?, days)
        .await?;
    println!("{}", made.secret);
    Ok(Outcome::Done)
}

async fn enrolment(uses: u32, hours: u32, data: &Path) -> Result<Outcome> {
    let casework = open(data).await?;
    let authority = Authority::open(&data.join(fleet::FOLDER), Timestamp::now())?;
    let actor = Actor::system(TenantId::main());
    let made = casework.add_enrolment(&actor, None, uses, hours).await?;
    let token = EnrolmentToken {
        secret: made.secret,
        pin: authority.pin(),
    };
    println!("{token}");
    Ok(Outcome::Done)
}

async fn verify(data: &Path) -> Result<Outcome> {
    let casework = open(data).await?;
    let (entries, fault) = casework.verify_audit(&TenantId::main()).await?;
    match fault {
        None => {
            println!("audit chain is whole: {entries} entries");
            Ok(Outcome::Done)
        }
        Some(fault) => {
            println!("audit chain is broken after {entries} entries: {fault:?}");
            Ok(Outcome::Found)
        }
    }
}

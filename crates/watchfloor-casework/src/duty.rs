//! Who is on call: rotations whose turns follow the local clock, and who stands in.

use jiff::civil::{Date, DateTime, Time};
use jiff::tz::TimeZone;
use jiff::{SignedDuration, Timestamp};
use watchfloor_model::{
    Actor, Contact, Permission, Rotation, RotationId, StandIn, StandInId, TenantId,
};
use watchfloor_store::WriteTx;

use crate::alerts::check_version;
use crate::error::checked_text;
use crate::{Casework, CaseworkError, DutyNotice, LiveChange};

/// Longest name and contact in bytes.
const NAME_BYTES_MAX: usize = 200;
/// Most members of a rotation.
const MEMBERS_MAX: usize = 100;
/// Longest turn in hours: twelve weeks.
const TURN_HOURS_MAX: u32 = 12 * 7 * 24;
/// Longest time that somebody stands in, in hours: a year.
const STAND_IN_HOURS_MAX: i64 = 366 * 24;
/// Most turns in one answer.
const TURNS_MAX: usize = 5_000;

/// A time that somebody is on call.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Turn {
    /// From (inclusive).
    pub from: Timestamp,
    /// To (exclusive).
    pub to: Timestamp,
    /// Who.
    pub name: String,
    /// For whom they stand in.
    pub instead_of: Option<String>,
}

/// Who is on call, and who is next.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OnCall {
    /// The turn that runs.
    pub now: Turn,
    /// The next turn of somebody else.
    pub next: Option<Turn>,
}

/// A rotation with its turns over a time.
#[derive(Clone, Debug)]
pub struct Roster {
    /// The rotation.
    pub rotation: Rotation,
    /// Who is on call now.
    pub on_call: Option<OnCall>,
    /// Turns of the time that was asked for.
    pub turns: Vec<Turn>,
    /// Who stands in, from now on and within that time.
    pub stand_ins: Vec<StandIn>,
}

/// A rotation that is to be made or changed.
#[derive(Clone, Debug)]
pub struct NewRotation {
    /// Its name.
    pub name: String,
    /// Names of users, in the order of their turns.
    pub members: Vec<String>,
    /// First day, local.
    pub starts_on: String,
    /// Minute of the day at which a turn begins, local.
    pub handover_minute: u16,
    /// Length of a turn in hours by the local clock.
    pub turn_hours: u32,
    /// Time zone.
    pub zone: String,
}

/// Somebody is to stand in.
#[derive(Clone, Debug)]
pub struct NewStandIn {
    /// Who.
    pub name: String,
    /// For whom; for whoever is on call without.
    pub instead_of: Option<String>,
    /// From (inclusive).
    pub from: Timestamp,
    /// To (exclusive).
    pub to: Timestamp,
}

/// When turns begin: by the local clock, so that eight in the morning stays eight in the morning
/// when clocks change. That turn is an hour shorter or longer.
struct Beat {
    zone: TimeZone,
    start: DateTime,
    hours: i64,
}

impl Beat {
    fn of(rotation: &Rotation) -> Option<Self> {
        let minute = rotation.handover_minute;
        let time = Time::new((minute / 60) as i8, (minute % 60) as i8, 0, 0).ok()?;
        Some(Self {
            zone: TimeZone::get(&rotation.zone).ok()?,
            start: rotation.starts_on.parse::<Date>().ok()?.to_datetime(time),
            hours: i64::from(rotation.turn_hours.max(1)),
        })
    }

    fn begin(&self, number: i64) -> Option<Timestamp> {
        let hours = SignedDuration::from_hours(self.hours.checked_mul(number)?);
        let local = self.start.checked_add(hours).ok()?;
        self.zone.to_timestamp(local).ok()
    }

    /// Number of the turn in which an instant lies; the first one before the start.
    fn number_at(&self, at: Timestamp) -> i64 {
        let since = self.zone.to_datetime(at).duration_since(self.start);
        let mut number = (since.as_hours() / self.hours - 1).max(0);
        while self.begin(number + 1).is_some_and(|begin| begin <= at) {
            number += 1;
        }
        number
    }
}

/// The turns of a rotation that lie in a time, or partly; whole, in order.
pub fn turns(
    rotation: &Rotation,
    stand_ins: &[StandIn],
    from: Timestamp,
    to: Timestamp,
) -> Vec<Turn> {
    let mut out = Vec::new();
    let Some(beat) = Beat::of(rotation).filter(|_| !rotation.members.is_empty()) else {
        return out;
    };
    let mut number = beat.number_at(from);
    while out.len() < TURNS_MAX {
        let (Some(begin), Some(end)) = (beat.begin(number), beat.begin(number + 1)) else {
            break;
        };
        if begin >= to {
            break;
        }
        let member = usize::try_from(number).unwrap_or_default() % rotation.members.len();
        if end > from && begin < end {
            let own = stand_ins
                .iter()
                .filter(|one| one.rotation_id == rotation.id);
            let own: Vec<&StandIn> = own.collect();
            cut(&rotation.members[member], &own, begin, end, &mut out);
        }
        number += 1;
    }
    out.retain(|turn| turn.to > from && turn.from < to);
    out
}

/// Cuts one turn where somebody stands in; who was said last counts.
fn cut(
    member: &str,
    stand_ins: &[&StandIn],
    begin: Timestamp,
    end: Timestamp,
    out: &mut Vec<Turn>,
) {
    let inside = |at: &Timestamp| *at > begin && *at < end;
    let edges = stand_ins.iter().flat_map(|one| [one.from, one.to]);
    let mut edges: Vec<Timestamp> = edges.filter(inside).chain([begin, end]).collect();
    edges.sort_unstable();
    edges.dedup();
    for pair in edges.windows(2) {
        let &[from, to] = pair else { continue };
        let stands_in = stand_ins.iter().rev().find(|one| {
            let is_meant = one.instead_of.as_ref().is_none_or(|name| name == member);
            is_meant && one.from <= from && to <= one.to && one.name != member
        });
        let turn = Turn {
            from,
            to,
            name: stands_in.map_or(member, |one| &one.name).to_owned(),
            instead_of: stands_in.map(|_| member.to_owned()),
        };
        match out.last_mut() {
            Some(last)
                if last.to == from
                    && last.from >= begin
                    && last.name == turn.name
                    && last.instead_of == turn.instead_of =>
            {
                last.to = to;
            }
            _ => out.push(turn),
        }
    }
}

/// Who is on call at an instant, and who is next.
pub fn on_call_at(rotation: &Rotation, stand_ins: &[StandIn], now: Timestamp) -> Option<OnCall> {
    let ahead = i64::from(rotation.turn_hours)
        .saturating_mul(3)
        .max(14 * 24);
    let until = now.saturating_add(SignedDuration::from_hours(ahead)).ok()?;
    let mut turns = turns(rotation, stand_ins, now, until).into_iter();
    let now = turns.next().filter(|turn| turn.from <= now)?;
    let next = turns.find(|turn| turn.name != now.name);
    Some(OnCall { now, next })
}

impl Casework {
    /// All rotations: who is on call now, and the turns of a time.
    ///
    /// # Errors
    /// [`CaseworkError`].
    pub async fn rosters(
        &self,
        actor: &Actor,
        from: Timestamp,
        to: Timestamp,
    ) -> Result<Vec<Roster>, CaseworkError> {
        self.authorize(actor, Permission::ReadCases)?;
        let now = self.now();
        let mut reader = self.store().read(&actor.tenant).await?;
        let rotations = reader.q().rotations().await?;
        let stand_ins = reader.q().stand_ins(from.min(now)).await?;
        Ok(rotations
            .into_iter()
            .map(|rotation| Roster {
                on_call: on_call_at(&rotation, &stand_ins, now),
                turns: turns(&rotation, &stand_ins, from, to),
                stand_ins: stand_ins
                    .iter()
                    .filter(|one| one.rotation_id == rotation.id)
                    .cloned()
                    .collect(),
                rotation,
            })
            .collect())
    }

    /// Makes a rotation.
    ///
    /// # Errors
    /// [`CaseworkError`].
    pub async fn add_rotation(
        &self,
        actor: &Actor,
        new: NewRotation,
    ) -> Result<Rotation, CaseworkError> {
        self.authorize(actor, Permission::ManageDuty)?;
        let mut tx = self.store().write(&actor.tenant).await?;
        let id = RotationId::numbered(tx.next_number("rotation").await?);
        self.keep_rotation(tx, actor, id, 1, "rotation.create", new)
            .await
    }

    /// Changes a rotation.
    ///
    /// # Errors
    /// [`CaseworkError`].
    pub async fn change_rotation(
        &self,
        actor: &Actor,
        id: &RotationId,
        new: NewRotation,
        expected: Option<u64>,
    ) -> Result<Rotation, CaseworkError> {
        self.authorize(actor, Permission::ManageDuty)?;
        let mut tx = self.store().write(&actor.tenant).await?;
        let current = tx.q().rotation(id).await?.version;
        check_version("rotation", id.as_str(), current, expected)?;
        self.keep_rotation(tx, actor, id.clone(), current + 1, "rotation.change", new)
            .await
    }

    async fn keep_rotation(
        &self,
        mut tx: WriteTx,
        actor: &Actor,
        id: RotationId,
        version: u64,
        verb: &'static str,
        new: NewRotation,
    ) -> Result<Rotation, CaseworkError> {
        let name = checked_text("name", &new.name, NAME_BYTES_MAX)?;
        let mut members = Vec::new();
        for member in &new.members {
            members.push(known_user(&mut tx, "members", member).await?);
        }
        let rotation = Rotation {
            id,
            name,
            members,
            starts_on: new.starts_on,
            handover_minute: new.handover_minute,
            turn_hours: new.turn_hours,
            zone: new.zone,
            changed_by: actor.name.clone(),
            changed_at: self.now(),
            version,
        };
        check_rotation(&rotation)?;
        let names = rotation.members.join(", ");
        let change = self.change(actor, verb, format!("{}: {names}", rotation.name));
        match tx.save_rotation(&rotation, &change).await {
            Err(error) if error.is_duplicate() => {
                return Err(CaseworkError::Taken {
                    field: "name",
                    value: rotation.name,
                });
            }
            done => done?,
        }
        tx.commit().await?;
        self.tell_roster(&actor.tenant, "A rotation changed.");
        Ok(rotation)
    }

    /// Forgets a rotation that no escalation goes to.
    ///
    /// # Errors
    /// [`CaseworkError`].
    pub async fn remove_rotation(
        &self,
        actor: &Actor,
        id: &RotationId,
    ) -> Result<(), CaseworkError> {
        self.authorize(actor, Permission::ManageDuty)?;
        let mut tx = self.store().write(&actor.tenant).await?;
        let policy = tx.q().escalation_policy().await?;
        if [&policy.primary, &policy.secondary].contains(&&Some(id.clone())) {
            return Err(invalid(
                "id",
                "escalation goes to this rotation; choose another one there first",
            ));
        }
        let name = tx.q().rotation(id).await?.name;
        let change = self.change(actor, "rotation.remove", name);
        tx.remove_rotation(id, &change).await?;
        tx.commit().await?;
        self.tell_roster(&actor.tenant, "A rotation was removed.");
        Ok(())
    }

    /// Writes down that somebody stands in. Whoever works on cases does so for themselves, who
    /// manages duty for everybody.
    ///
    /// # Errors
    /// [`CaseworkError`].
    pub async fn add_stand_in(
        &self,
        actor: &Actor,
        rotation: &RotationId,
        new: NewStandIn,
    ) -> Result<StandIn, CaseworkError> {
        self.authorize(actor, Permission::WorkCases)?;
        let is_own = new.name == actor.name || new.instead_of.as_ref() == Some(&actor.name);
        if !is_own {
            self.authorize(actor, Permission::ManageDuty)?;
        }
        let span = new.to.duration_since(new.from);
        if span <= SignedDuration::ZERO || span.as_hours() > STAND_IN_HOURS_MAX {
            return Err(invalid("to", "must lie after from, at most a year"));
        }
        let mut tx = self.store().write(&actor.tenant).await?;
        let known = tx.q().rotation(rotation).await?;
        let name = known_user(&mut tx, "name", &new.name).await?;
        let is_member = |name: &String| known.members.contains(name);
        if new.instead_of.as_ref().is_some_and(|name| !is_member(name)) {
            return Err(invalid("instead_of", "is no member of the rotation"));
        }
        let stand_in = StandIn {
            id: StandInId::numbered(tx.next_number("stand_in").await?),
            rotation_id: rotation.clone(),
            name,
            instead_of: new.instead_of,
            from: new.from,
            to: new.to,
            created_by: actor.name.clone(),
            created_at: self.now(),
        };
        let whom = stand_in
            .instead_of
            .as_deref()
            .unwrap_or("whoever is on call");
        let detail = format!(
            "{} stands in for {whom} from {} to {}",
            stand_in.name, stand_in.from, stand_in.to
        );
        let change = self.change(actor, "rotation.stand_in", detail.clone());
        tx.add_stand_in(&stand_in, &change).await?;
        tx.commit().await?;
        self.tell_roster(&actor.tenant, &detail);
        Ok(stand_in)
    }

    /// Takes back that somebody stands in.
    ///
    /// # Errors
    /// [`CaseworkError`].
    pub async fn remove_stand_in(
        &self,
        actor: &Actor,
        id: &StandInId,
    ) -> Result<(), CaseworkError> {
        self.authorize(actor, Permission::WorkCases)?;
        let mut tx = self.store().write(&actor.tenant).await?;
        let known = tx.q().stand_ins(Timestamp::MIN).await?;
        let known = known.into_iter().find(|one| one.id == *id);
        let known = known.ok_or_else(|| CaseworkError::Missing {
            kind: "stand-in",
            id: id.to_string(),
        })?;
        let names = [
            Some(&known.name),
            known.instead_of.as_ref(),
            Some(&known.created_by),
        ];
        if !names.contains(&Some(&actor.name)) {
            self.authorize(actor, Permission::ManageDuty)?;
        }
        let change = self.change(actor, "rotation.stand_in_end", known.name);
        tx.remove_stand_in(id, &change).await?;
        tx.commit().await?;
        self.tell_roster(&actor.tenant, "Somebody stands in no more.");
        Ok(())
    }

    /// How people are reached outside of the console.
    ///
    /// # Errors
    /// [`CaseworkError`].
    pub async fn contacts(&self, actor: &Actor) -> Result<Vec<Contact>, CaseworkError> {
        self.authorize(actor, Permission::ReadCases)?;
        let mut reader = self.store().read(&actor.tenant).await?;
        Ok(reader.q().contacts().await?)
    }

    /// Sets how somebody is reached: oneself, or anybody for who manages duty.
    ///
    /// # Errors
    /// [`CaseworkError`].
    pub async fn set_contact(
        &self,
        actor: &Actor,
        contact: Contact,
    ) -> Result<Contact, CaseworkError> {
        self.authorize(actor, Permission::WorkCases)?;
        if contact.name != actor.name {
            self.authorize(actor, Permission::ManageDuty)?;
        }
        let email = contact.email.trim().to_owned();
        let is_plain = email.split_once('@').is_some_and(|(user, host)| {
            !user.is_empty() && !host.is_empty() && !email.contains(char::is_whitespace)
        });
        if !email.is_empty() && (!is_plain || email.len() > NAME_BYTES_MAX) {
            return Err(invalid("email", "is no e-mail address"));
        }
        let mention = contact.mention.trim().to_owned();
        if mention.len() > NAME_BYTES_MAX || mention.contains(char::is_control) {
            return Err(invalid("mention", "must be one line of at most 200 bytes"));
        }
        let mut tx = self.store().write(&actor.tenant).await?;
        let name = known_user(&mut tx, "name", &contact.name).await?;
        let contact = Contact {
            name,
            email,
            mention,
        };
        let change = self.change(actor, "contact.change", contact.name.clone());
        tx.save_contact(&contact, &change).await?;
        tx.commit().await?;
        Ok(contact)
    }

    pub(crate) fn tell_roster(&self, tenant: &TenantId, text: &str) {
        self.tell(LiveChange::Duty(
            tenant.clone(),
            std::sync::Arc::new(DutyNotice {
                recipients: Vec::new(),
                subjects: Vec::new(),
                text: text.to_owned(),
            }),
        ));
    }
}

/// The name of a user who can sign in, as it is written there.
async fn known_user(
    tx: &mut WriteTx,
    field: &'static str,
    name: &str,
) -> Result<String, CaseworkError> {
    match tx.q().user_by_name(name).await? {
        Some((user, _)) if !user.disabled => Ok(user.name),
        Some(_) | None => Err(invalid(
            field,
            &format!("'{name}' is no user who can sign in"),
        )),
    }
}

fn invalid(field: &'static str, reason: &str) -> CaseworkError {
    CaseworkError::Invalid {
        field,
        reason: reason.to_owned(),
    }
}

fn check_rotation(rotation: &Rotation) -> Result<(), CaseworkError> {
    if rotation.members.is_empty() || rotation.members.len() > MEMBERS_MAX {
        return Err(invalid("members", "must hold 1 to 100 users"));
    }
    if rotation.handover_minute >= 1_440 {
        return Err(invalid("handover_minute", "goes from 0 to 1439"));
    }
    if !(1..=TURN_HOURS_MAX).contains(&rotation.turn_hours) {
        return Err(invalid("turn_hours", "must be 1 hour to 12 weeks"));
    }
    if TimeZone::get(&rotation.zone).is_err() {
        return Err(invalid("zone", "names no time zone of the IANA database"));
    }
    if rotation.starts_on.parse::<Date>().is_err() {
        return Err(invalid("starts_on", "expected a day such as 2026-03-02"));
    }
    Ok(())
}

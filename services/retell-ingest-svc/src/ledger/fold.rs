//! The events of one batch, placed and folded in memory; and a call folded anew from what is kept.

use std::collections::HashSet;

use sqlx::PgConnection;
use switchhook_core::ids::UserId;
use switchhook_core::n8n::envelope;

use super::{Incoming, Novelty, Taken};
use crate::domain::call::Call;
use crate::domain::event::{self, Event};
use crate::domain::owner::{self, Agent, Candidate, Place, Tenures};
use crate::store;
use crate::store::events::{CallRow, EventRow, Known};

/// What a batch changes.
pub(super) struct Fold {
    rows: Vec<CallRow>,
    changed: HashSet<i64>,
    taken: HashSet<(i64, [u8; 32])>,
    ids: Vec<i64>,
    events: Vec<EventRow>,
}

/// Where an event of the batch went.
pub(super) enum Went {
    Into { row: i64, novelty: Novelty },
    Nowhere,
}

impl Fold {
    /// `rows` are those that the events may go in, `ids` are numbers for new ones, as many as there are events.
    pub(super) fn new(rows: Vec<CallRow>, ids: Vec<i64>) -> Self {
        Self {
            rows,
            changed: HashSet::new(),
            taken: HashSet::new(),
            ids,
            events: Vec::new(),
        }
    }

    /// Takes an event in.
    pub(super) fn take(&mut self, one: &Incoming, known: &Known) -> Went {
        let event = &one.event;
        let row = match owner::place(&known.tenures, &self.candidates(event, &known.tenures)) {
            Place::Row(row) => row,
            Place::Adopted(row, owner) => {
                if let Some(found) = self.rows.iter_mut().find(|found| found.id == row) {
                    found.owner = Some(owner);
                    self.changed.insert(row);
                }
                row
            }
            Place::New(_) | Place::Held if known.erased => return Went::Nowhere,
            Place::New(owner) => self.begin(event, Some(owner)),
            Place::Held => self.begin(event, None),
        };
        let is_new = !known.kept_in.contains(&row) && self.taken.insert((row, event.hash));
        if is_new {
            self.keep(row, one);
        }
        Went::Into {
            row,
            novelty: if is_new { Novelty::New } else { Novelty::Duplicate },
        }
    }

    /// Rows of this call that are about the agent, or owned by one of those whom the tenures name.
    fn candidates(&self, event: &Event, tenures: &Tenures) -> Vec<Candidate> {
        let concerned = |row: &&CallRow| {
            let by_owner = row.owner.is_some() && [&tenures.then, &tenures.now].contains(&&row.owner);
            row.agent_id == event.agent_id || by_owner
        };
        let rows = self
            .rows
            .iter()
            .filter(|row| row.call_id == event.call_id)
            .filter(concerned);
        let candidate = |row: &CallRow| Candidate {
            row: row.id,
            owner: row.owner.clone(),
            agent: match row.agent_id == event.agent_id {
                true => Agent::Same,
                false => Agent::Another,
            },
        };
        rows.map(candidate).collect()
    }

    /// A new row, without its event yet.
    fn begin(&mut self, event: &Event, owner: Option<UserId>) -> i64 {
        // There is one number for each event of the batch.
        let id = self.ids.pop().unwrap_or_default();
        self.rows.push(CallRow {
            id,
            owner,
            agent_id: event.agent_id.clone(),
            call_id: event.call_id.clone(),
            channel: event.channel.word().to_owned(),
            call: Call::empty(event.received_at),
            version: None,
        });
        id
    }

    fn keep(&mut self, row: i64, one: &Incoming) {
        if let Some(found) = self.rows.iter_mut().find(|found| found.id == row) {
            found.call.take(&one.event);
        }
        self.changed.insert(row);
        self.events.push(EventRow {
            call: row,
            hash: one.event.hash,
            event: one.event.name.clone(),
            received_at: one.event.received_at,
            raw: one.raw.clone(),
        });
    }

    /// What came of an event, all events of the batch considered.
    pub(super) fn taken(&self, went: Went) -> Taken {
        let Went::Into { row, novelty } = went else {
            return Taken::Erased;
        };
        let found = self.rows.iter().find(|found| found.id == row);
        match found.and_then(|found| Some((found.owner.clone()?, found.call.duration_minutes()))) {
            Some((user, duration_minutes)) => Taken::Saved {
                user,
                duration_minutes,
                novelty,
            },
            None => Taken::Held { novelty },
        }
    }

    /// What is to be written.
    pub(super) fn into_changes(self) -> (Vec<CallRow>, Vec<EventRow>) {
        let changed = self.changed;
        let rows = self.rows.into_iter().filter(|row| changed.contains(&row.id));
        (rows.collect(), self.events)
    }
}

/// The call that the kept events of a row make. None where it has none.
pub(crate) async fn refold(conn: &mut PgConnection, row: i64) -> Result<Option<Call>, sqlx::Error> {
    let mut call: Option<Call> = None;
    for kept in store::events::of_call(conn, row).await? {
        let Some(event) = read(&kept) else { continue };
        match &mut call {
            Some(call) => call.take(&event),
            None => call = Some(Call::of(&event)),
        }
    }
    Ok(call)
}

/// What was accepted once is read again.
fn read(kept: &EventRow) -> Option<Event> {
    let body = event::parse(&kept.raw).ok()?;
    Event::read(&envelope::unwrap(body), kept.received_at).ok()
}

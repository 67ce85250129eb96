//! Whose an event is, and in which row of the ledger it goes.
//!
//! A call belongs to whoever had its agent when it started. Where that cannot be told, it stays with whom it belongs to
//! already; a new one goes to whoever has the agent when the event arrives; and when nobody has, it is held. The owner of a
//! row is set once: held → owned is its only change.

use switchhook_core::ids::UserId;

/// Who had and has the agent of an event.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Tenures {
    /// Who had it when the call happened.
    pub then: Option<UserId>,
    /// Who has it now.
    pub now: Option<UserId>,
    /// Whether he who has it now also gets what was held before: he has proven that it is his, or proof is waived.
    pub now_adopts: bool,
}

/// Whether a row is about the event's agent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Agent {
    /// It is.
    Same,
    /// The call came to its owner by another of his agents.
    Another,
}

/// A row of the ledger that the event may go in.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Candidate {
    /// Its number.
    pub row: i64,
    /// Its owner; none while it is held.
    pub owner: Option<UserId>,
    /// Whose call it is, to Retell.
    pub agent: Agent,
}

/// Where an event goes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Place {
    /// In this row, as it is.
    Row(i64),
    /// In this held row, which finds its owner by it.
    Adopted(i64, UserId),
    /// In a new row of this client's.
    New(UserId),
    /// In a new row that is held.
    Held,
}

/// Decides. `candidates` are the rows of this call id that are held for the event's agent, that are owned by one of those
/// whom `tenures` names, or by anybody else who has had the agent.
pub fn place(tenures: &Tenures, candidates: &[Candidate]) -> Place {
    let held = candidates.iter().find(|row| row.owner.is_none());
    let owned_by = |user: &UserId| candidates.iter().find(|row| row.owner.as_ref() == Some(user));
    let of = |user: &UserId, adopts: bool| match (owned_by(user), held) {
        (Some(own), _) => Place::Row(own.row),
        (None, Some(held)) if adopts => Place::Adopted(held.row, user.clone()),
        // Held before he connected, and he has not proven that it is his.
        (None, Some(held)) => Place::Row(held.row),
        (None, None) => Place::New(user.clone()),
    };
    if let Some(then) = &tenures.then {
        return of(then, true);
    }
    let mut owned = candidates
        .iter()
        .filter(|row| row.owner.is_some() && row.agent == Agent::Same);
    match (owned.next(), &tenures.now) {
        // Whoever has the agent by now: the call has its owner.
        (Some(row), _) => Place::Row(row.row),
        (None, Some(now)) => of(now, tenures.now_adopts),
        (None, None) => held.map_or(Place::Held, |held| Place::Row(held.row)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn user(id: &str) -> UserId {
        UserId::parse(id).unwrap()
    }

    fn tenures(then: Option<&str>, now: Option<&str>, now_adopts: bool) -> Tenures {
        Tenures {
            then: then.map(user),
            now: now.map(user),
            now_adopts,
        }
    }

    /// Rows numbered from one; an owner in capitals has it by another agent.
    fn rows(owners: &[Option<&str>]) -> Vec<Candidate> {
        let candidate = |(row, owner): (i64, &Option<&str>)| Candidate {
            row,
            owner: owner.map(|owner| user(&owner.to_lowercase())),
            agent: match owner.is_some_and(|owner| owner.chars().all(char::is_uppercase)) {
                true => Agent::Another,
                false => Agent::Same,
            },
        };
        (1..).zip(owners).map(candidate).collect()
    }

    #[test]
    fn an_event_goes_where_its_owner_says() {
        let new = |id| Place::New(user(id));
        let adopted = |row, id| Place::Adopted(row, user(id));
        for (then, now, adopts, owners, expected) in [
            // The time of the call decides, whoever has the agent now.
            (Some("ada"), Some("bob"), true, &[][..], new("ada")),
            (Some("ada"), None, false, &[Some("ada")][..], Place::Row(1)),
            (Some("ada"), Some("bob"), true, &[Some("bob")][..], new("ada")),
            // A call that started in his time is his, also when its first event told no time and was held.
            (Some("ada"), None, false, &[None][..], adopted(1, "ada")),
            (Some("ada"), None, false, &[None, Some("ada")][..], Place::Row(2)),
            // Without a time, a call that has an owner stays his, whoever has the agent now.
            (None, Some("bob"), true, &[Some("ada")][..], Place::Row(1)),
            (None, Some("bob"), true, &[None, Some("ada")][..], Place::Row(2)),
            (None, None, false, &[Some("ada")][..], Place::Row(1)),
            // Without a time and an owner, whoever has the agent.
            (None, Some("bob"), false, &[][..], new("bob")),
            (None, Some("bob"), false, &[Some("bob")][..], Place::Row(1)),
            (None, Some("bob"), false, &[Some("BOB")][..], Place::Row(1)),
            // What was held before he connected needs proof.
            (None, Some("bob"), false, &[None][..], Place::Row(1)),
            (None, Some("bob"), true, &[None][..], adopted(1, "bob")),
            // Nobody has it.
            (None, None, false, &[None][..], Place::Row(1)),
            (None, None, false, &[][..], Place::Held),
        ] {
            let tenures = tenures(then, now, adopts);
            assert_eq!(place(&tenures, &rows(owners)), expected, "{tenures:?} {owners:?}");
        }
    }
}

//! Who speaks to the visitor of a chat, and what a takeover and a release make of that.

use super::entry::{Audience, Mode};

/// Who speaks to the visitor.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Holder {
    /// The bot.
    Bot,
    /// Nobody yet: a machine handed the chat over, and it waits for an operator.
    Waiting,
    /// An operator.
    Operator(Person),
}

/// An operator.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Person {
    /// His user id.
    pub id: String,
    /// What other operators know him by.
    pub name: String,
}

/// Who asks for a chat.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Taker {
    /// A machine: for whoever comes.
    Machine,
    /// An operator: for himself.
    Operator(Person),
}

/// Whether a chat is taken from another operator.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Force {
    /// It is left to him.
    No,
    /// It is.
    Yes,
}

/// Another operator has the chat.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TakenOver(pub Person);

/// What is different afterwards.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Change {
    /// Who speaks now.
    pub holder: Holder,
    /// Who is told: the visitor learns of another mode, not of another operator.
    pub audience: Audience,
}

impl Holder {
    /// The mode on the wire.
    pub fn mode(&self) -> Mode {
        match self {
            Self::Bot => Mode::Bot,
            Self::Waiting | Self::Operator(_) => Mode::Operator,
        }
    }

    /// The operator, where there is one.
    pub fn person(&self) -> Option<&Person> {
        match self {
            Self::Operator(person) => Some(person),
            Self::Bot | Self::Waiting => None,
        }
    }

    /// The chat is taken over; nothing changes where it is so already.
    pub fn taken_by(&self, taker: &Taker, force: Force) -> Result<Option<Change>, TakenOver> {
        self.unless_anothers(taker, force)?;
        let holder = match taker {
            Taker::Machine => Self::Waiting,
            Taker::Operator(person) => Self::Operator(person.clone()),
        };
        Ok(self.change_to(holder))
    }

    /// The chat goes back to the bot; nothing changes where it is so already.
    pub fn released_by(&self, taker: &Taker, force: Force) -> Result<Option<Change>, TakenOver> {
        self.unless_anothers(taker, force)?;
        Ok(self.change_to(Self::Bot))
    }

    fn unless_anothers(&self, taker: &Taker, force: Force) -> Result<(), TakenOver> {
        let own = |person: &Person| matches!(taker, Taker::Operator(taker) if taker.id == person.id);
        match self.person() {
            Some(person) if force == Force::No && !own(person) => Err(TakenOver(person.clone())),
            _ => Ok(()),
        }
    }

    fn change_to(&self, holder: Self) -> Option<Change> {
        let audience = if holder.mode() == self.mode() {
            Audience::Operators
        } else {
            Audience::All
        };
        (holder != *self).then_some(Change { holder, audience })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn person(id: &str) -> Person {
        Person {
            id: id.into(),
            name: id.to_uppercase(),
        }
    }

    fn operator(id: &str) -> Holder {
        Holder::Operator(person(id))
    }

    fn to(holder: Holder, audience: Audience) -> Result<Option<Change>, TakenOver> {
        Ok(Some(Change { holder, audience }))
    }

    #[test]
    fn who_has_a_chat_after_a_takeover() {
        use Audience::{All, Operators};
        let sam = Taker::Operator(person("sam"));
        let machine = Taker::Machine;
        let ann = || Err(TakenOver(person("ann")));
        for (holder, taker, force, expected) in [
            (Holder::Bot, &sam, Force::No, to(operator("sam"), All)),
            (Holder::Waiting, &sam, Force::No, to(operator("sam"), Operators)),
            (operator("sam"), &sam, Force::No, Ok(None)),
            (operator("ann"), &sam, Force::No, ann()),
            (operator("ann"), &sam, Force::Yes, to(operator("sam"), Operators)),
            (Holder::Bot, &machine, Force::No, to(Holder::Waiting, All)),
            (Holder::Waiting, &machine, Force::No, Ok(None)),
            (operator("ann"), &machine, Force::No, ann()),
            (
                operator("ann"),
                &machine,
                Force::Yes,
                to(Holder::Waiting, Operators),
            ),
        ] {
            assert_eq!(
                holder.taken_by(taker, force),
                expected,
                "{holder:?} {taker:?} {force:?}"
            );
        }
    }

    #[test]
    fn who_has_a_chat_after_a_release() {
        let sam = Taker::Operator(person("sam"));
        let ann = || Err(TakenOver(person("ann")));
        let bot = || to(Holder::Bot, Audience::All);
        for (holder, taker, force, expected) in [
            (Holder::Bot, &sam, Force::No, Ok(None)),
            (Holder::Waiting, &sam, Force::No, bot()),
            (operator("sam"), &sam, Force::No, bot()),
            (operator("ann"), &sam, Force::No, ann()),
            (operator("ann"), &sam, Force::Yes, bot()),
            (Holder::Waiting, &Taker::Machine, Force::No, bot()),
            (operator("ann"), &Taker::Machine, Force::No, ann()),
            (operator("ann"), &Taker::Machine, Force::Yes, bot()),
        ] {
            assert_eq!(
                holder.released_by(taker, force),
                expected,
                "{holder:?} {taker:?} {force:?}"
            );
        }
    }
}

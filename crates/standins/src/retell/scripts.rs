//! The conversations that are played.

use std::sync::atomic::{AtomicUsize, Ordering};

/// Who says a line.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Speaker {
    Agent,
    User,
}

use Speaker::{Agent, User};

/// A conversation and what an analysis makes of it.
pub(super) struct Script {
    /// Inbound or outbound.
    pub(super) direction: &'static str,
    pub(super) customer: &'static str,
    pub(super) lines: &'static [(Speaker, &'static str)],
    pub(super) summary: &'static str,
    pub(super) sentiment: &'static str,
    pub(super) successful: bool,
    pub(super) next_step: &'static str,
    pub(super) reason: &'static str,
    /// About how long it takes.
    pub(super) seconds: u64,
}

/// The calls are played in turn, so that neighbours in a list differ.
pub(super) fn next_call() -> &'static Script {
    static NEXT: AtomicUsize = AtomicUsize::new(0);
    &CALLS[NEXT.fetch_add(1, Ordering::Relaxed) % CALLS.len()]
}

/// The chats likewise.
pub(super) fn next_chat() -> &'static Script {
    static NEXT: AtomicUsize = AtomicUsize::new(0);
    &CHATS[NEXT.fetch_add(1, Ordering::Relaxed) % CHATS.len()]
}

/// What is said to a machine.
pub(super) static VOICEMAIL: Script = Script {
    direction: "outbound",
    customer: "Dana Whitfield",
    lines: &[
        (
            User,
            "You have reached Dana Whitfield. Please leave a message after the tone.",
        ),
        (
            Agent,
            "Hello Dana, this is Ava from Lakeview Dental. I am calling about your check-up; please call us back when it suits you.",
        ),
    ],
    summary: "The agent reached Dana Whitfield's voicemail and left a message asking her to call back about her check-up.",
    sentiment: "Unknown",
    successful: false,
    next_step: "Call again tomorrow",
    reason: "voicemail_reached",
    seconds: 31,
};

static CALLS: [Script; 6] = [
    Script {
        direction: "inbound",
        customer: "Priya Raman",
        lines: &[
            (Agent, "Lakeview Dental, this is Ava. How can I help you?"),
            (User, "Hi, I need to move my appointment on Thursday."),
            (Agent, "Of course. May I have your name, please?"),
            (User, "Priya Raman."),
            (
                Agent,
                "Thank you, Priya. I can offer Friday at ten or Monday at half past two.",
            ),
            (User, "Monday works. Thanks so much, that was quick!"),
            (Agent, "You are booked for Monday at 2:30 p.m. Have a lovely day."),
        ],
        summary: "Priya Raman moved her dental appointment from Thursday to Monday at 2:30 p.m.",
        sentiment: "Positive",
        successful: true,
        next_step: "Send a confirmation",
        reason: "agent_hangup",
        seconds: 74,
    },
    Script {
        direction: "outbound",
        customer: "Marcus Bell",
        lines: &[
            (
                Agent,
                "Hello, this is Noah from Brightroof Solar. Am I speaking with Marcus Bell?",
            ),
            (User, "Yes, who is this again?"),
            (
                Agent,
                "Noah from Brightroof. You asked on our website what panels would cost for your house.",
            ),
            (
                User,
                "Right. My bill is about two hundred and forty dollars a month.",
            ),
            (
                Agent,
                "Then an adviser should look at your roof. Would Wednesday at five suit you?",
            ),
            (User, "Wednesday is fine, but please text me before."),
            (Agent, "We will text you an hour before. Goodbye, Marcus."),
        ],
        summary: "Marcus Bell pays about $240 a month for electricity and agreed to a roof survey on Wednesday at 5 p.m. He wants a text an hour before.",
        sentiment: "Neutral",
        successful: true,
        next_step: "Roof survey on Wednesday, text before",
        reason: "user_hangup",
        seconds: 163,
    },
    Script {
        direction: "inbound",
        customer: "Helen Okafor",
        lines: &[
            (Agent, "Parcel service desk, this is Ava. What can I do for you?"),
            (
                User,
                "My parcel has been 'out for delivery' for three days now. This is ridiculous.",
            ),
            (Agent, "I am sorry about that. May I have the tracking number?"),
            (User, "It ends in 4471. And nobody ever calls back!"),
            (
                Agent,
                "I see it: the address label is damaged. I have opened a case and marked it urgent.",
            ),
            (
                User,
                "I have heard that before. Cancel the order if it is not here tomorrow.",
            ),
        ],
        summary: "Helen Okafor complained that the parcel ending in 4471 has been out for delivery for three days. A damaged label was found and an urgent case opened; she wants the order cancelled if it does not arrive tomorrow.",
        sentiment: "Negative",
        successful: false,
        next_step: "A person calls back today",
        reason: "user_hangup",
        seconds: 128,
    },
    Script {
        direction: "outbound",
        customer: "Tom Lindqvist",
        lines: &[
            (
                Agent,
                "Good afternoon, this is Noah from Brightroof Solar. Do you have a minute?",
            ),
            (User, "No, and please take me off your list."),
            (
                Agent,
                "Certainly, I have removed your number. Sorry for the interruption.",
            ),
        ],
        summary: "Tom Lindqvist is not interested and asked to be removed from the call list.",
        sentiment: "Negative",
        successful: false,
        next_step: "Do not call again",
        reason: "user_hangup",
        seconds: 19,
    },
    Script {
        direction: "inbound",
        customer: "Sofia Marques",
        lines: &[
            (Agent, "Harbour Homes, you are speaking with Ava."),
            (User, "Hello, is the two-bedroom flat on Quay Street still free?"),
            (
                Agent,
                "It is. It can be viewed on Saturday between eleven and one.",
            ),
            (
                User,
                "Great, I would come at noon with my partner. Are cats allowed?",
            ),
            (
                Agent,
                "Yes, cats are fine with the landlord. May I note your name?",
            ),
            (User, "Sofia Marques. Thank you!"),
            (Agent, "Thank you, Sofia. See you on Saturday at noon."),
        ],
        summary: "Sofia Marques booked a viewing of the two-bedroom flat on Quay Street for Saturday at noon. She has a cat, which is allowed.",
        sentiment: "Positive",
        successful: true,
        next_step: "Viewing on Saturday at noon",
        reason: "agent_hangup",
        seconds: 96,
    },
    Script {
        direction: "inbound",
        customer: "Jonas Weber",
        lines: &[
            (Agent, "Lakeview Dental, this is Ava. How can I help you?"),
            (User, "Grüß Gott, what does a cleaning cost without insurance?"),
            (
                Agent,
                "A cleaning is 120 dollars, and the first check-up is free.",
            ),
            (User, "Okay. I will think about it and call again."),
            (Agent, "You are welcome any time. Goodbye."),
        ],
        summary: "Jonas Weber asked what a cleaning costs without insurance (120 dollars) and will call again.",
        sentiment: "Neutral",
        successful: true,
        next_step: "None",
        reason: "user_hangup",
        seconds: 47,
    },
];

static CHATS: [Script; 2] = [
    Script {
        direction: "inbound",
        customer: "Amira Haddad",
        lines: &[
            (Agent, "Hi, this is Harbour Homes. What are you looking for?"),
            (User, "A parking space near the Quay Street flats"),
            (
                Agent,
                "There are two left, at 90 a month each. Shall I reserve one?",
            ),
            (User, "yes please, from the first"),
            (
                Agent,
                "Done: space 14 is reserved for you from the first of next month.",
            ),
        ],
        summary: "Amira Haddad reserved parking space 14 near Quay Street from the first of next month for 90 a month.",
        sentiment: "Positive",
        successful: true,
        next_step: "Send the contract",
        reason: "agent_hangup",
        seconds: 185,
    },
    Script {
        direction: "inbound",
        customer: "Ben Castillo",
        lines: &[
            (Agent, "Parcel service desk here. How can I help?"),
            (User, "where is 8812-330"),
            (
                Agent,
                "It left the depot in Reno this morning and arrives tomorrow before noon.",
            ),
            (User, "ok"),
        ],
        summary: "Ben Castillo asked for parcel 8812-330, which arrives tomorrow before noon.",
        sentiment: "Neutral",
        successful: true,
        next_step: "None",
        reason: "user_hangup",
        seconds: 64,
    },
];

//! Enums whose words stand in the database and on the wire.

/// Declares an enum with a word for each variant, both ways: the variant's name in snake case, since the derived description
/// does not see a word that a macro brings.
macro_rules! words {
    ($(#[$meta:meta])* $vis:vis enum $name:ident { $($(#[$doc:meta])* $variant:ident = $word:literal,)+ }) => {
        $(#[$meta])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, serde::Serialize, serde::Deserialize, utoipa::ToSchema)]
        #[serde(rename_all = "snake_case")]
        $vis enum $name { $($(#[$doc])* $variant,)+ }

        impl $name {
            /// Every one of them.
            pub const ALL: &[Self] = &[$(Self::$variant,)+];

            /// The word.
            pub const fn word(self) -> &'static str {
                match self { $(Self::$variant => $word,)+ }
            }

            /// The variant of a word.
            pub fn of(word: &str) -> Option<Self> {
                match word { $($word => Some(Self::$variant),)+ _ => None }
            }
        }

        impl std::fmt::Display for $name {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str(self.word())
            }
        }
    };
}
pub(crate) use words;

#[cfg(test)]
mod tests {
    use serde::Serialize;
    use serde_json::{Value, json};
    use utoipa::PartialSchema;

    use crate::domain::dispatch::{EndReason, Status, Step};
    use crate::domain::recording::RecordingState;

    fn agree<T: Serialize + PartialSchema>(all: &[T], word: impl Fn(&T) -> &'static str) {
        let words: Vec<&str> = all.iter().map(word).collect();
        assert_eq!(serde_json::to_value(all).unwrap(), json!(words));
        let described: Value = serde_json::to_value(T::schema()).unwrap();
        assert_eq!(described["enum"], json!(words));
    }

    #[test]
    fn the_wire_the_database_and_the_description_say_the_same_words() {
        agree(Step::ALL, |step| step.word());
        agree(Status::ALL, |status| status.word());
        agree(EndReason::ALL, |reason| reason.word());
        agree(RecordingState::ALL, |state| state.word());
    }
}

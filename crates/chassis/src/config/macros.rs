//! The declaration of settings.

/// Declares a struct of settings and how to read it.
///
/// Each field has a doc comment (its meaning, units and range), a type that implements
/// [`SettingValue`](crate::config::SettingValue), and one of `required`, `optional` or `default = "…"`, then an example.
/// An `optional` field has a type that has a value for an absent setting, such as `Option<T>`.
#[macro_export]
macro_rules! settings {
    (
        $(#[doc = $block_doc:literal])*
        $vis:vis struct $block:ident {
            $(
                $(#[doc = $doc:literal])+
                pub $field:ident : $type:ty, $kind:ident $(= $default:literal)?, example = $example:literal;
            )+
        }
    ) => {
        $(#[doc = $block_doc])*
        #[derive(Debug, Clone)]
        $vis struct $block {
            $( $(#[doc = $doc])+ pub $field: $type, )+
        }

        impl $crate::config::SettingsBlock for $block {
            const SPECS: &'static [$crate::config::SettingSpec] = &[
                $( $crate::config::SettingSpec {
                    field: stringify!($field),
                    doc: concat!($($doc,)+),
                    default: $crate::settings!(@default $($default)?),
                    required: $crate::settings!(@required $kind),
                    example: $example,
                }, )+
            ];

            fn read(source: &$crate::config::Source) -> Result<Self, $crate::config::SettingError> {
                let mut specs = Self::SPECS.iter();
                $( let $field = source.value::<$type>(specs.next())?; )+
                Ok(Self { $($field,)+ })
            }
        }
    };
    (@default) => { None };
    (@default $default:literal) => { Some($default) };
    (@required required) => { true };
    (@required $other:ident) => { false };
}

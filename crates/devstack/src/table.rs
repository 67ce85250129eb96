//! What a person is told once a stack is ready: pages, sign-in links, commands.

use std::fmt::Write;
use std::path::Path;

use anyhow::Result;

use crate::environment::Environment;
use crate::places;
use crate::settings::given;
use crate::stack::Stack;

const WIDTH: usize = 14;

/// The whole text.
///
/// # Errors
/// A token cannot be signed.
pub fn render(stack: &Stack, caller: &Environment, env_file: &Path) -> Result<String> {
    let tokens = stack.keys().tokens()?;
    let token = |name: &str| {
        tokens
            .iter()
            .find(|(known, _)| *known == name)
            .map(|(_, token)| token.as_str())
    };
    let firsts = || stack.replicas().iter().filter(|replica| replica.number() == 0);
    let mut text = String::from("\nSwitchhook is ready.\n\nPages\n");
    for replica in firsts() {
        line(&mut text, replica.service().page, &format!("{}/", replica.url()))?;
        for (person, name) in replica.service().people {
            if let Some(token) = token(name) {
                line(
                    &mut text,
                    "",
                    &format!("as {}: {}/#token={token}", person.email, replica.url()),
                )?;
            }
        }
        if let Some((name, path)) = replica.service().other_page {
            line(&mut text, name, &format!("{}{path}", replica.url()))?;
        }
    }
    text.push_str("\nOutside\n");
    let outside = [
        ("n8n", "N8N_WEBHOOK_URL", stack.n8n().url()),
        ("Retell", "RETELL_API_URL", stack.retell().url()),
        ("LiveKit", "LIVEKIT_URL", stack.livekit().url()),
    ];
    for (name, setting, standin) in outside {
        let other = firsts().find_map(|replica| given(replica.service(), setting, caller));
        let shown = other.map_or_else(
            || format!("{standin} (stand-in; what it got: /_log)"),
            |url| format!("{url} (yours)"),
        );
        line(&mut text, name, &shown)?;
    }
    text.push_str("\nTry it\n");
    for replica in firsts() {
        let service = replica.service();
        let command = (service.example)(
            replica.url(),
            service
                .people
                .first()
                .and_then(|(_, name)| token(name))
                .unwrap_or("<token>"),
            stack.surroundings(),
        );
        writeln!(text, "  {}:\n    {command}", service.example_title)?;
    }
    let root = places::root();
    let shown = env_file.strip_prefix(&root).unwrap_or(env_file);
    write!(text, "\nFor a shell: . {}", shown.display())?;
    Ok(text)
}

fn line(text: &mut String, name: &str, value: &str) -> Result<()> {
    Ok(writeln!(text, "  {name:<WIDTH$}{value}")?)
}

//! `devstack run SERVICE`: one service in the foreground, in the place of the running stack's own.

use std::sync::Arc;

use anyhow::{Context, Result, bail};

use super::{Asked, exec};
use crate::environment::Environment;
use crate::guard::{Ending, Guard, MARK};
use crate::instance::{self, Holder};
use crate::loan::Loan;
use crate::places::{self, Places};
use crate::services::{self, Service};
use crate::{say, stack};

/// Borrows the service from the running stack and runs it until it ends or is asked to stop.
pub(super) async fn service(name: String) -> Result<u8> {
    let names = stack::service_names().join(", ");
    let service = services::by_name(&name)
        .with_context(|| format!("there is no service {name}; there are: {names}"))?;
    let program = places::program(service.name)?;
    let places = Places::of_clone()?;
    let Holder::Process(pid) = instance::acquire(&places)? else {
        bail!("the stack does not run: `make up DETACH=1` first");
    };
    let desk = instance::read(&places, pid)
        .and_then(|state| state.loan)
        .context("the stack is not ready yet")?;
    let mut asked = Asked::new()?;
    let mut loan = Loan::take(&desk, service.name).await?;
    say::progress(&format!(
        "{name} runs here now, at {}; Ctrl-C gives it back",
        loan.lent.url
    ));
    let variables = own_first(service, &loan.lent.variables, &Environment::of_process());
    let guard = Arc::new(Guard::start(&places::program("devstack")?)?);
    let child = tokio::process::Command::new(program)
        .arg("serve")
        .envs(variables)
        .env(MARK, guard.mark())
        .kill_on_drop(true)
        .spawn()
        .with_context(|| format!("cannot start {name}"))?;
    if let Some(pid) = child.id().and_then(|pid| i32::try_from(pid).ok()) {
        guard.watch(pid, Ending::Kill);
        loan.tell(pid).await?;
    }
    let code = exec::wait(child, &mut asked).await;
    guard.done();
    code
}

/// The stack's settings, without those that this caller sets itself.
fn own_first(service: &Service, lent: &[(String, String)], caller: &Environment) -> Vec<(String, String)> {
    let prefix = format!("{}__", service.key);
    let own = |name: &str| {
        caller.get(name).is_some()
            || name
                .strip_prefix(&prefix)
                .is_some_and(|name| caller.get(name).is_some())
    };
    lent.iter().filter(|(name, _)| !own(name)).cloned().collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::services::SERVICES;

    #[test]
    fn settings_of_this_terminal_win_over_the_stack_s() {
        let lent = [
            ("SESSION__BIND_ADDR", "a"),
            ("SESSION__LOG_FORMAT", "b"),
            ("RUST_LOG", "c"),
        ]
        .map(|(name, value)| (name.to_owned(), value.to_owned()));
        let caller = Environment::from([("LOG_FORMAT", "json"), ("RUST_LOG", "debug")]);
        assert_eq!(own_first(&SERVICES[0], &lent, &caller), lent[..1]);
    }
}

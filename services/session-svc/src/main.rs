//! The binary `session-svc`.

use std::process::ExitCode;

fn main() -> ExitCode {
    switchhook_chassis::cli::main::<session_svc::app::SessionSvc>()
}

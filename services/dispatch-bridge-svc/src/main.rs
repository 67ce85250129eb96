//! The binary `dispatch-bridge-svc`.

use std::process::ExitCode;

fn main() -> ExitCode {
    switchhook_chassis::cli::main::<dispatch_bridge_svc::app::DispatchBridgeSvc>()
}

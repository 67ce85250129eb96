//! The binary `chat-ws-svc`.

use std::process::ExitCode;

fn main() -> ExitCode {
    switchhook_chassis::cli::main::<chat_ws_svc::app::ChatWsSvc>()
}

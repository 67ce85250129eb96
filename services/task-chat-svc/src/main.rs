//! The binary `task-chat-svc`.

use std::process::ExitCode;

fn main() -> ExitCode {
    switchhook_chassis::cli::main::<task_chat_svc::app::TaskChatSvc>()
}

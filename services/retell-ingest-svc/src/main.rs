//! The binary `retell-ingest-svc`.

use std::process::ExitCode;

fn main() -> ExitCode {
    switchhook_chassis::cli::main::<retell_ingest_svc::app::RetellIngestSvc>()
}

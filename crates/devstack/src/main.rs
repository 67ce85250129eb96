//! `devstack`: see the library.

use std::process::ExitCode;

fn main() -> ExitCode {
    devstack::cli::main()
}

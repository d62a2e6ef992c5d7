//! The program: its exit code, and nothing else.

use std::process::ExitCode;

/// What one thread takes and another gives back costs the system's own dear, and so is nearly everything here.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    tidings::cli::main()
}

//! A file that the file system fails at.

use super::*;
use std::io::{BufRead as _, BufReader};
use std::process::{Command, Stdio};

/// Holds a file so that opening it fails for now (a lease, fcntl(2)), until its input ends.
const HOLD: &str = "import fcntl, signal, sys
signal.signal(signal.SIGIO, signal.SIG_IGN)
file = open(sys.argv[1], 'rb+')
try:
    fcntl.fcntl(file, fcntl.F_SETLEASE, fcntl.F_WRLCK)
except OSError:
    print('no')
    sys.exit()
print('held', flush=True)
sys.stdin.read()
";

#[tokio::test]
async fn nothing_is_retracted_while_a_file_cannot_be_read_since_that_may_be_what_is_gone() {
    let world = World::new();
    world.file("science/a.md", "One", "");
    world.file("science/b.md", "Two", "");
    world.file("science/c.md", "Three", "");
    world.look().await;
    let one = world.article("science/a.md");
    std::fs::remove_file(world.path("science/b.md")).expect("it is there");
    world.rename("science/a.md", "economy/moved.md");
    let mut holder = Command::new("python3");
    let holder = holder.args(["-c", HOLD]).arg(world.path("economy/moved.md"));
    let mut holder = holder.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().expect("python3");
    let mut said = String::new();
    BufReader::new(holder.stdout.take().expect("piped")).read_line(&mut said).expect("a word");
    if said.trim() != "held" {
        // A file system without leases.
        holder.wait().expect("our own child");
        return;
    }
    let look = world.look().await;
    assert_eq!((look.taken, look.waiting, look.retracted), (0, 1, 0), "{look:?}");
    assert_eq!(world.stored(&one.id).state, State::Published);
    drop(holder.stdin.take());
    holder.wait().expect("our own child");
    let look = world.sources.look().await.expect("the store is open");
    assert_eq!((look.waiting, look.retracted), (0, 1), "the other one: {look:?}");
    assert_eq!((world.article("economy/moved.md").id, world.stored(&one.id).state), (one.id, State::Published));
}

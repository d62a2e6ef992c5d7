//! The bytes of a message as they come.

use super::{Act, At, Log};
use std::sync::Mutex;
use tokio::io::{AsyncBufReadExt, AsyncRead, AsyncReadExt, BufReader};

/// A message comes to somebody: goes no further than its beginning if the script says so.
pub(super) async fn begin<S: AsyncRead + Unpin>(stream: &mut BufReader<S>, log: &Mutex<Log>, to: &str) -> Option<()> {
    /// Shorter than any message's headers.
    const BEGINNING_BYTES: usize = 100;
    {
        let mut log = log.lock().unwrap();
        let place = log.script.iter().position(|(at, _)| *at == At::Body);
        let Some(place) = place.filter(|place| !to.is_empty() && log.script[*place].1 == Act::CutAmid) else {
            return Some(());
        };
        log.script.remove(place);
        log.cut_amid += 1;
    }
    stream.read_exact(&mut [0; BEGINNING_BYTES]).await.ok()?;
    None
}

/// All of a message that DATA announced.
pub(super) async fn body<S: AsyncRead + Unpin>(stream: &mut BufReader<S>) -> Option<Vec<u8>> {
    let mut bytes = Vec::new();
    loop {
        let mut line = Vec::new();
        if stream.read_until(b'\n', &mut line).await.ok()? == 0 {
            return None;
        }
        match line.as_slice() {
            b".\r\n" => return Some(bytes),
            [b'.', rest @ ..] => bytes.extend(rest),
            line => bytes.extend(line),
        }
    }
}

//! The runtimes, and what runs on them in the background.

use std::future::Future;
use std::pin::Pin;
use tokio::runtime::{Builder, Runtime};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

/// Blocking threads of each runtime; they build feeds and scan lists. Each that has packed a record keeps its packer.
const BLOCKING_THREADS_MAX: usize = 4;

/// A runtime of as many threads as there are cores, for all that has none of its own.
pub(super) fn shared() -> std::io::Result<Runtime> {
    Builder::new_multi_thread().thread_name("work").max_blocking_threads(BLOCKING_THREADS_MAX).enable_all().build()
}

/// A runtime of one thread, the one that asks for it.
pub(super) fn single() -> std::io::Result<Runtime> {
    Builder::new_current_thread().enable_all().max_blocking_threads(BLOCKING_THREADS_MAX).build()
}

/// Runs `work` to its end. What still reads on a thread of its own then, as a check of the store does for minutes, is
/// left to end with the process: nothing that is kept hangs on it, and nobody is there any more who would get it.
pub(super) fn finish<T>(runtime: Runtime, work: impl Future<Output = T>) -> T {
    let done = runtime.block_on(work);
    runtime.shutdown_background();
    done
}

/// One of several that share a thread.
pub(super) type Part = Pin<Box<dyn Future<Output = ()> + Send>>;

/// Everything that runs in the background.
pub(super) struct Running {
    pub(super) tasks: TaskTracker,
    /// Falls when one of them panics: better to end, and be started anew from what is stored, than to run without it.
    pub(super) failed: CancellationToken,
}

impl Running {
    pub(super) fn new() -> Self {
        Running { tasks: TaskTracker::new(), failed: CancellationToken::new() }
    }

    pub(super) fn start(&mut self, name: &'static str, work: impl Future<Output = ()> + Send + 'static) {
        let task = tokio::spawn(work);
        self.watch(name, async { task.await.map_err(|panic| panic.to_string()) });
    }

    /// The same with several on one thread of their own: for those that have many small things to do which hang on each
    /// other.
    pub(super) fn start_apart(
        &mut self,
        thread: &str,
        parts: impl IntoIterator<Item = (&'static str, Part)>,
    ) -> std::io::Result<()> {
        let runtime = single()?;
        let all = TaskTracker::new();
        for (name, work) in parts {
            let task = all.spawn_on(work, runtime.handle());
            self.watch(name, async { task.await.map_err(|panic| panic.to_string()) });
        }
        all.close();
        std::thread::Builder::new().name(thread.into()).spawn(move || finish(runtime, all.wait()))?;
        Ok(())
    }

    fn watch(&mut self, name: &'static str, work: impl Future<Output = Result<(), String>> + Send + 'static) {
        let failed = self.failed.clone();
        self.tasks.spawn(async move {
            if let Err(panic) = work.await {
                tracing::error!(part = name, %panic, "the part {name} broke off: {panic}");
                failed.cancel();
            }
        });
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::mpsc::channel;
    use std::time::Duration;
    use tokio::sync::oneshot;

    #[test]
    fn what_still_reads_holds_up_nobody() {
        /// As long as nobody waits for a check of the store.
        const PATIENCE: Duration = Duration::from_secs(20);
        let (end, reads) = channel::<()>();
        let (ended, is_ended) = channel();
        std::thread::spawn(move || {
            finish(single().unwrap(), async {
                let (begun, is_begun) = oneshot::channel();
                drop(tokio::task::spawn_blocking(move || {
                    begun.send(()).unwrap();
                    let _ = reads.recv();
                }));
                is_begun.await.unwrap();
            });
            ended.send(()).unwrap();
        });
        is_ended.recv_timeout(PATIENCE).expect("it does not wait for the read");
        drop(end);
    }

    #[tokio::test]
    async fn a_part_that_breaks_off_ends_the_daemon_on_whichever_thread_it_runs() {
        let mut running = Running::new();
        running.start("whole", async {});
        let whole = || -> Part { Box::pin(async {}) };
        running.start_apart("apart", [("whole, apart", whole()), ("another", whole())]).unwrap();
        running.tasks.close();
        running.tasks.wait().await;
        assert!(!running.failed.is_cancelled());
        for is_apart in [false, true] {
            let mut running = Running::new();
            let broken = async { panic!("its own fault") };
            match is_apart {
                true => {
                    let stays: Part = Box::pin(std::future::pending());
                    running.start_apart("apart", [("whole", stays), ("broken", Box::pin(broken))]).unwrap();
                }
                false => running.start("broken", broken),
            }
            running.failed.cancelled().await;
        }
    }

    #[tokio::test]
    async fn those_that_are_apart_share_one_thread_and_it_is_nobody_elses() {
        let mut running = Running::new();
        let (first, second) = (oneshot::channel(), oneshot::channel());
        let tell = |tell: oneshot::Sender<_>| -> Part {
            Box::pin(async move { tell.send(std::thread::current().id()).unwrap() })
        };
        running.start_apart("apart", [("first", tell(first.0)), ("second", tell(second.0))]).unwrap();
        let (first, second) = (first.1.await.unwrap(), second.1.await.unwrap());
        assert_eq!(first, second);
        assert_ne!(first, std::thread::current().id());
    }
}

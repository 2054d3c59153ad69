//! Runs a command with the message on its standard input: no shell, a time limit.

use std::process::{ExitStatus, Stdio};
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncReadExt, AsyncWriteExt};
use tokio::process::{Child, Command};

use crate::limits::notifications::MAX_NOTIFY_ANSWER;

use super::outcome::{Failure, Outcome};

/// The variables that the command inherits.
///
/// Other variables may hold secrets, such as the API key.
const INHERITED: [&str; 8] = ["PATH", "HOME", "USER", "LOGNAME", "LANG", "TZ", "TMPDIR", "XDG_RUNTIME_DIR"];

/// The time for the output of a command that has ended.
const LAST_OUTPUT: Duration = Duration::from_millis(200);

/// Runs a command; at the time limit, it and its children are ended.
pub(super) async fn run(words: &[String], body: String, timeout: Duration) -> Outcome {
    let failed = |text: String| Outcome::failed(&text, Failure::default());
    let Some((program, arguments)) = words.split_first() else {
        return failed("the command names no program".to_owned());
    };
    let inherited = INHERITED.iter().filter_map(|name| Some((*name, std::env::var_os(name)?)));
    let spawned = Command::new(program)
        .args(arguments)
        .env_clear()
        .envs(inherited)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .process_group(0)
        .kill_on_drop(true)
        .spawn();
    let mut child = match spawned {
        Ok(child) => child,
        Err(error) => return failed(format!("cannot run {program}: {error}")),
    };
    let mut group = Group::of(&child);
    let (status, output) = wait(&mut child, body, timeout).await;
    if status.is_some() {
        group.release();
    }
    match status {
        None => failed(format!("the command did not end within {} s", timeout.as_secs_f64())),
        Some(Err(error)) => failed(format!("the command could not be watched: {error}")),
        Some(Ok(status)) if status.success() => Outcome::delivered(format!("exit 0 {output}").trim_end()),
        Some(Ok(status)) => failed(format!("{status}: {output}")),
    }
}

/// The process group of a command that was not waited for yet; dropped, it is killed.
///
/// Until then, no other process can get its number.
struct Group(Option<rustix::process::Pid>);

impl Group {
    fn of(child: &Child) -> Self {
        let id = child.id().and_then(|id| i32::try_from(id).ok());
        Self(id.and_then(rustix::process::Pid::from_raw))
    }

    /// Keeps the group alive: a command that ended may leave a process behind.
    fn release(&mut self) {
        self.0 = None;
    }
}

impl Drop for Group {
    fn drop(&mut self) {
        if let Some(group) = self.0 {
            // It may have ended by itself.
            let _ = rustix::process::kill_process_group(group, rustix::process::Signal::KILL);
        }
    }
}

/// Writes the message and waits for the end, none if it takes too long; returns the beginning of the
/// output.
///
/// A process that the command left behind may hold its output open for ever, so that only gets a
/// moment.
async fn wait(
    child: &mut Child,
    body: String,
    timeout: Duration,
) -> (Option<std::io::Result<ExitStatus>>, String) {
    let (stdin, out, err) = (child.stdin.take(), child.stdout.take(), child.stderr.take());
    let ends = async {
        if let Some(mut stdin) = stdin {
            // A command that does not read its input may still have done its work.
            let _ = stdin.write_all(format!("{body}\n").as_bytes()).await;
        }
        child.wait().await
    };
    let mut ends = std::pin::pin!(tokio::time::timeout(timeout, ends));
    let mut reads = std::pin::pin!(async { tokio::join!(beginning(out), beginning(err)) });
    let (status, texts) = tokio::select! {
        texts = &mut reads => (ends.await, Some(texts)),
        status = &mut ends => {
            let texts = tokio::time::timeout(LAST_OUTPUT, reads).await;
            (status, texts.ok())
        }
    };
    let (out, err) = texts.unwrap_or_default();
    (status.ok(), format!("{} {}", out.trim(), err.trim()).trim().to_owned())
}

/// Reads to the end, and keeps the beginning.
async fn beginning(from: Option<impl AsyncRead + Unpin>) -> String {
    let (mut kept, mut buffer) = (Vec::new(), [0; 1024]);
    if let Some(mut from) = from {
        while let Ok(count @ 1..) = from.read(&mut buffer).await {
            let room = MAX_NOTIFY_ANSWER - kept.len();
            kept.extend_from_slice(&buffer[..count.min(room)]);
        }
    }
    String::from_utf8_lossy(&kept).into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Returns true while a process runs; one that ended may not have been waited for yet.
    fn is_running(id: &str) -> bool {
        let stat = std::fs::read_to_string(format!("/proc/{id}/stat")).unwrap_or_default();
        stat.rsplit_once(") ").is_some_and(|(_, state)| !state.starts_with('Z'))
    }

    async fn until(what: &str, is_so: impl Fn() -> bool) {
        for _ in 0..600 {
            if is_so() {
                return;
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        panic!("not within 30 s: {what}");
    }

    #[tokio::test]
    async fn a_command_that_takes_too_long_or_is_abandoned_leaves_no_process_behind() {
        let folder = tempfile::tempdir().unwrap();
        for (name, timeout, is_abandoned) in
            [("late", Duration::from_secs(5), false), ("abandoned", Duration::from_secs(1_000), true)]
        {
            let file = folder.path().join(name);
            let script = format!("sleep 1000 & echo $! > {0}.new; mv {0}.new {0}; wait", file.display());
            let words = ["sh".to_owned(), "-c".to_owned(), script];
            let task = tokio::spawn(async move { run(&words, String::new(), timeout).await });
            until("the child runs", || file.exists()).await;
            let child = std::fs::read_to_string(&file).unwrap();
            if is_abandoned {
                assert!(is_running(child.trim()), "{name}");
                task.abort();
            } else {
                assert!(task.await.unwrap().result.is_err());
            }
            until("the child has ended", || !is_running(child.trim())).await;
        }
    }
}

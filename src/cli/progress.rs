//! Progress of long work, on standard error; only on a terminal.

use std::sync::{Mutex, PoisonError};

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};

/// Draws per second.
const RATE: u8 = 10;

/// The bar on the terminal. Other lines must not be written into it.
static SHOWN: Mutex<Option<ProgressBar>> = Mutex::new(None);

/// The progress of some work. Dropping it removes the bar.
pub struct Progress(ProgressBar);

impl Progress {
    /// Starts with no step done of `total`.
    pub fn new(what: &'static str, total: usize) -> Self {
        let bar = ProgressBar::with_draw_target(
            Some(u64::try_from(total).unwrap_or(u64::MAX)),
            ProgressDrawTarget::stderr_with_hz(RATE),
        );
        let style = ProgressStyle::with_template("{msg} [{bar:30}] {pos}/{len}");
        bar.set_style(style.unwrap_or_else(|_| ProgressStyle::default_bar()));
        bar.set_message(what);
        *shown() = (!bar.is_hidden()).then(|| bar.clone());
        Self(bar)
    }

    /// Records that steps are done.
    pub fn add(&self, steps: usize) {
        self.0.inc(u64::try_from(steps).unwrap_or(u64::MAX));
    }

    /// Sets the number of steps that are done.
    pub fn set(&self, steps: usize) {
        self.0.set_position(u64::try_from(steps).unwrap_or(u64::MAX));
    }
}

impl Drop for Progress {
    fn drop(&mut self) {
        *shown() = None;
        self.0.finish_and_clear();
    }
}

/// Writes something to the terminal beside a bar.
pub fn beside<T>(write: impl FnOnce() -> T) -> T {
    let bar = shown().clone();
    match bar {
        Some(bar) => bar.suspend(write),
        None => write(),
    }
}

fn shown() -> std::sync::MutexGuard<'static, Option<ProgressBar>> {
    SHOWN.lock().unwrap_or_else(PoisonError::into_inner)
}

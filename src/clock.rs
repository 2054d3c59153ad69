//! The only reader of the wall clock, and the only place that waits for an instant.

use std::collections::BTreeMap;
use std::future::Future;
use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, SystemTime};

use chrono::TimeDelta;
use tokio::sync::watch;

use crate::model::Instant;

/// A wait that ends at an instant, or earlier when the clock was set.
pub(crate) type Wait<'a> = Pin<Box<dyn Future<Output = ()> + Send + 'a>>;

/// A source of the current time that can also wait for an instant.
pub trait Clock: Send + Sync + 'static {
    /// Returns the current instant.
    fn now(&self) -> Instant;

    /// Returns the time since some fixed moment in the past, including suspends.
    ///
    /// Setting the clock does not change it, so a deviation from it means that the clock was set.
    fn uptime(&self) -> Duration;

    /// Returns how many seconds of this clock pass per second of uptime.
    fn speed(&self) -> u32 {
        1
    }

    /// Returns true for the machine's own clock, which other clocks should agree with.
    fn is_wall(&self) -> bool {
        false
    }

    /// Returns an id of the machine start that the uptime counts from, or `None` if unknown.
    fn boot(&self) -> Option<String> {
        None
    }

    /// Returns the instant of this clock after `length` more of uptime.
    fn after(&self, length: Duration) -> Instant {
        let length = length.checked_mul(self.speed()).and_then(|length| TimeDelta::from_std(length).ok());
        length.and_then(|length| self.now().checked_add_signed(length)).unwrap_or(Instant::MAX_UTC)
    }

    /// Waits until the time is `at` or later. May end early when the clock was set, so callers must
    /// read the time again.
    fn sleep_until(&self, at: Instant) -> Wait<'_>;
}

/// The machine's wall clock.
#[derive(Clone, Copy, Debug, Default)]
pub struct WallClock;

impl Clock for WallClock {
    fn now(&self) -> Instant {
        wall_time()
    }

    fn uptime(&self) -> Duration {
        timer::uptime()
    }

    fn boot(&self) -> Option<String> {
        let id = std::fs::read_to_string("/proc/sys/kernel/random/boot_id").ok()?;
        Some(id.trim().to_owned())
    }

    fn is_wall(&self) -> bool {
        true
    }

    fn sleep_until(&self, at: Instant) -> Wait<'_> {
        Box::pin(async move {
            if timer::wait_until(at).await.is_err() {
                // Without a timer, wait in short pieces so that a clock change is noticed.
                let left = (at - self.now()).to_std().unwrap_or_default();
                tokio::time::sleep(left.min(Duration::from_secs(30))).await;
            }
        })
    }
}

#[allow(clippy::disallowed_methods, reason = "this is the one place that reads the wall clock")]
fn wall_time() -> Instant {
    chrono::Utc::now()
}

/// Returns the time since a file was written, by the machine's clock, which file times use.
///
/// `None` when the file time is in the future, for example because another machine wrote it.
#[allow(clippy::disallowed_methods, reason = "this is the one place that reads the wall clock")]
pub(crate) fn age(written: SystemTime) -> Option<Duration> {
    SystemTime::now().duration_since(written).ok()
}

/// Returns the CPU time that this thread has used; waiting does not count.
pub(crate) fn thread_cpu_time() -> Duration {
    timer::thread_cpu_time()
}

#[cfg(target_os = "linux")]
mod timer {
    //! `timerfd` on CLOCK_REALTIME: it expires on the wall clock's second, or immediately after a
    //! suspend, and is cancelled when the clock is set.

    use std::io;
    use std::time::Duration;

    use rustix::time::{
        ClockId, Itimerspec, TimerfdClockId, TimerfdFlags, TimerfdTimerFlags, Timespec, clock_gettime,
        timerfd_create, timerfd_settime,
    };
    use tokio::io::Interest;
    use tokio::io::unix::AsyncFd;

    use crate::model::Instant;

    /// Returns CLOCK_BOOTTIME, which keeps running while the machine is suspended.
    pub fn uptime() -> Duration {
        length_on(ClockId::Boottime)
    }

    pub fn thread_cpu_time() -> Duration {
        length_on(ClockId::ThreadCPUTime)
    }

    fn length_on(clock: ClockId) -> Duration {
        let time = clock_gettime(clock);
        let (seconds, nanos) = (u64::try_from(time.tv_sec), u32::try_from(time.tv_nsec));
        Duration::new(seconds.unwrap_or(0), nanos.unwrap_or(0))
    }

    pub async fn wait_until(at: Instant) -> io::Result<()> {
        let timer = timerfd_create(TimerfdClockId::Realtime, TimerfdFlags::NONBLOCK | TimerfdFlags::CLOEXEC)?;
        let zero = Timespec { tv_sec: 0, tv_nsec: 0 };
        let when = Itimerspec {
            it_interval: zero,
            it_value: Timespec { tv_sec: at.timestamp().max(1), tv_nsec: at.timestamp_subsec_nanos().into() },
        };
        timerfd_settime(&timer, TimerfdTimerFlags::ABSTIME | TimerfdTimerFlags::CANCEL_ON_SET, &when)?;
        // SAFETY: an `OwnedFd` returns the same descriptor each time and keeps it open until it is
        // dropped, which happens only when the `AsyncFd` that owns it is dropped. The call requires
        // nothing else. This is the only unsafe code here.
        #[allow(unsafe_code)]
        let timer = unsafe { AsyncFd::register_with_interest(timer, Interest::READABLE) }?;
        // Readable means expired, or cancelled because the clock was set. In both cases the caller
        // reads the time again.
        timer.readable().await.map(drop)
    }
}

#[cfg(not(target_os = "linux"))]
mod timer {
    /// Returns the time since the first call, without suspends: no better source is available here.
    pub fn uptime() -> std::time::Duration {
        static START: std::sync::OnceLock<std::time::Instant> = std::sync::OnceLock::new();
        START.get_or_init(std::time::Instant::now).elapsed()
    }

    /// Returns the uptime: this platform does not separate waiting from working.
    pub fn thread_cpu_time() -> std::time::Duration {
        uptime()
    }

    pub async fn wait_until(_: crate::model::Instant) -> std::io::Result<()> {
        Err(std::io::ErrorKind::Unsupported.into())
    }
}

/// A clock that starts at a given instant and runs faster than the wall clock, for rehearsals and
/// the demo.
#[derive(Clone, Copy, Debug)]
pub(crate) struct FastClock {
    start: Instant,
    wall_start: tokio::time::Instant,
    speed: u32,
}

impl FastClock {
    /// Starts a clock that advances by `speed` seconds per real second.
    pub fn new(start: Instant, speed: u32) -> Self {
        Self { start, wall_start: tokio::time::Instant::now(), speed: speed.max(1) }
    }
}

impl Clock for FastClock {
    fn uptime(&self) -> Duration {
        self.wall_start.elapsed()
    }

    fn speed(&self) -> u32 {
        self.speed
    }

    fn now(&self) -> Instant {
        let passed = self.uptime().checked_mul(self.speed).unwrap_or(Duration::MAX);
        TimeDelta::from_std(passed)
            .ok()
            .and_then(|passed| self.start.checked_add_signed(passed))
            .unwrap_or(Instant::MAX_UTC)
    }

    fn sleep_until(&self, at: Instant) -> Wait<'_> {
        let left = (at - self.now()).to_std().unwrap_or_default() / self.speed;
        // Rounded up so that the instant is reached when the wait ends.
        Box::pin(tokio::time::sleep(left + Duration::from_micros(500)))
    }
}

/// A clock that moves only when set, for tests that control the time.
#[derive(Clone, Debug)]
pub struct ManualClock {
    /// The current time and the uptime.
    time: watch::Sender<(Instant, Duration)>,
    waits: Arc<Mutex<Waits>>,
}

/// The waits on a manual clock, each under its own number.
#[derive(Debug, Default)]
struct Waits {
    last: u64,
    until: BTreeMap<u64, Instant>,
}

impl ManualClock {
    /// Creates a clock that stays at an instant until it is set.
    pub fn new(start: Instant) -> Self {
        Self { time: watch::Sender::new((start, Duration::ZERO)), waits: Arc::default() }
    }

    /// Advances the time to an instant; an earlier one sets the clock back without uptime passing.
    pub fn set(&self, at: Instant) {
        self.time.send_modify(|(now, up)| {
            *up += (at - *now).to_std().unwrap_or_default();
            *now = at;
        });
    }

    /// Sets the clock to another instant without letting time pass.
    pub fn step(&self, at: Instant) {
        self.time.send_modify(|(now, _)| *now = at);
    }

    /// Returns the earliest instant that a task waits for.
    pub fn next_wait(&self) -> Option<Instant> {
        let waits = self.waits.lock().unwrap_or_else(PoisonError::into_inner);
        waits.until.values().min().copied()
    }
}

impl Clock for ManualClock {
    fn now(&self) -> Instant {
        self.time.borrow().0
    }

    fn uptime(&self) -> Duration {
        self.time.borrow().1
    }

    fn sleep_until(&self, at: Instant) -> Wait<'_> {
        let registered = Registered::new(&self.waits, at);
        let mut time = self.time.subscribe();
        let offset = |(now, up): &(Instant, Duration)| *now - TimeDelta::from_std(*up).unwrap_or_default();
        let set = offset(&time.borrow());
        Box::pin(async move {
            let _registered = registered;
            // Setting the clock also ends the wait. The sender lives as long as the clock.
            let _ = time.wait_for(|state| state.0 >= at || offset(state) != set).await;
        })
    }
}

/// Removes a wait from the list when it ends or is dropped.
struct Registered {
    id: u64,
    waits: Arc<Mutex<Waits>>,
}

impl Registered {
    fn new(waits: &Arc<Mutex<Waits>>, at: Instant) -> Self {
        let mut list = waits.lock().unwrap_or_else(PoisonError::into_inner);
        list.last += 1;
        let id = list.last;
        list.until.insert(id, at);
        Self { id, waits: waits.clone() }
    }
}

impl Drop for Registered {
    fn drop(&mut self) {
        self.waits.lock().unwrap_or_else(PoisonError::into_inner).until.remove(&self.id);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn the_wall_clock_never_wakes_before_the_instant() {
        let clock = WallClock;
        let at = clock.now() + TimeDelta::milliseconds(30);
        clock.sleep_until(at).await;
        assert!(clock.now() >= at);
        // An instant in the past ends the wait immediately.
        clock.sleep_until(at - TimeDelta::days(1)).await;
    }

    #[tokio::test]
    async fn a_fast_clock_wakes_sooner() {
        let start: Instant = "2026-12-24T16:00:00Z".parse().unwrap();
        let clock = FastClock::new(start, 36_000);
        let at = start + TimeDelta::hours(1);
        clock.sleep_until(at).await;
        assert!(clock.now() >= at);
    }

    #[tokio::test]
    async fn a_manual_clock_knows_its_pending_waits() {
        let start: Instant = "2026-12-24T16:00:00Z".parse().unwrap();
        let clock = ManualClock::new(start);
        assert_eq!(clock.next_wait(), None);
        let at = start + TimeDelta::hours(1);
        let wait = clock.sleep_until(at);
        assert_eq!(clock.next_wait(), Some(at));
        clock.set(at);
        wait.await;
        assert_eq!(clock.next_wait(), None);
    }
}

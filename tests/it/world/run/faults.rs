//! Faults of the API, the process, the clock, the disk and the schema.

use std::time::Duration;

use chrono::TimeDelta;
use rtconfd::clock::Clock;

use super::{FILES, World};
use crate::world::remote::FaultRates;

impl World {
    pub(super) async fn inject_faults(&mut self) {
        self.remote.state().fault_rates = FaultRates {
            failing: self.random.u32(5..90),
            late: self.random.u32(..60),
            odd: self.random.u32(..40),
            storm_until: None,
        };
        self.pass_some(5, 1500).await;
        self.remote.state().fault_rates = FaultRates::default();
        self.disturb();
    }

    pub(super) async fn storm(&mut self) {
        self.figures.storms += 1;
        let length = Duration::from_secs(self.random.u64(3..300));
        let until = self.clock.uptime() + length;
        self.remote.state().fault_rates.storm_until = Some(until);
        // Waits until there is a value to send.
        self.edit().await;
        self.pass(TimeDelta::from_std(length).unwrap() + TimeDelta::hours(10)).await;
        self.remote.state().fault_rates.storm_until = None;
        self.disturb();
    }

    /// Kills the process at a random point and restarts it with the stored state.
    pub(super) async fn kill(&mut self) {
        // Gives the driver work: the next transition or an edit.
        match self.random.bool() {
            true => self.edit().await,
            false => {
                if let Some(next) = self.clock.next_wait() {
                    self.clock.set(next.max(self.clock.now()));
                }
            }
        }
        self.kill_now().await;
    }

    pub(super) async fn kill_now(&mut self) {
        self.figures.kills += 1;
        for _ in 0..self.random.usize(..40) {
            tokio::task::yield_now().await;
        }
        if let Some(running) = self.running.take() {
            running.task.abort();
            let _ = running.task.await;
        }
        for page in self.remote.state().pages.values_mut() {
            page.unsure = true;
        }
        match self.is_shared && self.broken.is_none() && self.random.bool() {
            true => self.start_with_old_files().await,
            false => self.start(None).await,
        }
        self.quiet().await;
        self.restart_recovery();
    }

    /// Starts a replica that gets the last changes of some files only after a while.
    ///
    /// Contents that are active must stay so meanwhile.
    async fn start_with_old_files(&mut self) {
        let late: Vec<&str> = self.replaced.keys().copied().filter(|_| self.random.bool()).collect();
        let old_settings = self.replaced_settings.clone().filter(|_| self.random.bool());
        let accepted = self.store.remembered().await.unwrap().newest;
        let is_active = |name: &str| {
            let path = self.path(name).display().to_string();
            let content = accepted.inputs.get(&path);
            content.is_none_or(|content| *content == self.content(name).into_bytes())
        };
        // Nothing becomes active before all files are at least as new as the active ones.
        let are_active = FILES.iter().all(|name| is_active(name))
            && accepted.settings.as_ref() == Some(&self.settings.written);
        for name in &late {
            self.disk.0.lock().unwrap().insert(self.path(name), self.replaced[name].clone());
        }
        let has_old_settings = old_settings.is_some();
        if let Some(old) = old_settings {
            self.settings = old;
        }
        self.note_event(format!("late: {late:?}, settings: {has_old_settings}, active: {are_active}"));
        self.start(None).await;
        // Otherwise the pages may rightly keep older values until the files have arrived.
        if are_active {
            self.figures.lags += u64::from(has_old_settings || !late.is_empty());
            let seconds = self.random.i64(100..170);
            self.pass(TimeDelta::seconds(seconds)).await;
        }
        late.iter().for_each(|name| self.put(name));
        if has_old_settings {
            self.reload().await;
        }
        self.report().await;
        self.disturb();
    }

    /// Corrects the clock by some minutes, and back.
    pub(super) async fn step(&mut self) {
        self.figures.steps += 1;
        let mut minutes = TimeDelta::minutes(self.random.i64(-50..50));
        if self.random.bool() {
            // Back across the last transition.
            if let Some(next) = self.clock.next_wait() {
                self.pass(next - self.clock.now() + TimeDelta::minutes(3)).await;
            }
            minutes = -minutes.abs();
        }
        self.set_clock(minutes);
        self.pass_some(60, 1800).await;
        self.set_clock(-minutes);
    }

    fn set_clock(&mut self, by: TimeDelta) {
        self.clock.step(self.clock.now() + by);
        self.remote.state().set_ahead += by.to_std().unwrap_or_default();
        self.begin_overrides();
        self.disturb();
    }

    /// Makes the clock jump by hours or years: nothing is sent until it is correct again.
    pub(super) async fn jump_clock(&mut self) {
        self.figures.leaps += 1;
        let hours = [-30, -3, 2, 26, 24 * 400][self.random.usize(..5)];
        self.clock.step(self.clock.now() + TimeDelta::hours(hours));
        self.begin_overrides();
        tokio::time::sleep(Duration::from_millis(1)).await;
        {
            let mut state = self.remote.state();
            state.forbidden = Some("the clock is untrusted");
            state.clock_is_wrong = true;
        }
        self.pass_some(1, 200).await;
        self.clock.step(self.clock.now() - TimeDelta::hours(hours));
        self.begin_overrides();
        {
            let mut state = self.remote.state();
            state.forbidden = None;
            state.clock_is_wrong = false;
        }
        self.disturb();
    }

    /// Suspends the machine: time passes without a wake-up.
    pub(super) async fn suspend(&mut self) {
        self.figures.suspends += 1;
        let (up, minutes) = (self.clock.uptime(), self.random.i64(5..4000));
        // Pending changes are detected afterwards.
        for page in self.remote.state().pages.values_mut().filter(|page| page.held_up > up) {
            page.held_up += Duration::from_secs(minutes.unsigned_abs() * 60);
        }
        self.clock.set(self.clock.now() + TimeDelta::minutes(minutes));
        self.restart_recovery();
    }

    /// Fills the disk: the driver exits with an error and sends nothing unrecorded.
    pub(super) async fn fill_disk(&mut self) {
        self.figures.full_disks += 1;
        {
            // No new database page is allowed, and the existing ones are full.
            let database = self.database.lock().unwrap();
            database.execute_batch("CREATE TABLE IF NOT EXISTS filling (x)").unwrap();
            database.query_row("PRAGMA max_page_count = 1", [], |row| row.get::<_, i64>(0)).unwrap();
            for size in [4000, 400, 40, 4, 4] {
                while database.execute("INSERT INTO filling VALUES (zeroblob(?1))", [size]).is_ok() {}
            }
        }
        self.pass_some(60, 40 * 60).await;
        if self.running.is_none() {
            self.remote.state().forbidden = Some("the disk is full");
            self.pass_some(1, 600).await;
        }
        {
            let database = self.database.lock().unwrap();
            database.query_row("PRAGMA max_page_count = 1073741823", [], |row| row.get::<_, i64>(0)).unwrap();
            database.execute_batch("DROP TABLE filling").unwrap();
        }
        self.remote.state().forbidden = None;
        if self.running.is_none() {
            for page in self.remote.state().pages.values_mut() {
                page.unsure = true;
            }
            self.start(None).await;
        }
        self.disturb();
    }

    /// Makes a schema too narrow for the desired value for some hours.
    pub(super) async fn tighten_schema(&mut self) {
        let place = self.any_place();
        let set = |world: &Self, most: Option<usize>| {
            let mut state = world.remote.state();
            let up = world.clock.uptime();
            let page = state.pages.get_mut(&place).unwrap();
            page.longest_phone = most;
            page.stamp += 1_000_000;
            page.adrift_since = Some(up);
            page.held_up = up + world.seen_within();
        };
        let most = self.random.usize(1..4);
        set(self, Some(most));
        self.pass_some(60, 2400).await;
        set(self, None);
    }
}

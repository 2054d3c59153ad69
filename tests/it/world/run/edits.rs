//! Edits of the inputs, good and bad: ordinary ones, held ones, broken files and accidents.

use chrono::TimeDelta;
use rtconfd::clock::Clock;
use rtconfd::reconcile::Control;

use super::{APART, AT_ONCE, FILES, SETTINGS, World};
use crate::world::model::{Place, REGION, REGIONS, Site};

impl World {
    /// Makes an ordinary edit of one file, replaced as a whole.
    pub(super) async fn edit(&mut self) {
        if self.clock.now() < self.next_edit || self.broken.is_some() {
            return;
        }
        self.next_edit = self.clock.now() + APART;
        self.figures.edits += 1;
        let site = self.random.usize(..self.inputs.sites.len());
        let (name, is_held) = self.alter(site);
        self.note_event(format!("{name}, with site {site}"));
        if is_held {
            return self.held(name).await;
        }
        self.remote.state().activate(self.inputs.clone(), self.clock.uptime());
        self.change(name).await;
        self.disturb();
    }

    /// Alters the inputs; returns the changed file, and true if the change will be held.
    fn alter(&mut self, site: usize) -> (&'static str, bool) {
        let today = self.clock.now().date_naive();
        let everywhere = self.inputs.sites.len() * if self.inputs.has.followers { 2 } else { 1 };
        let kinds = if self.inputs.has.region { 10 } else { 7 };
        match self.random.u8(..kinds) {
            0 => {
                self.inputs.sites[site].phone = format!("0{}", self.random.u16(..));
                ("sites.csv", false)
            }
            1 => {
                let Site { phone, region, .. } = self.inputs.sites[site].clone();
                self.inputs.sites[site] = Site { phone, region, ..Site::any(&mut self.random, site) };
                ("sites.csv", false)
            }
            2 | 3 => {
                let date = today + chrono::Days::new(self.random.u64(1..20));
                let open = self.random.bool().then_some((10 * 60, 15 * 60));
                self.inputs.closures.insert((site, date), open);
                // Old rows are removed one at a time, since more at once would be held.
                let oldest = self.inputs.closures.keys().min_by_key(|(_, date)| *date).copied();
                if self.inputs.closures.len() > 40 {
                    self.inputs.closures.remove(&oldest.unwrap());
                }
                ("closures.csv", false)
            }
            4 => {
                // Far enough ahead not to be a sudden closure of everything, even on sandboxes.
                self.inputs.holidays.insert(today + chrono::Days::new(self.random.u64(23..60)));
                while self.inputs.holidays.len() > 30 {
                    self.inputs.holidays.pop_first();
                }
                ("holidays.ics", false)
            }
            5 => {
                self.inputs.motto = format!("we care {}", self.random.u32(..));
                (SETTINGS, everywhere > AT_ONCE)
            }
            6 => {
                self.inputs.greeting = format!("hello {}", self.random.u16(..));
                ("messages.json", everywhere > AT_ONCE)
            }
            7 => {
                let region = self.random.usize(..2);
                self.inputs.managers[region] = format!("anna {}", self.random.u16(..));
                let is_shown = |place: &Place| matches!(place, Place::Ahead(_) | Place::Board);
                let shown_on = self.defined().into_iter().filter(is_shown).count();
                ("regions.csv", REGIONS[region] == REGION && shown_on > AT_ONCE)
            }
            _ => {
                self.figures.moves += 1;
                let other = usize::from(self.inputs.sites[site].region == REGIONS[0]);
                self.inputs.sites[site].region = REGIONS[other];
                ("sites.csv", false)
            }
        }
    }

    /// Makes an edit, then another or a restart while the first waits for promotion.
    pub(super) async fn edit_twice(&mut self) {
        self.edit().await;
        if !self.inputs.has.followers {
            return;
        }
        self.pass_some(66, 170).await;
        match self.random.bool() {
            true => self.edit().await,
            false => self.kill_now().await,
        }
    }

    /// Writes the current inputs to a file.
    async fn change(&mut self, name: &'static str) {
        if name == SETTINGS {
            self.replaced_settings = Some(self.settings.clone());
            return self.reload().await;
        }
        let before = self.disk.0.lock().unwrap().get(&self.path(name)).cloned();
        self.replaced.extend(before.map(|before| (name, before)));
        self.put(name);
        self.report().await;
    }

    /// Makes a change that is held, and approves it some time later.
    async fn held(&mut self, name: &'static str) {
        let intended = self.inputs.clone();
        self.change(name).await;
        self.inputs = self.remote.state().models[0].clone();
        self.pass_some(1, 600).await;
        if self.running.is_none() {
            self.start(None).await;
            self.quiet().await;
        }
        let Some(held) = self.status().await.and_then(|status| status.held) else {
            return self.violation(format!("hold: {name} changed every page and is not held"));
        };
        self.figures.approvals += 1;
        self.inputs = intended;
        {
            // During the rollout both models are valid.
            let mut state = self.remote.state();
            state.models.truncate(1);
            state.activate(self.inputs.clone(), self.clock.uptime());
        }
        let revision = held.revision;
        let approved = self.ask(|answer| Control::Approve { revision, who: "anna".to_owned(), answer }).await;
        if approved.is_none_or(|approved| approved.is_err()) {
            self.violation("hold: the approval was refused".to_owned());
        }
        for _ in 0..120 {
            let both = self.remote.state().models.clone();
            self.quiet().await;
            if self.status().await.is_none_or(|status| status.rollout.is_none()) {
                break;
            }
            if both.len() > 1 {
                self.remote.state().models = both;
            }
            self.clock.set(self.clock.now() + TimeDelta::seconds(1));
        }
        self.remote.state().models = vec![self.inputs.clone()];
        self.next_edit = self.clock.now() + APART;
        self.disturb();
    }

    /// Breaks a file for some hours: torn, emptied, cut, a bad row, missing.
    ///
    /// The last good content stays active.
    pub(super) async fn break_file(&mut self) {
        self.figures.bad_files += 1;
        let used = if self.inputs.has.region { FILES.len() } else { FILES.len() - 1 };
        let name = FILES[self.random.usize(..used)];
        let good = self.content(name).into_bytes();
        let (kind, bad) = match self.random.u8(..6) {
            0 if name == "sites.csv" => ("torn", Some(good[..self.random.usize(..good.len())].to_vec())),
            1 => ("emptied", Some(Vec::new())),
            // The last row must lack a cell; a row with an empty cell would be valid.
            2 if name == "sites.csv" => ("cut", Some(good[..good.len() - 4].to_vec())),
            2 if name != "messages.json" => ("cut", Some(good[..good.len() - 3].to_vec())),
            3 if name == "sites.csv" => {
                let text = String::from_utf8(good).unwrap().replacen(":00-", ":99-", 1);
                ("a bad row", Some(text.into_bytes()))
            }
            3 if name == "regions.csv" => {
                let text = String::from_utf8(good).unwrap();
                ("a lost row", Some(text.replacen("NE,", "SE,", 1).into_bytes()))
            }
            4 => ("no text", Some(vec![0xff, 0xfe, 0, 0])),
            _ => ("gone", None),
        };
        self.note_event(format!("{name}: {kind}"));
        match bad {
            Some(bad) => drop(self.disk.0.lock().unwrap().insert(self.path(name), bad)),
            None => drop(self.disk.0.lock().unwrap().remove(&self.path(name))),
        }
        self.broken = Some(kind);
        self.report().await;
        self.report().await;
        if self.random.bool() {
            self.kill_now().await;
        }
        self.pass_some(1, 900).await;
        self.broken = None;
        self.put(name);
        self.report().await;
        self.disturb();
    }

    /// Damages a file of many sites: no page receives any of it until it is fixed.
    pub(super) async fn accident(&mut self) {
        if self.inputs.sites.len() <= AT_ONCE || self.broken.is_some() {
            return;
        }
        self.figures.accidents += 1;
        let good = self.inputs.clone();
        let mut bad = good.clone();
        let text = match self.random.u8(..5) {
            0 => {
                bad.sites.iter_mut().for_each(|site| site.zone = chrono_tz::Tz::Asia__Tokyo);
                bad.sites_csv()
            }
            1 => {
                bad.sites.iter_mut().for_each(|site| site.week = Default::default());
                bad.sites_csv().replace("\"\"", "closed")
            }
            2 => {
                let text = good.sites_csv();
                let keep = self.random.usize(1..good.sites.len() / 2);
                text.lines().take(keep + 1).map(|line| format!("{line}\n")).collect()
            }
            3 => {
                bad.sites.iter_mut().for_each(|site| site.phone = "0".to_owned());
                bad.sites_csv()
            }
            _ => good.sites_csv().replace("s", "x"),
        };
        self.disk.0.lock().unwrap().insert(self.path("sites.csv"), text.into_bytes());
        self.broken = Some("an accident");
        self.report().await;
        if self.random.bool() {
            self.kill_now().await;
        }
        self.pass_some(1, 2000).await;
        self.broken = None;
        self.put("sites.csv");
        self.report().await;
        self.disturb();
    }
}

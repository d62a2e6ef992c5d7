//! The closed part of a feed's history, in volumes (RFC 5005 §4). A volume is a feedful of one day's items, and a day is
//! archived when it is over (UTC): then it gains nothing by what is published later. Counted from the newest, so that
//! the way into the archive, the first volume of the last day, is found without counting anything.

use super::name::Volume;
use crate::domain::{Selection, Time};
use crate::store::{Picked, Store, StoreError, Window};
use chrono::{Days, NaiveDate};

/// Volumes of one day; the largest agencies send some thousand items a day.
pub(super) const VOLUMES_MAX: u32 = 200;

/// The archive of a selection.
pub(super) struct Archive<'a> {
    pub(super) store: &'a Store,
    pub(super) selection: &'a Selection,
    /// Items in a volume.
    pub(super) limit: usize,
    /// Not over yet.
    pub(super) today: NaiveDate,
}

/// Where a volume stands between others.
pub(super) struct Neighbours {
    pub(super) older: Option<Volume>,
    pub(super) newer: Option<Volume>,
}

impl Archive<'_> {
    /// The volume that comes before everything that is not archived yet.
    pub(super) fn newest(&self) -> Result<Option<Volume>, StoreError> {
        self.last_day_before(self.today)
    }

    /// All items of `volume`, newest first, whatever part of it is meant, and its neighbours; none if there is no such
    /// volume.
    pub(super) fn open(&self, volume: Volume) -> Result<Option<(Vec<Picked>, Neighbours)>, StoreError> {
        if volume.day >= self.today || volume.number > VOLUMES_MAX {
            return Ok(None);
        }
        let skipped = (volume.number as usize - 1) * self.limit;
        let mut picked = self.of_day(volume.day, skipped + self.limit + 1)?;
        if picked.len() <= skipped {
            return Ok(None);
        }
        picked.drain(..skipped);
        let older = if picked.len() > self.limit {
            Some(Volume { number: volume.number + 1, skipped: 0, ..volume })
        } else {
            self.last_day_before(volume.day)?
        };
        picked.truncate(self.limit);
        let newer = match volume.number {
            1 => self.first_day_behind(volume.day)?,
            number => Some(Volume { number: number - 1, skipped: 0, ..volume }),
        };
        Ok(Some((picked, Neighbours { older, newer })))
    }

    /// The first volume of the last day before `day` that has any items.
    fn last_day_before(&self, day: NaiveDate) -> Result<Option<Volume>, StoreError> {
        let window = Window { from: None, until: Some(start(day)) };
        let picked = self.store.select(self.selection, &window, None, 1)?.picked;
        Ok(picked.first().map(|newest| Volume { day: newest.dated.date_naive(), number: 1, skipped: 0 }))
    }

    /// The last volume of the first day behind `day` that has any items and is over. Orders are read newest first, so
    /// the stretch between is halved until one day is left.
    fn first_day_behind(&self, day: NaiveDate) -> Result<Option<Volume>, StoreError> {
        let Some(mut from) = day.checked_add_days(Days::new(1)) else { return Ok(None) };
        let mut until = self.today;
        if !self.has_any(from, until)? {
            return Ok(None);
        }
        loop {
            let days = (until - from).num_days();
            if days <= 1 {
                break;
            }
            let middle = from + Days::new(days.unsigned_abs() / 2);
            if self.has_any(from, middle)? { until = middle } else { from = middle }
        }
        let items = self.of_day(from, VOLUMES_MAX as usize * self.limit)?.len();
        let number = u32::try_from(items.div_ceil(self.limit)).unwrap_or(VOLUMES_MAX);
        Ok(Some(Volume { day: from, number, skipped: 0 }))
    }

    fn has_any(&self, from: NaiveDate, until: NaiveDate) -> Result<bool, StoreError> {
        let window = Window { from: Some(start(from)), until: Some(start(until)) };
        Ok(from < until && !self.store.select(self.selection, &window, None, 1)?.picked.is_empty())
    }

    fn of_day(&self, day: NaiveDate, limit: usize) -> Result<Vec<Picked>, StoreError> {
        let end = day.checked_add_days(Days::new(1)).map(start);
        let window = Window { from: Some(start(day)), until: end };
        Ok(self.store.select(self.selection, &window, None, limit)?.picked)
    }
}

fn start(day: NaiveDate) -> Time {
    day.and_time(chrono::NaiveTime::MIN).and_utc()
}

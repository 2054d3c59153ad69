//! Moves the content of a store to another one.

use std::sync::mpsc;

use super::{Location, StoreError};

/// Rows that wait between the two stores.
const WAITING: usize = 1_000;

/// Moves all rows of a store to another one, which must be empty; returns their number.
///
/// Programs open either the one or the other: the source is marked as moved before the rows become
/// durable in the target, and not marked if that fails.
///
/// # Errors
/// `None` without a source; when either store is in use, cannot be read or written, or the target is
/// not empty. The source is as before then.
pub fn move_store(from: &dyn Location, to: &dyn Location, name: &str) -> Result<Option<u64>, StoreError> {
    let Some(mut source) = from.begin_move()? else { return Ok(None) };
    let (send, rows) = mpsc::sync_channel(WAITING);
    std::thread::scope(|scope| {
        let reading = scope.spawn(move || {
            let read = source.rows(&mut |row| send.send(row).map_err(|_| StoreError::Closed));
            (source, read)
        });
        let (mut reading, mut source) = (Some(reading), None);
        let moved = to.import(&mut rows.into_iter(), &mut || {
            let Some(Ok((mut read, result))) = reading.take().map(|reading| reading.join()) else {
                return Err(StoreError::Closed);
            };
            result?;
            read.mark(Some(name))?;
            source = Some(read);
            Ok(())
        });
        if moved.is_err()
            && let Some(mut source) = source
        {
            source.mark(None)?;
        }
        moved.map(Some)
    })
}

//! Numbers in place of pointers.

use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Mutex, MutexGuard, OnceLock, PoisonError, TryLockError};

use xtls_bindings::{Code, Result};

/// Objects by number. A number has the place of the object in its lower half and, in its upper one, how many times
/// objects came and went there: so no number is given twice, and one that is closed, or was made up, is told from all that are open.
///
/// There is room for two to the power of `CHUNKS` less one. Places are made in chunks, each twice as large as the one before, and stay where
/// they are: so a call finds its object without a lock that others need too.
#[derive(Debug)]
pub(crate) struct Table<T, const CHUNKS: usize = 16> {
    chunks: [OnceLock<Box<[Place<T>]>>; CHUNKS],
    free: Mutex<Free>,
}

#[derive(Debug)]
struct Place<T> {
    /// How many times an object came and went here: odd while there is one. It is changed under the lock alone.
    generation: AtomicU32,
    /// Whoever uses the object has this. It is only ever tried.
    object: Mutex<Option<Box<T>>>,
}

/// The places that have no object.
#[derive(Debug)]
struct Free {
    given_back: Vec<u32>,
    /// Those from here on never had any.
    next: u32,
}

impl<T, const CHUNKS: usize> Table<T, CHUNKS> {
    pub(crate) const fn new() -> Self {
        let free = Free { given_back: Vec::new(), next: 0 };
        Self { chunks: [const { OnceLock::new() }; CHUNKS], free: Mutex::new(free) }
    }

    /// Gives an object a number.
    pub(crate) fn insert(&self, object: T) -> Result<u64> {
        let at = self.free().take().filter(|at| chunk_of(*at) < CHUNKS).ok_or(Code::TooManyHandles)?;
        let chunk = chunk_of(at);
        let make = || (0..1_usize << chunk).map(|_| Place::default()).collect();
        let places = self.chunks.get(chunk).ok_or(Code::TooManyHandles)?.get_or_init(make);
        let place = places.get(offset_of(at)).ok_or(Code::TooManyHandles)?;
        // What panicked here was another object.
        place.object.clear_poison();
        let mut inner = place.object.lock().unwrap_or_else(PoisonError::into_inner);
        // Under the lock, as everywhere: otherwise a number could name another object for a moment. An object's generation is odd, so no
        // number is 0.
        let generation = place.generation.fetch_add(1, Ordering::AcqRel) + 1;
        *inner = Some(Box::new(object));
        Ok(u64::from(generation) << 32 | u64::from(at))
    }

    /// Takes an object out for good, unless it is in use. It is the caller's to drop.
    pub(crate) fn remove(&self, number: u64) -> Result<Box<T>> {
        let place = self.place(number)?;
        let mut object = match place.object.try_lock() {
            Ok(object) => object,
            Err(TryLockError::Poisoned(poisoned)) => poisoned.into_inner(),
            Err(TryLockError::WouldBlock) => return Err(Code::Busy.into()),
        };
        if place.generation.load(Ordering::Acquire) != generation_of(number) {
            return Err(Code::BadHandle.into());
        }
        let removed = object.take().ok_or(Code::BadHandle)?;
        place.generation.fetch_add(1, Ordering::AcqRel);
        drop(object);
        // A place whose generations are used up is not given again.
        if generation_of(number) < u32::MAX {
            self.free().given_back.push(position_of(number));
        }
        Ok(removed)
    }

    /// Uses an object, if nobody else does at the moment.
    pub(crate) fn with<R>(&self, number: u64, use_it: impl FnOnce(&mut T) -> Result<R>) -> Result<R> {
        let place = self.place(number)?;
        let mut object = match place.object.try_lock() {
            Ok(object) => object,
            Err(TryLockError::Poisoned(_)) => return Err(Code::Poisoned.into()),
            Err(TryLockError::WouldBlock) => return Err(Code::Busy.into()),
        };
        // It may have been closed meanwhile, and another one opened in its place.
        if place.generation.load(Ordering::Acquire) != generation_of(number) {
            return Err(Code::BadHandle.into());
        }
        use_it(object.as_mut().ok_or(Code::BadHandle)?)
    }

    /// The place that this number names. Of an old number it is known without the lock, so that it keeps nobody else out.
    fn place(&self, number: u64) -> Result<&Place<T>> {
        let at = position_of(number);
        let chunk = self.chunks.get(chunk_of(at)).and_then(OnceLock::get);
        let place = chunk.and_then(|places| places.get(offset_of(at)));
        let current = |place: &&Place<T>| {
            generation_of(number) % 2 == 1 && place.generation.load(Ordering::Acquire) == generation_of(number)
        };
        Ok(place.filter(current).ok_or(Code::BadHandle)?)
    }

    fn free(&self) -> MutexGuard<'_, Free> {
        self.free.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Free {
    fn take(&mut self) -> Option<u32> {
        if let Some(at) = self.given_back.pop() {
            return Some(at);
        }
        let at = self.next;
        self.next = at.checked_add(1)?;
        Some(at)
    }
}

impl<T> Default for Place<T> {
    fn default() -> Self {
        Self { generation: AtomicU32::new(0), object: Mutex::new(None) }
    }
}

/// The chunk of a place: the first has one place, the next two, the next four.
fn chunk_of(at: u32) -> usize {
    usize::try_from(at.saturating_add(1).ilog2()).unwrap_or(usize::MAX)
}

/// Where it is in its chunk.
fn offset_of(at: u32) -> usize {
    let first = at.saturating_add(1);
    usize::try_from(first - (1 << first.ilog2())).unwrap_or(usize::MAX)
}

fn position_of(number: u64) -> u32 {
    u32::try_from(number & u64::from(u32::MAX)).unwrap_or(u32::MAX)
}

fn generation_of(number: u64) -> u32 {
    u32::try_from(number >> 32).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn code<R>(result: Result<R>) -> Option<Code> {
        result.err().map(|error| error.code)
    }

    #[test]
    fn a_number_is_never_given_twice_and_one_that_is_closed_names_nothing() {
        let table: Table<&str> = Table::new();
        let first = table.insert("first").expect("room");
        assert_eq!(table.remove(first).as_deref(), Ok(&"first"));
        assert_eq!(code(table.remove(first)), Some(Code::BadHandle));
        let second = table.insert("second").expect("room");
        assert_ne!(first, second);
        assert_eq!(position_of(first), position_of(second), "the place is the same");
        for stale in [first, 0, 1, u64::from(u32::MAX), u64::MAX, second + 1, second + (1 << 32)] {
            assert_eq!(code(table.with(stale, |_| Ok(()))), Some(Code::BadHandle));
            assert_eq!(code(table.remove(stale)), Some(Code::BadHandle));
        }
        assert_eq!(table.with(second, |object| Ok(*object)), Ok("second"));
    }

    #[test]
    fn there_are_so_many_places_and_not_one_more() {
        let table: Table<usize> = Table::new();
        let all: Vec<u64> = (0..65_535).map(|object| table.insert(object).expect("room")).collect();
        assert_eq!(code(table.insert(0)), Some(Code::TooManyHandles));
        assert_eq!(code(table.insert(0)), Some(Code::TooManyHandles));
        assert!(all.iter().enumerate().all(|(object, number)| table.with(*number, |it| Ok(*it)) == Ok(object)));
        table.remove(all[40_000]).expect("it is open");
        assert!(table.insert(1).is_ok());
        assert_eq!(code(table.insert(0)), Some(Code::TooManyHandles));
        let small: Table<u8, 2> = Table::new();
        assert_eq!((0..9).filter(|object| small.insert(*object).is_ok()).count(), 3);
    }

    #[test]
    fn what_is_in_use_is_neither_used_nor_closed() {
        let table: Table<i32> = Table::new();
        let number = table.insert(7).expect("room");
        let inside = table.with(number, |object| {
            *object += 1;
            assert_eq!(code(table.with(number, |_| Ok(()))), Some(Code::Busy));
            assert_eq!(code(table.remove(number)), Some(Code::Busy));
            assert_eq!(code(table.with(number + (1 << 32), |_| Ok(()))), Some(Code::BadHandle), "and no lock");
            Err::<(), _>(Code::Nothing.into())
        });
        assert_eq!(code(inside), Some(Code::Nothing), "an error is none of the object's");
        assert_eq!(table.remove(number).as_deref(), Ok(&8));
    }

    #[test]
    fn many_threads_open_and_close_in_the_same_places_and_nobody_has_anothers_object() {
        let table: Table<u32> = Table::new();
        std::thread::scope(|scope| {
            for thread in 0..4 {
                let table = &table;
                scope.spawn(move || {
                    for turn in 0..20_000 {
                        let mine = thread * 1_000_000 + turn;
                        let number = table.insert(mine).expect("room");
                        assert_eq!(table.with(number, |object| Ok(*object)), Ok(mine));
                        assert_eq!(table.remove(number).as_deref(), Ok(&mine));
                        assert_eq!(code(table.with(number, |_| Ok(()))), Some(Code::BadHandle));
                        assert_eq!(code(table.remove(number)), Some(Code::BadHandle));
                    }
                });
            }
        });
    }

    #[test]
    fn a_panic_poisons_the_object_which_can_only_be_closed_and_not_the_next_in_its_place() {
        let table: Table<i32> = Table::new();
        let number = table.insert(7).expect("room");
        let panicked = crate::border::call(|| table.with(number, |_| panic!("on purpose")));
        assert_eq!(panicked, Code::Panicked.number());
        assert_eq!(code(table.with(number, |_| Ok(()))), Some(Code::Poisoned));
        assert_eq!(table.remove(number).as_deref(), Ok(&7));
        assert_eq!(code(table.remove(number)), Some(Code::BadHandle));
        let next = table.insert(8).expect("room");
        assert_eq!(position_of(next), position_of(number));
        assert_eq!(table.with(next, |object| Ok(*object)), Ok(8));
    }

    #[test]
    fn a_place_whose_generations_are_used_up_is_not_given_again() {
        let table: Table<i32, 2> = Table::new();
        let first = table.insert(1).expect("room");
        let place = table.place(first).expect("its place");
        table.remove(first).expect("closed");
        place.generation.store(u32::MAX - 1, Ordering::Release);
        let last = table.insert(2).expect("room");
        assert_eq!(generation_of(last), u32::MAX);
        table.remove(last).expect("closed");
        assert_eq!(code(table.remove(last)), Some(Code::BadHandle));
        assert_eq!(position_of(table.insert(3).expect("room")), 1);
    }
}

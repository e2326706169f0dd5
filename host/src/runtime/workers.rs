//! Sharing the tasks of an epoch out among workers, with results in the order of the tasks.

use std::{
    collections::BTreeMap,
    sync::{Condvar, Mutex, MutexGuard, PoisonError},
    thread,
};

/// So many results for each worker may wait for an earlier one that takes longer; workers then wait too. Enough that a
/// slow task seldom idles the others, few enough that waiting results stay small beside the work under way.
const WAITING_PER_WORKER: usize = 4;

/// Runs every task on some worker and hands over the results in the order of the tasks, on the calling thread. The
/// first failure, of work or of delivery, ends it.
pub(super) fn run_in_order<W, T, R, E>(
    workers: &mut [W],
    tasks: Vec<T>,
    work: impl Fn(&mut W, T) -> Result<R, E> + Sync,
    mut deliver: impl FnMut(R) -> Result<(), E>,
) -> Result<(), E>
where
    W: Send,
    T: Send,
    R: Send,
    E: Send,
{
    if workers.len() == 1 || tasks.len() <= 1 {
        // One task needs no thread: starting one would cost more than most small epochs take.
        let worker = &mut workers[0];
        return tasks.into_iter().try_for_each(|task| deliver(work(worker, task)?));
    }
    let count = tasks.len();
    let window = workers.len() * WAITING_PER_WORKER;
    let shared = Shared {
        state: Mutex::new(State {
            tasks: tasks.into_iter(),
            given: 0,
            results: BTreeMap::new(),
            delivered: 0,
            stop: false,
        }),
        changed: Condvar::new(),
    };
    thread::scope(|scope| {
        for worker in workers {
            scope.spawn(|| {
                let _guard = StopOnPanic(&shared);
                while let Some((at, task)) = shared.next_task(window) {
                    shared.put(at, work(worker, task));
                }
            });
        }
        let outcome = (0..count).try_for_each(|at| match shared.take(at) {
            Some(result) => deliver(result?),
            // A worker panicked; leaving the scope passes the panic on.
            None => Ok(()),
        });
        shared.stop();
        outcome
    })
}

struct Shared<I, R> {
    state: Mutex<State<I, R>>,
    changed: Condvar,
}

struct State<I, R> {
    tasks: I,
    given: usize,
    results: BTreeMap<usize, R>,
    delivered: usize,
    stop: bool,
}

impl<T, I: Iterator<Item = T>, R> Shared<I, R> {
    fn next_task(&self, window: usize) -> Option<(usize, T)> {
        let mut state = self.lock();
        while !state.stop && state.given >= state.delivered + window {
            state = self.changed.wait(state).unwrap_or_else(PoisonError::into_inner);
        }
        if state.stop {
            return None;
        }
        let task = state.tasks.next()?;
        state.given += 1;
        Some((state.given - 1, task))
    }
}

impl<I, R> Shared<I, R> {
    fn put(&self, at: usize, result: R) {
        self.lock().results.insert(at, result);
        self.changed.notify_all();
    }

    fn take(&self, at: usize) -> Option<R> {
        let mut state = self.lock();
        loop {
            if let Some(result) = state.results.remove(&at) {
                state.delivered = at + 1;
                self.changed.notify_all();
                return Some(result);
            }
            if state.stop {
                return None;
            }
            state = self.changed.wait(state).unwrap_or_else(PoisonError::into_inner);
        }
    }

    fn stop(&self) {
        self.lock().stop = true;
        self.changed.notify_all();
    }

    fn lock(&self) -> MutexGuard<'_, State<I, R>> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Without it a panicking worker would leave the delivering thread waiting for a result that never comes.
struct StopOnPanic<'a, I, R>(&'a Shared<I, R>);

impl<I, R> Drop for StopOnPanic<'_, I, R> {
    fn drop(&mut self) {
        if thread::panicking() {
            self.0.stop();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Sinks write what is delivered, so its order must not depend on which worker was faster.
    #[test]
    fn results_come_in_the_order_of_the_tasks() {
        let mut delivered = Vec::new();
        let spin = |_: &mut (), task: u64| {
            // Uneven work: every fifth task takes far longer.
            let rounds = if task.is_multiple_of(5) { 200_000 } else { 10 };
            Ok::<_, ()>((0..rounds).fold(task, |sum, i| std::hint::black_box(sum ^ i ^ i)))
        };
        let done = run_in_order(&mut [(), (), ()], (0..500).collect(), spin, |task| {
            delivered.push(task);
            Ok(())
        });
        assert_eq!(done, Ok(()));
        assert_eq!(delivered, (0..500).collect::<Vec<u64>>());
    }

    /// A failure ends it, whether in the work or in the delivery, and nothing after it is delivered.
    #[test]
    fn the_first_failure_ends_it() {
        let mut delivered = 0;
        let failing = |_: &mut (), task: usize| if task == 40 { Err("work") } else { Ok(task) };
        let outcome = run_in_order(&mut [(), ()], (0..1000).collect(), failing, |_| {
            delivered += 1;
            Ok(())
        });
        assert_eq!((outcome, delivered), (Err("work"), 40));

        let deliver = |task: usize| if task == 7 { Err("delivery") } else { Ok(()) };
        assert_eq!(run_in_order(&mut [(), ()], (0..1000).collect(), |_, task| Ok(task), deliver), Err("delivery"));
    }

    /// A panic in a worker reaches the caller instead of leaving it to wait for ever.
    #[test]
    #[should_panic(expected = "a scoped thread panicked")]
    fn a_panic_is_passed_on() {
        let work = |_: &mut (), task: usize| if task == 3 { panic!("broken") } else { Ok::<_, ()>(task) };
        let _ = run_in_order(&mut [(), ()], (0..100).collect(), work, |_| Ok(()));
    }
}

//! One history of a case: killed, started and killed again, until it has come to its end or has been killed often
//! enough.

use std::{
    fmt::{self, Write as _},
    mem,
    process::Command,
    time::Duration,
};

use tidemill_tests::Folder;

use super::{
    case::{Case, Reference},
    dice::Dice,
    kill::{End, Kill, Point, run},
    output::{Leftovers, Output},
};

/// Points that every epoch comes to on its way, whether or not anything was killed before.
const ON_THE_WAY: [Point; 7] = [
    Point::EpochPlanned,
    Point::RowsRead,
    Point::BeforeSinkCommit,
    Point::BetweenSinkCommits,
    Point::SinkCommitted,
    Point::StateCommitted,
    Point::Acknowledged,
];

/// So many kills of a case are at points before any is at a random instant, so that even a few kills of each case meet
/// all of them.
const NAMED_FIRST: u64 = 3;

/// What a case has gone through.
#[derive(Default)]
pub(crate) struct Tally {
    pub(crate) kills: u64,
    /// Kills at each point, in the order of [`Point::ALL`].
    pub(crate) at: [u64; Point::ALL.len()],
    /// Kills at random instants.
    pub(crate) anywhere: u64,
    /// Kills of an epoch that was being run again after a kill.
    pub(crate) again: u64,
    /// Kills of a process that was started with `--from`.
    pub(crate) restored: u64,
    /// Kills of a process that was started with `--rename-state`.
    pub(crate) renamed: u64,
    /// Kills after which a sink's folder held a temporary file.
    pub(crate) temporary: u64,
    /// Kills after which a part was in its place and its epoch not committed.
    pub(crate) uncommitted: u64,
    /// Kills after which sinks stood at different epochs.
    pub(crate) apart: u64,
}

/// What somebody does with a pipeline between a kill and the next start. The result must be the same.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Change {
    /// Nothing.
    None,
    /// Makes a savepoint, and begins a new checkpoint with it.
    Restored,
    /// Gives parts that keep something another name.
    Renamed,
}

/// The savepoint, and the checkpoint that begins with it.
const SAVED: &str = "saved";
const AGAIN: &str = "again";

/// What is known of the epoch that the next start begins with.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Next {
    /// Not begun. It may be planned: when rows wait, that comes with the commit of the epoch before.
    Open(u64),
    /// Planned; and whether there is a sink that has yet to commit it after another.
    Planned(u64, bool),
    /// Nothing: the process was killed at a random instant.
    Unknown,
}

/// Kills a case.
pub(crate) struct Killer<'a> {
    pub(crate) case: &'a Case,
    pub(crate) reference: &'a Reference,
    pub(crate) dice: Dice,
    /// How often, all histories together.
    pub(crate) wanted: u64,
    /// With which of [`Point::ALL`] it starts, another for each case.
    pub(crate) first: usize,
    pub(crate) tally: Tally,
}

impl Killer<'_> {
    /// Goes through one history, and compares what comes out with what should. An error says all that is needed to see
    /// it again.
    pub(crate) fn go_through(&mut self) -> Result<(), String> {
        let folder = self.case.folder();
        let mut kills = Vec::new();
        let gone = self.kill_until_done(&folder, &mut kills);
        gone.and_then(|()| self.case.compare(&folder, self.reference)).map_err(|error| {
            let mut story = format!("killed {} times: ", kills.len());
            kills.iter().for_each(|kill| write!(story, "{kill}, ").expect("text grows"));
            let kept = folder.path("");
            // Whoever looks into it needs the folder.
            mem::forget(folder);
            format!("{story}then {error}\n  (its folder is kept: {})", kept.display())
        })
    }

    fn kill_until_done(&mut self, folder: &Folder, kills: &mut Vec<Kill>) -> Result<(), String> {
        let mut next = Next::Open(0);
        // The first epoch that is certainly not planned yet.
        let mut ahead = 0;
        let mut change = Change::None;
        loop {
            let kill = (self.tally.kills < self.wanted).then(|| self.choose(next, ahead)).flatten();
            let further = self.arguments(folder, change);
            let (end, _) = run(self.command(folder, kill).args(&further), kill).map_err(|error| match kill {
                Some(kill) => format!("on its way to {kill} {error}"),
                None => error,
            })?;
            let kill = match (kill, end) {
                (Some(Kill::At(point, epoch)), End::Finished) => {
                    return Err(format!("epoch {epoch} never came to `{}`", point.name()));
                }
                (None, End::Killed) => return Err("somebody else killed it".to_owned()),
                (_, End::Finished) => return Ok(()),
                (Some(kill), End::Killed) => kill,
            };
            kills.push(kill);
            let left = Output::of(folder).leftovers();
            self.tally.count(kill, &left);
            let started_with = |argument: &str| u64::from(further.iter().any(|known| known == argument));
            self.tally.restored += started_with("--from");
            self.tally.renamed += started_with("--rename-state");
            // There is something to save when a sink has the second epoch. The first kill is in the middle.
            if change == Change::None && left.committed >= Some(1) && (self.tally.kills == 1 || self.dice.once_in(4)) {
                change = self.change(folder)?;
            }
            match kill {
                Kill::At(point, epoch) => {
                    self.tally.again += u64::from(matches!(next, Next::Planned(planned, _) if planned == epoch));
                    next = after(point, epoch, next, self.case.sinks);
                    ahead = ahead.max(match next {
                        Next::Open(open) if open > 0 => open + 1,
                        _ => epoch + 1,
                    });
                }
                Kill::After(_) => {
                    next = Next::Unknown;
                    // The epoch after a committed one may be under way, the one after that cannot be.
                    ahead = ahead.max(left.committed.map_or(1, |epoch| epoch + 2));
                }
            }
        }
    }

    /// Changes something that no result may depend on.
    fn change(&mut self, folder: &Folder) -> Result<Change, String> {
        if self.case.renames().next().is_some() && (self.tally.kills == 1 || self.dice.once_in(2)) {
            self.case.rename(folder);
            return Ok(Change::Renamed);
        }
        let saved = run(&mut folder.command(["savepoint", "pipeline.toml", "--to", SAVED]), None);
        saved.map_err(|error| format!("when a savepoint was made {error}"))?;
        self.case.move_checkpoint(folder, AGAIN);
        Ok(Change::Restored)
    }

    /// What the next start must be told of a change.
    fn arguments(&self, folder: &Folder, change: Change) -> Vec<String> {
        match change {
            // A start that was killed early has made no checkpoint, and is given again as it was.
            Change::Restored if !folder.path(AGAIN).join("checkpoint.redb").exists() => {
                vec!["--from".to_owned(), SAVED.to_owned()]
            }
            Change::None | Change::Restored => Vec::new(),
            Change::Renamed => {
                let renames = self.case.renames();
                let renames = renames.flat_map(|(from, to)| ["--rename-state".to_owned(), format!("{from}={to}")]);
                // Other names are another manifest, though it gives the same rows.
                renames.chain(["--replay-changed".to_owned()]).collect()
            }
        }
    }

    /// A start with any number of workers. When it is going to be killed at a point, it may as well run for ever: by
    /// the clock, where no epoch is planned with the commit before, and after that commit the next start has nothing
    /// but what was committed; or as soon as there are rows.
    fn command(&mut self, folder: &Folder, kill: Option<Kill>) -> Command {
        let workers = (1 + self.dice.below(3)).to_string();
        let mut command = folder.command(["run", "pipeline.toml", "--workers", &workers]);
        if matches!(kill, Some(Kill::At(..))) {
            let trigger = if self.tally.kills == 0 { 0 } else { self.dice.below(4) };
            match trigger {
                0 => drop(command.args(["--set", r#"trigger={ every = "1ms" }"#])),
                1 => drop(command.args(["--set", r#"trigger="continuous""#])),
                _ => {}
            }
        }
        command
    }

    /// Where to kill next; nowhere when the end is near. First in the middle and after a commit, where a start needs
    /// all that there is in a checkpoint; then, of the points that are sure to come, the first of those that had the
    /// fewest kills.
    fn choose(&mut self, next: Next, ahead: u64) -> Option<Kill> {
        if self.tally.kills == 0 {
            return Some(Kill::At(Point::StateCommitted, self.reference.epochs / 2));
        }
        if self.tally.kills >= NAMED_FIRST && self.dice.once_in(3) {
            // Half of them soon, to meet the start and what it runs again.
            let within = self.reference.took / if self.dice.once_in(2) { 8 } else { 2 };
            return Some(Kill::After(Duration::from_nanos(self.dice.below(within.as_nanos() as u64))));
        }
        let sure = self.sure(next, ahead);
        let turn = |point: Point| (point as usize + Point::ALL.len() - self.first) % Point::ALL.len();
        let order = |point: Point| (self.tally.at[point as usize], turn(point));
        let point = sure.iter().map(|(point, _)| *point).min_by_key(|&point| order(point))?;
        let epochs: Vec<u64> = sure.iter().filter(|(other, _)| *other == point).map(|(_, epoch)| *epoch).collect();
        Some(Kill::At(point, self.dice.one_of(&epochs)))
    }

    /// Points that the next run is sure to come to.
    fn sure(&self, next: Next, ahead: u64) -> Vec<(Point, u64)> {
        let mut sure: Vec<(Point, u64)> = Vec::new();
        for epoch in ahead..self.reference.epochs.min(ahead + 3) {
            sure.extend(ON_THE_WAY.map(|point| (point, epoch)));
        }
        match next {
            Next::Open(epoch) => {
                sure.push((Point::RecoveredSinks, epoch));
                let comes = ON_THE_WAY.into_iter().filter(|_| epoch < self.reference.epochs);
                sure.extend(comes.filter(|&point| point != Point::EpochPlanned).map(|point| (point, epoch)));
            }
            Next::Planned(epoch, between) => {
                let missing = |point: &Point| match point {
                    Point::EpochPlanned => true,
                    Point::BetweenSinkCommits => !between,
                    _ => false,
                };
                sure.extend(Point::ALL.into_iter().filter(|point| !missing(point)).map(|point| (point, epoch)));
            }
            Next::Unknown => {}
        }
        sure.retain(|(point, _)| self.case.comes_to(*point));
        sure
    }
}

/// What a kill at a point leaves to the next start.
fn after(point: Point, epoch: u64, before: Next, sinks: u64) -> Next {
    match point {
        Point::RecoveredSinks | Point::RerunPlanned => before,
        // An epoch that is run again has what its sinks have committed before.
        Point::EpochPlanned | Point::RowsRead | Point::BeforeSinkCommit => match before {
            Next::Planned(planned, _) if planned == epoch => before,
            _ => Next::Planned(epoch, sinks > 1),
        },
        Point::BetweenSinkCommits => Next::Planned(epoch, true),
        Point::SinkCommitted => Next::Planned(epoch, false),
        Point::StateCommitted | Point::Acknowledged => Next::Open(epoch + 1),
    }
}

impl Tally {
    fn count(&mut self, kill: Kill, left: &Leftovers) {
        self.kills += 1;
        match kill {
            Kill::At(point, _) => self.at[point as usize] += 1,
            Kill::After(_) => self.anywhere += 1,
        }
        self.temporary += u64::from(left.temporary);
        self.uncommitted += u64::from(left.uncommitted);
        self.apart += u64::from(left.apart);
    }

    pub(crate) fn add(&mut self, other: &Tally) {
        self.kills += other.kills;
        self.at.iter_mut().zip(other.at).for_each(|(sum, kills)| *sum += kills);
        self.anywhere += other.anywhere;
        self.again += other.again;
        self.restored += other.restored;
        self.renamed += other.renamed;
        self.temporary += other.temporary;
        self.uncommitted += other.uncommitted;
        self.apart += other.apart;
    }
}

impl fmt::Display for Tally {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} kills:", self.kills)?;
        Point::ALL.iter().try_for_each(|point| write!(f, " {} {},", point.name(), self.at[*point as usize]))?;
        write!(f, " anywhere {}; ", self.anywhere)?;
        write!(f, "{} of an epoch run again; ", self.again)?;
        write!(f, "{} of a start with --from, {} with --rename-state; ", self.restored, self.renamed)?;
        write!(
            f,
            "they left temporary files {} times, parts without a manifest {}, ",
            self.temporary, self.uncommitted
        )?;
        write!(f, "sinks at different epochs {}", self.apart)
    }
}

//! Figures that prove that something happened.

macro_rules! counters {
    ($($(#[$doc:meta])* $name:ident),* $(,)?) => {
        /// How often what happened, over one run or many.
        #[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
        pub struct Counters {
            $($(#[$doc])* pub $name: u64,)*
        }

        impl Counters {
            /// Adds the figures of another run.
            pub fn add(&mut self, other: &Self) {
                $(self.$name += other.$name;)*
            }

            /// Names and figures, for a table.
            pub fn rows(&self) -> Vec<(&'static str, u64)> {
                vec![$((stringify!($name), self.$name)),*]
            }
        }
    };
}

counters! {
    /// Runs compared with an undisturbed one.
    exact_runs,
    /// Undisturbed runs compared with what the model of the rules predicts.
    predicted_runs,
    /// Runs compared with a replay of their log.
    replayed_runs,
    /// Programs that were run again beside a replay.
    programs_again,
    /// Runs that went on from a part of another run.
    forks,
    /// Logs that were compacted, and compared with what they told before.
    compacted,
    /// Events handled.
    events,
    /// Supersteps committed.
    supersteps,
    /// Activations completed.
    completed,
    /// Messages with a final status.
    messages,
    /// Messages that came after their quorum had fired.
    messages_late,
    /// Messages that waited in a join when it was skipped or the run ended.
    messages_buffered,
    /// Messages without receiver.
    messages_dead,
    /// Messages to undeclared targets.
    messages_refused,
    /// Messages folded into others.
    messages_combined,
    /// Batches between partitions.
    batches,
    /// Of these, lost, and sent again.
    batches_lost,
    /// Of these, that came before one that was sent earlier.
    batches_reordered,
    /// Of these, that came when their superstep was over.
    batches_late,
    /// Commands and reports that were lost, and sent again.
    packets_lost,
    /// Commands to deliver the messages of a superstep.
    deliveries,
    /// Of these, those behind which the superstep starts without being judged.
    deliveries_that_start,
    /// Joins that acted incomplete.
    joins_incomplete,
    /// Activations cancelled.
    cancelled,
    /// Mutations applied.
    mutations_applied,
    /// Mutations refused.
    mutations_refused,
    /// Sub-graphs opened.
    frames,
    /// Attempts made again.
    retries,
    /// Questions to the outside.
    questions,
    /// Answers from the outside.
    answers,
    /// How often a run was found to stand still.
    stood_still,
    /// Calls sent.
    calls_sent,
    /// Calls whose outcome became durable.
    calls_ended,
    /// Runs with a budget.
    budgets,
    /// Of these, of money.
    budgets_of_cost,
    /// Calls sent again after a crash.
    calls_resent,
    /// Calls answered from the log.
    calls_reused,
    /// Calls refused.
    calls_refused,
    /// Durable writes.
    writes,
    /// Crashes of the process.
    crashes,
    /// Of these, before its term was durable.
    crashes_in_recovery,
    /// Of these, by a store that failed before it wrote.
    store_failed_before,
    /// Of these, by a store that failed after it wrote.
    store_failed_after,
    /// Of these, by a store that wrote a part.
    writes_torn,
    /// Of these, by a leader that slept.
    leaders_slept,
    /// Leaders that woke when others had taken, or were taking, their place.
    leaders_woken,
    /// Writes that they tried.
    stale_writes_tried,
    /// Of these, refused.
    stale_writes_refused,
    /// Calls that they did not make.
    stale_calls_withheld,
    /// Logs read that lacked what was written last.
    reads_stale,
    /// Writes that found another in their place.
    writes_fenced,
    /// Writes that took long.
    writes_slow,
    /// Writes on their way at a crash that landed though nobody waited for them.
    writes_landed,
    /// Things that were said twice.
    duplicates,
    /// Things that stopped programs said.
    late_events,
    /// Runs that went on with another number of partitions.
    rescaled,
    /// Runs that succeeded.
    ended_succeeded,
    /// Runs that failed.
    ended_failed,
    /// Runs that a limit ended.
    ended_limit,
    /// Of these, the limit of what they may cost.
    ended_cost,
    /// Runs that were cancelled.
    ended_cancelled,
}

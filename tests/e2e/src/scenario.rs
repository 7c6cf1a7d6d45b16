//! What is done with Superstep on a cluster, a scenario for each promise.

mod devices;
mod faults;
mod install;
mod llamacpp;
mod odd;
mod orders;
mod patches;
mod peace;
mod rights;
mod scale;
mod scaling;
mod served;
mod upgrade;

use clap::ValueEnum;

use crate::bench::Bench;
use crate::report::Report;

/// A scenario. Who looks back at what all others have asked of the API server is the last.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Scenario {
    /// From `helm install` to the result of the quickstart, and back to nothing.
    Install,
    /// Two devices for three workers.
    Devices,
    /// Objects that come in any order, and go at any time.
    Orders,
    /// A graph that is changed while it runs.
    Patches,
    /// The quickstart with its model in pods of its own.
    Served,
    /// Pods of a model that follow what is asked of it, down to none.
    Scaling,
    /// llama.cpp's own server as the pod of a model.
    #[value(name = "llamacpp")]
    LlamaCpp,
    /// Pods that are killed, and an API server that is away.
    Faults,
    /// Tools that apply manifests again, beside those who change the graph.
    Peace,
    /// Objects that are odd or malformed.
    Odd,
    /// Another chart and other images in the middle of a run, and back.
    Upgrade,
    /// A thousand graphs.
    Scale,
    /// What the operator and workers may do, and what they did.
    Rights,
}

impl Scenario {
    pub(crate) fn name(self) -> String {
        self.to_possible_value().map_or_else(String::new, |value| value.get_name().to_owned())
    }

    /// Whether a short run plays it.
    pub(crate) fn is_short(self) -> bool {
        match self {
            Self::Install
            | Self::Devices
            | Self::Orders
            | Self::Served
            | Self::Scaling
            | Self::Odd
            | Self::Scale => true,
            Self::Patches | Self::Rights | Self::LlamaCpp | Self::Faults | Self::Peace | Self::Upgrade => {
                false
            }
        }
    }

    pub(crate) fn play(self, bench: &mut Bench) -> Report {
        let mut report = Report::new(&self.name());
        let played = match self {
            Self::Install => install::play(bench, &mut report),
            Self::Devices => devices::play(bench, &mut report),
            Self::Orders => orders::play(bench, &mut report),
            Self::Patches => patches::play(bench, &mut report),
            Self::Served => served::play(bench, &mut report),
            Self::Scaling => scaling::play(bench, &mut report),
            Self::LlamaCpp => llamacpp::play(bench, &mut report),
            Self::Faults => faults::play(bench, &mut report),
            Self::Peace => peace::play(bench, &mut report),
            Self::Odd => odd::play(bench, &mut report),
            Self::Upgrade => upgrade::play(bench, &mut report),
            Self::Scale => scale::play(bench, &mut report),
            Self::Rights => rights::play(bench, &mut report),
        };
        if let Err(error) = played {
            report.demand(false, &format!("the scenario comes to its end: {error:#}"));
        }
        report.note(format!("the scenario took {:.0} s", report.took().as_secs_f64()));
        report
    }
}

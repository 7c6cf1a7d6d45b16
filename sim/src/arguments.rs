//! What the command line of the simulator asks for.

use superstep_sim::Seed;

pub(crate) const USAGE: &str = "superstep-sim: runs the engine in a simulated world under faults

  superstep-sim --seeds N [--from I] [--twice]   N seeds, one of each family in turn; each of them twice
  superstep-sim --seed S                         one seed (17, h17, s17), with all that happens in it
  superstep-sim --shape NAME [--sample M]        a shape, with a crash at every point of its run
  superstep-sim --shapes [--sample M]            all shapes; at most about M events of each, evenly spread
  superstep-sim --defects [--searches N]         plants mistakes and looks for each N times
                          [--keep]               and keeps the smallest run that finds it
  superstep-sim --case FILE                      a run that once broke a rule
  superstep-sim --nightly                        100,000 seeds, all shapes, all mistakes
";

/// What the command line asks for.
#[derive(Debug)]
pub(crate) struct Asked {
    pub(crate) seeds: Option<u64>,
    pub(crate) from: u64,
    pub(crate) seed: Option<Seed>,
    pub(crate) twice: bool,
    pub(crate) shape: Option<String>,
    pub(crate) shapes: bool,
    /// How many events of a shape a crash is tried before; none for all of them.
    pub(crate) sample: Option<u64>,
    pub(crate) case: Option<String>,
    pub(crate) defects: bool,
    pub(crate) searches: u64,
    /// Whether what found a mistake is made small and kept.
    pub(crate) keep: bool,
    /// How many seeds a search tries.
    pub(crate) most: u64,
}

impl Asked {
    pub(crate) fn wants_something(&self) -> bool {
        let runs = self.seeds.is_some() || self.seed.is_some() || self.case.is_some();
        runs || self.shape.is_some() || self.shapes || self.defects
    }
}

pub(crate) fn parse(mut words: impl Iterator<Item = String>) -> anyhow::Result<Asked> {
    let mut asked = Asked {
        seeds: None,
        from: 0,
        seed: None,
        twice: false,
        shape: None,
        shapes: false,
        sample: None,
        case: None,
        defects: false,
        searches: 5,
        keep: false,
        most: 3_000,
    };
    while let Some(word) = words.next() {
        let mut value = || words.next().ok_or_else(|| anyhow::anyhow!("{word} wants a value"));
        match word.as_str() {
            "--seeds" => asked.seeds = Some(value()?.parse()?),
            "--from" => asked.from = value()?.parse()?,
            "--seed" => asked.seed = Some(value()?.parse()?),
            "--twice" => asked.twice = true,
            "--shape" => asked.shape = Some(value()?),
            "--shapes" => asked.shapes = true,
            "--sample" => asked.sample = Some(value()?.parse()?),
            "--case" => asked.case = Some(value()?),
            "--defects" => asked.defects = true,
            "--keep" => asked.keep = true,
            "--searches" => asked.searches = value()?.parse::<u64>()?.max(1),
            "--nightly" => {
                (asked.seeds, asked.shapes, asked.defects) = (Some(super::NIGHTLY), true, true);
                asked.searches = 9;
            }
            other => anyhow::bail!("{other:?} is unknown\n\n{USAGE}"),
        }
    }
    Ok(asked)
}

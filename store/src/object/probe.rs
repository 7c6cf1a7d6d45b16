//! Whether a store keeps the one promise that everything here rests on.

use bytes::Bytes;
use futures::future::try_join_all;
use object_store::path::Path;

use super::{
    ObjectRuns,
    bucket::{Bucket, Created, Patience},
    envelope::Writer,
};
use crate::{Digest, StoreError};

/// A store that is not exclusive may seem so once.
const ROUNDS: usize = 8;
/// Rounds that are played at most, those that decide nothing among them.
const MOST_ROUNDS: usize = 3 * ROUNDS;
/// Those who create one object at once.
const RIVALS: usize = 4;

impl ObjectRuns {
    /// Lets several create one object at once, some times, and judges what they are told and what is there.
    pub(crate) fn probe(&self) -> Result<(), StoreError> {
        let drawn = Digest::of(&Writer::draw().0).to_string();
        let (bucket, folder) = (self.bucket.clone(), self.bucket.path("probe").join(drawn));
        self.thread.wait(async move {
            let paths: Vec<Path> =
                (0..MOST_ROUNDS).map(|round| folder.clone().join(round.to_string())).collect();
            let outcome = rounds(&bucket, &paths).await;
            if let Err(error) = bucket.delete(paths, Patience::Short).await {
                tracing::debug!(%error, "the objects of a probe stay behind");
            }
            outcome
        })
    }
}

async fn rounds(bucket: &Bucket, paths: &[Path]) -> Result<(), StoreError> {
    let mut decided = 0;
    for path in paths {
        decided += usize::from(round(bucket, path).await?);
        if decided == ROUNDS {
            return Ok(());
        }
    }
    Err(refusal(bucket, format!("none of {RIVALS} who created one object was told to have done so")))
}

/// Whether the round was decided: one whose winner's answer was lost was not.
async fn round(bucket: &Bucket, path: &Path) -> Result<bool, StoreError> {
    let contents: Vec<Bytes> = (0..RIVALS).map(|rival| format!("rival {rival}").into()).collect();
    let creations = contents.iter().map(|content| bucket.create(path, content, Patience::Short));
    let created = try_join_all(creations).await?;
    let won = created.iter().zip(&contents).filter(|(created, _)| **created == Created::New);
    let winners: Vec<&Bytes> = won.map(|(_, content)| content).collect();
    let found = bucket.read(path, Patience::Short).await?;
    let late = match found {
        Some(_) => bucket.create(path, &Bytes::from_static(b"late"), Patience::Short).await?,
        None => Created::Taken,
    };
    match winners[..] {
        _ if late == Created::New => Err(refusal(bucket, "it created an object that was there".to_owned())),
        [winner] if found.as_ref() == Some(winner) => Ok(true),
        [_] => Err(refusal(bucket, "what is there is not what was created".to_owned())),
        [] => Ok(false),
        _ => {
            let count = winners.len();
            Err(refusal(
                bucket,
                format!("{count} of {RIVALS} who created one object were told to have done so"),
            ))
        }
    }
}

fn refusal(bucket: &Bucket, why: String) -> StoreError {
    StoreError::NotExclusive { place: bucket.place().to_owned(), why }
}

//! The clients of object stores.

use std::{path::Path as FilePath, sync::Arc};

use object_store::{local::LocalFileSystem, path::Path};

use super::{
    bucket::Bucket,
    place::{Cloud, Kind, ObjectPlace},
};
use crate::{StoreError, folder::disk};

/// The objects of a place. A folder is made if it is not there; of a cloud nothing is asked yet.
pub(super) fn bucket(place: &ObjectPlace) -> Result<Bucket, StoreError> {
    match &place.kind {
        Kind::Folder(path) => folder(place, path),
        Kind::S3(cloud) => s3(place, cloud),
        Kind::Gcs(cloud) => gcs(place, cloud),
        Kind::Azure(cloud) => azure(place, cloud),
    }
}

fn folder(place: &ObjectPlace, path: &FilePath) -> Result<Bucket, StoreError> {
    disk::create_folder(path)?;
    let files = LocalFileSystem::new_with_prefix(path).map_err(|error| cannot_reach(place, error))?;
    let objects = Arc::new(files.with_fsync(true));
    Ok(Bucket::new(objects, Path::default(), &place.to_string()).in_folder(path))
}

fn cannot_reach(place: &ObjectPlace, error: object_store::Error) -> StoreError {
    StoreError::Object { doing: "reach", object: place.to_string(), source: error.into() }
}

/// A function that makes the client of a cloud: `$builder` is configured by the variables that begin with `$prefix`.
macro_rules! client {
    ($name:ident, $feature:literal, $builder:path, $key:path, $prefix:literal, $bucket:ident) => {
        #[cfg(feature = $feature)]
        fn $name(place: &ObjectPlace, cloud: &Cloud) -> Result<Bucket, StoreError> {
            let mut builder = <$builder>::new().$bucket(&cloud.bucket).with_retry(cloud::no_retries());
            for (key, value) in cloud::settings::<$key>(place, $prefix)? {
                builder = builder.with_config(key, value);
            }
            let objects = builder.build().map_err(|error| cannot_reach(place, error))?;
            let root =
                Path::from_url_path(&cloud.prefix).map_err(|error| cannot_reach(place, error.into()))?;
            Ok(Bucket::new(Arc::new(objects), root, &place.to_string()))
        }

        #[cfg(not(feature = $feature))]
        fn $name(place: &ObjectPlace, _: &Cloud) -> Result<Bucket, StoreError> {
            Err(StoreError::NotBuilt { place: place.to_string(), feature: $feature })
        }
    };
}

client!(
    s3,
    "s3",
    object_store::aws::AmazonS3Builder,
    object_store::aws::AmazonS3ConfigKey,
    "AWS_",
    with_bucket_name
);
client!(
    gcs,
    "gcs",
    object_store::gcp::GoogleCloudStorageBuilder,
    object_store::gcp::GoogleConfigKey,
    "GOOGLE_",
    with_bucket_name
);
client!(
    azure,
    "azure",
    object_store::azure::MicrosoftAzureBuilder,
    object_store::azure::AzureConfigKey,
    "AZURE_",
    with_container_name
);

/// What the clients of all clouds have in common.
#[cfg(any(feature = "s3", feature = "gcs", feature = "azure"))]
mod cloud {
    use std::{env, str::FromStr};

    use object_store::RetryConfig;

    use super::{ObjectPlace, cannot_reach};
    use crate::StoreError;

    /// A request without an answer is made again by the store, which says so.
    pub(super) fn no_retries() -> RetryConfig {
        RetryConfig { max_retries: 0, ..RetryConfig::default() }
    }

    /// The settings of a client: how long it waits, what the environment says, and what the place says.
    pub(super) fn settings<K>(place: &ObjectPlace, prefix: &str) -> Result<Vec<(K, String)>, StoreError>
    where
        K: FromStr<Err = object_store::Error>,
    {
        let key = |name: &str| name.to_ascii_lowercase().parse::<K>();
        let mut settings = Vec::new();
        for (name, value) in [("timeout", "15 seconds"), ("connect_timeout", "5 seconds")] {
            let key = key(name).map_err(|error| cannot_reach(place, error))?;
            settings.push((key, value.to_owned()));
        }
        for (name, value) in env::vars_os() {
            if let (Some(name), Some(value)) = (name.to_str(), value.to_str())
                && name.starts_with(prefix)
                && let Ok(key) = key(name)
            {
                settings.push((key, value.to_owned()));
            }
        }
        for (name, value) in &place.settings {
            settings.push((key(name).map_err(|error| cannot_reach(place, error))?, value.clone()));
        }
        Ok(settings)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_place_that_this_build_cannot_reach_names_the_feature_that_it_needs() {
        for (place, feature, is_built) in [
            ("s3://bucket/a", "s3", cfg!(feature = "s3")),
            ("gs://bucket/a", "gcs", cfg!(feature = "gcs")),
            ("az://container/a", "azure", cfg!(feature = "azure")),
        ] {
            let outcome = bucket(&place.parse().unwrap()).map(drop);
            let refused =
                matches!(&outcome, Err(StoreError::NotBuilt { feature: named, .. }) if *named == feature);
            assert_eq!(refused, !is_built, "{place}: {outcome:?}");
        }
    }

    #[cfg(feature = "s3")]
    #[test]
    fn a_setting_that_the_client_does_not_know_is_an_error() {
        let place: ObjectPlace = "s3://bucket/a".parse().unwrap();
        bucket(&place.clone().with("AWS_REGION", "eu-west-1")).unwrap();
        let refused = bucket(&place.with("AWS_REGOIN", "eu-west-1")).unwrap_err();
        assert!(matches!(refused, StoreError::Object { .. }), "{refused:?}");
    }
}

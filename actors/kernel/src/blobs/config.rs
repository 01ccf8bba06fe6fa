//! The `[blobs]` section.

use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use crate::data::{DatabaseConfig, DatabaseUrl};
use crate::identity::stays_private;
use crate::secret::{Secret, SecretUrl};

/// Where blobs are kept.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct BlobsConfig {
    /// `file:///directory`, `postgres://…` or `s3://bucket/prefix`. Empty: where `database.url` is; with SQLite,
    /// the directory `blobs` in the data directory.
    pub url: SecretUrl,
    /// Where a bucket is, if not at Amazon: `https://…`.
    pub endpoint: String,
    /// The bucket's region.
    pub region: String,
    /// Who asks the bucket.
    pub access_key_id: String,
    /// What they sign with.
    pub secret_access_key: Secret,
    /// A certificate authority that the endpoint's is from, in PEM, besides the public ones.
    pub ca_file: PathBuf,
    /// Whether the bucket is a part of the host's name, and not of the path.
    pub virtual_hosted_style: bool,
}

impl Default for BlobsConfig {
    fn default() -> Self {
        Self {
            url: SecretUrl::new(""),
            endpoint: String::new(),
            region: "us-east-1".to_owned(),
            access_key_id: String::new(),
            secret_access_key: Secret::default(),
            ca_file: PathBuf::new(),
            virtual_hosted_style: false,
        }
    }
}

/// A place for blobs, understood.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum BlobsLocation {
    /// A directory, for one node.
    Directory(PathBuf),
    /// The schema `blobs` of a PostgreSQL database.
    Database(DatabaseUrl),
    /// A bucket; which blobs there are is in the schema `blobs` of a database, and whatever is in its table is
    /// read there.
    Bucket(BucketConfig, DatabaseUrl),
}

impl BlobsLocation {
    /// The database it needs.
    #[must_use]
    pub const fn database(&self) -> Option<&DatabaseUrl> {
        match self {
            Self::Directory(_) => None,
            Self::Database(url) | Self::Bucket(_, url) => Some(url),
        }
    }
}

/// A bucket, and who asks it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BucketConfig {
    pub(super) bucket: String,
    /// What is before all names in it.
    pub(super) prefix: String,
    pub(super) endpoint: String,
    pub(super) region: String,
    pub(super) access_key_id: String,
    pub(super) secret_access_key: Secret,
    pub(super) ca_file: PathBuf,
    pub(super) virtual_hosted_style: bool,
}

impl BlobsConfig {
    /// Where blobs are kept.
    ///
    /// # Errors
    /// A sentence, if the URL is of no kind.
    pub fn location(
        &self,
        database: &DatabaseConfig,
        data_dir: &Path,
    ) -> Result<BlobsLocation, String> {
        let url = self.url.expose();
        if let Some(path) = url.strip_prefix("file://") {
            let named = path.starts_with('/') && !path.contains(['?', '#']);
            return if named {
                Ok(BlobsLocation::Directory(PathBuf::from(path)))
            } else {
                Err("a directory of blobs is given as in file:///var/lib/panel/blobs".to_owned())
            };
        }
        if let Some(place) = url.strip_prefix("s3://") {
            return Ok(BlobsLocation::Bucket(
                self.bucket(place)?,
                database.location("blobs", data_dir)?,
            ));
        }
        let beside = if url.is_empty() {
            database.location("blobs", data_dir)?
        } else if url.starts_with("postgres://") || url.starts_with("postgresql://") {
            DatabaseConfig { url: self.url.clone(), ..DatabaseConfig::default() }
                .location("blobs", data_dir)?
        } else {
            return Err(format!("{} is neither file:// nor postgres:// nor s3://", self.url));
        };
        Ok(match beside {
            DatabaseUrl::Sqlite(_) => BlobsLocation::Directory(data_dir.join("blobs")),
            url @ DatabaseUrl::Postgres(_) => BlobsLocation::Database(url),
        })
    }

    fn bucket(&self, place: &str) -> Result<BucketConfig, String> {
        let (bucket, prefix) = place.split_once('/').unwrap_or((place, ""));
        let is_name = |text: &str| {
            let good = |byte: u8| byte.is_ascii_alphanumeric() || b"-_.".contains(&byte);
            !text.is_empty() && !text.starts_with('.') && text.bytes().all(good)
        };
        let prefix = prefix.trim_end_matches('/');
        if !is_name(bucket) || !(prefix.is_empty() || prefix.split('/').all(is_name)) {
            return Err("a bucket of blobs is given as in s3://bucket/prefix".to_owned());
        }
        let endpoint = self.endpoint.trim_end_matches('/').to_owned();
        let is_url = endpoint.starts_with("https://") || endpoint.starts_with("http://");
        if !endpoint.is_empty() && !is_url {
            return Err(format!("blobs.endpoint: {endpoint} is neither https:// nor http://"));
        }
        if !stays_private(&endpoint) {
            return Err(format!(
                "blobs.endpoint: {endpoint} is not https, and goes over a network"
            ));
        }
        if self.access_key_id.is_empty() || self.secret_access_key.expose().is_empty() {
            return Err("a bucket needs blobs.access_key_id and blobs.secret_access_key".to_owned());
        }
        if self.region.is_empty() {
            return Err("a bucket needs blobs.region".to_owned());
        }
        Ok(BucketConfig {
            bucket: bucket.to_owned(),
            prefix: prefix.to_owned(),
            endpoint,
            region: self.region.clone(),
            access_key_id: self.access_key_id.clone(),
            secret_access_key: self.secret_access_key.clone(),
            ca_file: self.ca_file.clone(),
            virtual_hosted_style: self.virtual_hosted_style,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn location(blobs: &str, database: &str) -> Result<BlobsLocation, String> {
        let url = SecretUrl::new(database);
        let database = DatabaseConfig { url, ..DatabaseConfig::default() };
        let blobs = BlobsConfig { url: SecretUrl::new(blobs), ..BlobsConfig::default() };
        blobs.location(&database, Path::new("/d"))
    }

    #[test]
    fn blobs_are_where_the_database_is_if_nothing_else_is_said() {
        let directory = |path: &str| Ok(BlobsLocation::Directory(PathBuf::from(path)));
        let table =
            |url: &str| Ok(BlobsLocation::Database(DatabaseUrl::Postgres(SecretUrl::new(url))));
        assert_eq!(location("", ""), directory("/d/blobs"));
        assert_eq!(location("", "sqlite://x"), directory("/d/blobs"));
        assert_eq!(location("", "postgres://h/d"), table("postgres://h/d"));
        assert_eq!(location("file:///b", "postgres://h/d"), directory("/b"));
        assert_eq!(location("postgres://o/d", "postgres://h/d"), table("postgres://o/d"));
        assert_eq!(location("postgresql://o/d", ""), table("postgresql://o/d"));
        for bad in ["file://b", "file://", "/b", "sqlite://b", "file:///b?x=1"] {
            assert!(location(bad, "").is_err(), "{bad}");
        }
        assert!(!location("x://u:secret@h/d", "").unwrap_err().contains("secret"));
    }

    fn bucket(url: &str, endpoint: &str, key: &str) -> Result<BlobsLocation, String> {
        let blobs = BlobsConfig {
            url: SecretUrl::new(url),
            endpoint: endpoint.to_owned(),
            access_key_id: "id".to_owned(),
            secret_access_key: Secret::new(key),
            ..BlobsConfig::default()
        };
        blobs.location(&DatabaseConfig::default(), Path::new("/d"))
    }

    #[test]
    fn a_bucket_is_named_whole_and_asked_in_private() {
        for (url, name, prefix) in [
            ("s3://files", "files", ""),
            ("s3://files/", "files", ""),
            ("s3://my.files-2/a/b_c/", "my.files-2", "a/b_c"),
        ] {
            let location = bucket(url, "http://127.0.0.1:9/", "secret").unwrap();
            let sqlite = DatabaseUrl::Sqlite(PathBuf::from("/d/db"));
            assert_eq!(location.database(), Some(&sqlite));
            let BlobsLocation::Bucket(found, _) = location else { panic!("{location:?}") };
            assert_eq!((found.bucket.as_str(), found.prefix.as_str()), (name, prefix), "{url}");
            assert_eq!(found.endpoint, "http://127.0.0.1:9");
        }
        for (url, endpoint, key) in [
            ("s3://", "", "secret"),
            ("s3:///a", "", "secret"),
            ("s3://a/../b", "", "secret"),
            ("s3://a//b", "", "secret"),
            ("s3://user:secret@a", "", "secret"),
            ("s3://a?x=1", "", "secret"),
            ("s3://a", "", ""),
            ("s3://a", "http://s3.example", "secret"),
            ("s3://a", "s3.example", "secret"),
        ] {
            let refused = bucket(url, endpoint, key).unwrap_err();
            assert!(!refused.contains("secret@"), "{refused}");
        }
        assert!(bucket("s3://a", "https://s3.example", "secret").is_ok());
    }
}

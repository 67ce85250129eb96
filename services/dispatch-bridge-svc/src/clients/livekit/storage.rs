//! Where recordings go.

use livekit_protocol::encoded_file_output::Output;
use livekit_protocol::{AzureBlobUpload, EncodedFileOutput, GcpUpload, S3Upload};
use secrecy::ExposeSecret;

use crate::config::{DispatchSettings, RecordingProvider};

/// The configured storage.
pub(super) struct Storage {
    output: Output,
    folder: String,
}

impl Storage {
    /// Nothing where nothing is configured.
    pub(super) fn of(settings: &DispatchSettings) -> Option<Self> {
        let bucket = settings.recording_bucket.clone().unwrap_or_default();
        let key = settings.recording_access_key.clone().unwrap_or_default();
        let secret = settings.recording_secret.as_ref();
        let secret = secret.map_or_else(String::new, |secret| secret.expose_secret().to_owned());
        let endpoint = settings.recording_endpoint.as_ref();
        let output = match settings.recording_provider? {
            RecordingProvider::S3 => Output::S3(S3Upload {
                access_key: key,
                secret,
                bucket,
                region: settings.recording_region.clone().unwrap_or_default(),
                endpoint: endpoint
                    .map_or_else(String::new, |url| url.as_str().trim_end_matches('/').to_owned()),
                // What is compatible with S3 seldom has a name for each bucket.
                force_path_style: endpoint.is_some(),
                ..S3Upload::default()
            }),
            RecordingProvider::Gcs => Output::Gcp(GcpUpload {
                credentials: secret,
                bucket,
                ..GcpUpload::default()
            }),
            RecordingProvider::Azure => Output::Azure(AzureBlobUpload {
                account_name: key,
                account_key: secret,
                container_name: bucket,
            }),
        };
        let folder = settings.recording_path.trim_matches('/').to_owned();
        Some(Self { output, folder })
    }

    /// A file in it.
    pub(super) fn output(&self, file: &str) -> EncodedFileOutput {
        let filepath = match self.folder.as_str() {
            "" => file.to_owned(),
            folder => format!("{folder}/{file}"),
        };
        EncodedFileOutput {
            filepath,
            output: Some(self.output.clone()),
            ..EncodedFileOutput::default()
        }
    }
}

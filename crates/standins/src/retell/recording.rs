//! What a played call's `recording_url` names: a short sound, so that the link on a page leads somewhere.

use bytes::Bytes;

use crate::server::Answer;

const SAMPLES_PER_SECOND: u32 = 8000;
const SECONDS: u32 = 2;
/// Samples of one period of the tone.
const PERIOD: u32 = 20;

/// A WAV file of one quiet tone, whatever call is named.
pub(super) fn answer(_call: &str) -> Answer {
    Answer {
        status: 200,
        headers: vec![("Content-Type".to_owned(), "audio/wav".to_owned())],
        body: wav(),
        pace: None,
    }
}

/// 8 bit, one channel.
fn wav() -> Bytes {
    let samples = SAMPLES_PER_SECOND * SECONDS;
    let mut file = Vec::with_capacity(44 + samples as usize);
    file.extend(b"RIFF");
    file.extend((36 + samples).to_le_bytes());
    file.extend(b"WAVEfmt ");
    file.extend(16_u32.to_le_bytes());
    file.extend([1_u16, 1].into_iter().flat_map(u16::to_le_bytes));
    // Bytes per second equal samples per second here.
    file.extend(
        [SAMPLES_PER_SECOND, SAMPLES_PER_SECOND]
            .into_iter()
            .flat_map(u32::to_le_bytes),
    );
    file.extend([1_u16, 8].into_iter().flat_map(u16::to_le_bytes));
    file.extend(b"data");
    file.extend(samples.to_le_bytes());
    file.extend((0..samples).map(|at| if at % PERIOD < PERIOD / 2 { 132 } else { 124 }));
    file.into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_sizes_in_the_header_are_those_of_the_file() {
        let file = wav();
        let number = |at: usize| u32::from_le_bytes(file[at..at + 4].try_into().unwrap()) as usize;
        assert_eq!((number(4) + 8, number(40) + 44), (file.len(), file.len()));
        assert_eq!((number(24), number(28)), (8000, 8000));
    }
}

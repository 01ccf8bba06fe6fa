//! GIFs, frame for frame as they were: the same pixels and colours, packed anew, and nothing else of the file.

use gif::{ColorOutput, DecodeOptions, Encoder};

use crate::protocol::{Probe, Refused};

/// The same pictures in another file.
pub(super) fn copied(file: &[u8], probe: &Probe) -> Result<Vec<u8>, Refused> {
    let mut options = DecodeOptions::new();
    options.set_color_output(ColorOutput::Indexed);
    options.check_frame_consistency(true);
    let mut decoder = options.read_info(file).map_err(Refused::damaged)?;
    let palette = decoder.global_palette().unwrap_or_default().to_vec();
    let (width, height) = (decoder.width(), decoder.height());
    let copy = Vec::with_capacity(file.len());
    let mut encoder = Encoder::new(copy, width, height, &palette).map_err(Refused::damaged)?;
    let mut frames = 0;
    while let Some(frame) = decoder.read_next_frame().map_err(Refused::damaged)? {
        if frames == 0 && probe.frames > 1 {
            // How often it goes round is said before the first frame, and known from there on.
            let frame = frame.clone();
            encoder.set_repeat(decoder.repeat()).map_err(Refused::damaged)?;
            encoder.write_frame(&frame).map_err(Refused::damaged)?;
        } else {
            encoder.write_frame(frame).map_err(Refused::damaged)?;
        }
        frames += 1;
        if frames > probe.frames {
            return Err(Refused::damaged("it has more frames than it had"));
        }
    }
    encoder.into_inner().map_err(Refused::damaged)
}

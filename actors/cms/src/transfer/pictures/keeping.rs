//! Pictures from a directory that this program has written, as they are: articles name them by their content.

use panel_kernel::ids::Id;
use panel_kernel::problem::{Kind as ProblemKind, Problem};

use super::Pictures;
use crate::rules::pictures::{Asset, Made, file_name};
use crate::transfer::record::{Picture, PictureFile};
use crate::transfer::taking::{Refusal, refuse};

impl Pictures {
    /// Sees to it that a picture is kept here.
    pub(in crate::transfer) async fn kept(&self, told: &Picture) -> Result<Asset, Refusal> {
        let asset = asset(told);
        let mut files = Vec::with_capacity(asset.files.len());
        for made in &asset.files {
            let name = file_name(&asset.sha256, made.size, made.kind);
            match self.folder.find(&[&name]) {
                Some(path) => files.push(path),
                None => return refuse(format!("there is no file {name} of it")),
            }
        }
        self.media.adopt(&asset, &files).await.map_err(|problem| refusal(&problem))
    }
}

/// What the sentence for people is, as a reason.
pub(super) fn refusal(problem: &Problem) -> Refusal {
    let wrong: Vec<&str> = problem.errors.iter().map(|error| error.message.as_str()).collect();
    let reason = if wrong.is_empty() { problem.detail.clone() } else { wrong.join("; ") };
    match problem.kind {
        ProblemKind::Unavailable | ProblemKind::Internal => {
            Refusal::Later(format!("no picture is made or kept now: {reason}"))
        }
        _ => Refusal::Reason(reason),
    }
}

fn asset(told: &Picture) -> Asset {
    Asset {
        id: Id::from_raw(0),
        sha256: told.sha256.clone(),
        kind: told.kind,
        width: told.width,
        height: told.height,
        frames: told.frames,
        color: told.color.clone(),
        files: told.files.iter().map(made).collect(),
    }
}

fn made(file: &PictureFile) -> Made {
    let PictureFile { size, kind, width, height, bytes, sha256 } = file.clone();
    Made { size, kind, width, height, bytes, sha256 }
}

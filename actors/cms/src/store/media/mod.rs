//! Pictures that people sent: what was made of them, who has them, which articles show them.

pub(crate) mod assets;
pub(crate) mod items;
pub(crate) mod shown;
pub(crate) mod sweeping;

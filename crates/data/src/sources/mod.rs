//! Data sets by where they come from: embedded, files in a known format, folders of pictures.

pub(crate) mod cifar;
pub(crate) mod digits;
mod folders;
pub(crate) mod idx;
pub(crate) mod images;
pub(crate) mod kind;
pub(crate) mod labelled;
pub(crate) mod masks;
pub(crate) mod mnist;
pub(crate) mod open;
mod pairs;
pub(crate) mod parts;
pub(crate) mod sounds;
pub(crate) mod table;
pub(crate) mod text;

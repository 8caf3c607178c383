//! The crate from outside: update graphs against scalar loops, schedules against numbers worked
//! out by hand, groups, clipping and descriptions.

mod chains;
mod clipping;
mod docs;
mod groups;
mod rows;
mod rules;
mod runs;
mod schedules;
mod simulation;
mod specs;

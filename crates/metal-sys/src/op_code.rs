//! The codes of ops, made from the shim's list.

include!(concat!(env!("OUT_DIR"), "/op_codes.rs"));

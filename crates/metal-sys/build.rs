//! Makes the op codes and the layout assertions from the shim's own lists, and builds the shim:
//! over Apple's frameworks on macOS, over `shim/headless` with the feature `headless`, and not at
//! all elsewhere.

#[path = "build/generate.rs"]
mod generate;
#[path = "build/shim.rs"]
mod shim;

use std::env;
use std::error::Error;
use std::fs;
use std::path::{Path, PathBuf};

fn main() -> Result<(), Box<dyn Error>> {
    let manifest = PathBuf::from(env::var("CARGO_MANIFEST_DIR")?);
    let shim = shim_folder(&manifest)?;
    let out = PathBuf::from(env::var("OUT_DIR")?);
    println!("cargo::rerun-if-changed=build");
    for part in ["bridge.m", "include", "layout.def", "src"] {
        println!("cargo::rerun-if-changed={}", shim.join(part).display());
    }
    println!("cargo::rustc-check-cfg=cfg(onestep_shim)");

    generate::op_codes(&shim.join("include/onestep.h"), &out.join("op_codes.rs"))?;
    generate::layout(&shim.join("layout.def"), &out.join("layout.rs"))?;

    let macos = env::var("CARGO_CFG_TARGET_OS")? == "macos";
    let headless = env::var_os("CARGO_FEATURE_HEADLESS").is_some();
    if headless {
        shim::headless(&shim)?;
    } else if macos {
        shim::macos(&shim)?;
    }
    if headless || macos {
        println!("cargo::rustc-cfg=onestep_shim");
    }
    Ok(())
}

/// Where the shim lies: in a package it is a folder, in the repository a link to the one folder that
/// programs without Rust use too. A checkout without links (git on Windows) has a file with its path.
fn shim_folder(manifest: &Path) -> Result<PathBuf, Box<dyn Error>> {
    let shim = manifest.join("shim");
    let shim = if shim.is_file() { manifest.join(fs::read_to_string(&shim)?.trim()) } else { shim };
    shim.canonicalize().map_err(|error| format!("{}: {error}", shim.display()).into())
}

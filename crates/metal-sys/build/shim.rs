//! The native library.

use std::env;
use std::error::Error;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

type Outcome<T> = Result<T, Box<dyn Error>>;

/// The frameworks that the shim calls.
const FRAMEWORKS: [&str; 4] =
    ["Foundation", "Metal", "MetalPerformanceShaders", "MetalPerformanceShadersGraph"];

/// The oldest system that the shim runs on.
const MACOS: &str = "13.0";

/// What the shim's own files are compiled with, wherever they run.
fn base() -> cc::Build {
    let mut build = cc::Build::new();
    build.cpp(true).warnings(true).extra_warnings(true).cargo_warnings(true);
    build
}

/// The shim's own files: the entry points and what stands beside them.
fn sources(shim: &Path) -> Outcome<Vec<PathBuf>> {
    let mut files = vec![shim.join("bridge.m")];
    for entry in fs::read_dir(shim.join("src"))? {
        let path = entry?.path();
        if path.extension().is_some_and(|e| e == "mm" || e == "cpp") {
            files.push(path);
        }
    }
    files.sort();
    Ok(files)
}

/// Builds the shim over Apple's frameworks.
pub(crate) fn macos(shim: &Path) -> Outcome<()> {
    // Kept to the system that the interface promises, whatever the builder's own is.
    if env::var_os("MACOSX_DEPLOYMENT_TARGET").is_none() {
        // SAFETY: a build script starts with one thread, and this is before any other.
        unsafe { env::set_var("MACOSX_DEPLOYMENT_TARGET", MACOS) };
    }
    let mut build = base();
    build.std("c++17").flag("-xobjective-c++").flag("-fno-objc-arc").flag("-fblocks");
    for error in ["objc-method-access", "incompatible-pointer-types", "unguarded-availability-new"]
    {
        build.flag(format!("-Werror={error}"));
    }
    build.files(sources(shim)?).compile("onestep");
    for framework in FRAMEWORKS {
        println!("cargo::rustc-link-lib=framework={framework}");
    }
    Ok(())
}

/// Builds the shim over the CPU implementation of the frameworks.
pub(crate) fn headless(shim: &Path) -> Outcome<()> {
    let headless = shim.join("headless");
    for part in ["compat", "flags.txt", "include", "sources.txt", "src"] {
        println!("cargo::rerun-if-changed={}", headless.join(part).display());
    }
    println!("cargo::rerun-if-env-changed=ONESTEP_CXX");
    let mut build = base();
    build.compiler(env::var("ONESTEP_CXX").unwrap_or_else(|_| "clang++-19".into()));
    // The frameworks are plain loops, which only an optimiser makes bearable.
    build.opt_level(2);
    for flag in headless_flags(&headless)? {
        build.flag(flag);
    }
    // For sanitizers.
    println!("cargo::rerun-if-env-changed=ONESTEP_HEADLESS_FLAGS");
    for flag in env::var("ONESTEP_HEADLESS_FLAGS").unwrap_or_default().split_whitespace() {
        build.flag(flag);
    }
    build.files(sources(shim)?);
    // The order of the list is that of the constructors, and so of the objects.
    let list = fs::read_to_string(headless.join("sources.txt"))?;
    build.files(list.split_whitespace().map(|file| headless.join(file)));
    build.cargo_metadata(false).compile("onestep");

    // Classes register through constructors that no symbol refers to: keep every object.
    println!("cargo::rustc-link-search=native={}", env::var("OUT_DIR")?);
    println!("cargo::rustc-link-lib=static:+whole-archive=onestep");
    println!("cargo::rustc-link-search=native={}", gcc_directory()?.display());
    for library in ["gnustep-base", "objc", "stdc++"] {
        println!("cargo::rustc-link-lib=dylib={library}");
    }
    Ok(())
}

/// The flags that the headless library names for itself and the shim.
fn headless_flags(headless: &Path) -> Outcome<Vec<String>> {
    let text = fs::read_to_string(headless.join("flags.txt"))?;
    let include = gcc(&["-print-file-name=include"])?;
    let root = headless.display().to_string();
    Ok(text
        .lines()
        .filter(|line| !line.is_empty())
        .map(|line| line.replace("@HEADLESS@", &root).replace("@GCC_INCLUDE@", &include))
        .collect())
}

/// Where gcc keeps its runtime of Objective-C.
fn gcc_directory() -> Outcome<PathBuf> {
    let library = PathBuf::from(gcc(&["-print-libgcc-file-name"])?);
    Ok(library.parent().map(Path::to_path_buf).unwrap_or_default())
}

fn gcc(arguments: &[&str]) -> Outcome<String> {
    let output = Command::new("gcc").args(arguments).output()?;
    Ok(String::from_utf8(output.stdout)?.trim().to_owned())
}

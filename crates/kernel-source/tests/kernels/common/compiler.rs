//! The host's C++ compiler.

use std::collections::HashMap;
use std::path::Path;
use std::process::Command;
use std::sync::OnceLock;

use onestep_kernel_source::{Dialect, KernelSource, host, module};

use super::{Result, nvrtc};

/// The compiler to use, or `None` with a word on the terminal where there is none. Kernels wait at barriers as
/// fibers of `ucontext`, which only Linux still has whole.
pub(crate) fn compiler() -> Option<&'static str> {
    static FOUND: OnceLock<Option<String>> = OnceLock::new();
    let found = FOUND.get_or_init(|| {
        if !cfg!(target_os = "linux") {
            return None;
        }
        let named = std::env::var("ONESTEP_CXX").ok();
        let usual = ["clang++-19", "clang++", "g++"].map(str::to_owned);
        let works = |name: &String| {
            let version = Command::new(name).arg("--version").output();
            version.is_ok_and(|output| output.status.success())
        };
        named.into_iter().chain(usual).find(works)
    });
    if found.is_none() {
        eprintln!("skipped: printed kernels need clang++ or g++ on Linux (ONESTEP_CXX names one)");
    }
    found.as_deref()
}

type Entry = unsafe extern "C" fn(*const *mut u8, u32, u32);
type Run = unsafe extern "C" fn(Entry, *const *mut u8, u32, u32, i32, u64);

/// Compiled kernels of one dialect.
pub(crate) struct Library {
    entries: HashMap<String, Entry>,
    run: Run,
    // Behind the functions that come from it; the folder goes when nothing is left of it.
    _library: libloading::Library,
    _folder: tempfile::TempDir,
}

impl Library {
    pub(crate) fn new(dialect: Dialect, kernels: &[&KernelSource]) -> Result<Library> {
        if dialect == Dialect::Cuda {
            nvrtc::check(&module(dialect, kernels.iter().copied()))?;
        }
        Library::of(&host::program(dialect, kernels.iter().copied()), kernels)
    }

    /// Compiles a program that has these kernels.
    pub(crate) fn of(text: &str, kernels: &[&KernelSource]) -> Result<Library> {
        let folder = tempfile::tempdir()?;
        for (name, text) in host::HEADERS {
            std::fs::write(folder.path().join(name), text)?;
        }
        assert!(!text.contains("double"), "kernels compute in f32 alone");
        let (source, object) =
            (folder.path().join("kernels.cpp"), folder.path().join("kernels.so"));
        std::fs::write(&source, text)?;
        compile(folder.path(), &source, &object)?;
        // SAFETY: the library is made of kernels and has no initialisers.
        let library = unsafe { libloading::Library::new(&object)? };
        let mut entries = HashMap::new();
        for kernel in kernels {
            // SAFETY: the program has each kernel's entry with this type.
            let entry = unsafe { library.get::<Entry>(host::entry(kernel).as_bytes())? };
            entries.insert(kernel.name.clone(), *entry);
        }
        // SAFETY: `threads.h` has it with this type.
        let run = unsafe { *library.get::<Run>(b"host_run")? };
        Ok(Library { entries, run, _library: library, _folder: folder })
    }

    /// Runs one launch.
    ///
    /// # Safety
    /// The buffers hold what the kernel's arguments say.
    pub(crate) unsafe fn launch(&self, kernel: &KernelSource, buffers: &[*mut u8], seed: u64) {
        kernel.check().unwrap();
        let entry = self.entries[&kernel.name];
        let (groups, threads) = (kernel.groups as u32, kernel.threads as u32);
        // SAFETY: the caller vouches for the buffers.
        unsafe {
            (self.run)(entry, buffers.as_ptr(), groups, threads, i32::from(kernel.waits), seed);
        }
    }
}

fn compile(folder: &Path, source: &Path, object: &Path) -> Result<()> {
    let mut command = Command::new(compiler().ok_or("no compiler")?);
    command.args(Dialect::C.options()).args(["-x", "c++", "-O1", "-shared", "-fPIC", "-w"]);
    let output = command.arg("-I").arg(folder).arg(source).arg("-o").arg(object).output()?;
    if !output.status.success() {
        return Err(String::from_utf8_lossy(&output.stderr).into_owned().into());
    }
    Ok(())
}

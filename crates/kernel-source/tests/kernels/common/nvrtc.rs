//! NVIDIA's compiler, which needs no device.

use std::ffi::{CString, c_char, c_int, c_void};
use std::ptr::null;

use onestep_kernel_source::Dialect;

use super::Result;

type Program = *mut c_void;
type Create = unsafe extern "C" fn(
    *mut Program,
    *const c_char,
    *const c_char,
    c_int,
    *const *const c_char,
    *const *const c_char,
) -> c_int;
type Compile = unsafe extern "C" fn(Program, c_int, *const *const c_char) -> c_int;
type LogSize = unsafe extern "C" fn(Program, *mut usize) -> c_int;
type Log = unsafe extern "C" fn(Program, *mut c_char) -> c_int;
type Destroy = unsafe extern "C" fn(*mut Program) -> c_int;

/// Compiles a text of the CUDA dialect by the library that `ONESTEP_NVRTC` names (such as the `libnvrtc.so.13`
/// of NVIDIA's Python package), where it names one.
pub(crate) fn check(text: &str) -> Result<()> {
    let Some(library) = std::env::var_os("ONESTEP_NVRTC") else { return Ok(()) };
    // SAFETY: the library is NVIDIA's, and its functions have these types.
    unsafe {
        let library = libloading::Library::new(library)?;
        let create = library.get::<Create>(b"nvrtcCreateProgram")?;
        let compile = library.get::<Compile>(b"nvrtcCompileProgram")?;
        let log_size = library.get::<LogSize>(b"nvrtcGetProgramLogSize")?;
        let get_log = library.get::<Log>(b"nvrtcGetProgramLog")?;
        let destroy = library.get::<Destroy>(b"nvrtcDestroyProgram")?;
        let (source, mut program) = (CString::new(text)?, std::ptr::null_mut());
        let status = create(&mut program, source.as_ptr(), null(), 0, null(), null());
        if status != 0 {
            return Err(format!("nvrtcCreateProgram: {status}").into());
        }
        let more = ["--gpu-architecture=compute_80", "--std=c++17"];
        let options: Vec<CString> = Dialect::Cuda
            .options()
            .iter()
            .chain(&more)
            .map(|option| CString::new(*option))
            .collect::<std::result::Result<_, _>>()?;
        let options: Vec<*const c_char> = options.iter().map(|option| option.as_ptr()).collect();
        let status = compile(program, options.len() as c_int, options.as_ptr());
        let mut size = 0;
        log_size(program, &mut size);
        let mut log = vec![0u8; size.max(1)];
        get_log(program, log.as_mut_ptr().cast());
        destroy(&mut program);
        if status != 0 {
            let log = String::from_utf8_lossy(&log).into_owned();
            let log: String = log.lines().take(30).collect::<Vec<_>>().join("\n");
            return Err(format!("nvrtcCompileProgram: {status}\n{log}").into());
        }
    }
    Ok(())
}

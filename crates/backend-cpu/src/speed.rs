//! A word to those who run kernels that no optimiser has seen: a plain `cargo run` of a project that
//! depends on onestep builds them so.

/// Who sets this variable does not want to hear it.
const SILENCE: &str = "ONESTEP_UNOPTIMISED";

const MESSAGE: &str = "\
onestep: the CPU's kernels were built without optimisation, which makes training about a hundred times
slower. Run with `cargo run --release`, or add these lines to the Cargo.toml of your workspace:

    [profile.dev.package.onestep-backend-cpu]
    opt-level = 3
    debug-assertions = false

(Set ONESTEP_UNOPTIMISED=1 to go on without this message.)";

/// Says once a process, on standard error, that the kernels are slow, if they are.
pub(crate) fn warn() {
    static ONCE: std::sync::Once = std::sync::Once::new();
    ONCE.call_once(|| {
        let silenced = std::env::var_os(SILENCE).is_some();
        if let Some(message) = message(cfg!(unoptimised), silenced) {
            eprintln!("{message}");
        }
    });
}

/// What there is to say.
fn message(unoptimised: bool, silenced: bool) -> Option<&'static str> {
    (unoptimised && !silenced).then_some(MESSAGE)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn slow_kernels_are_named_with_their_cure() {
        let text = message(true, false).unwrap();
        let manifest = text.lines().filter_map(|line| line.strip_prefix("    "));
        let manifest = manifest.collect::<Vec<_>>().join("\n");
        // The package that the lines name is this one.
        assert!(manifest.starts_with(concat!(
            "[profile.dev.package.",
            env!("CARGO_PKG_NAME"),
            "]\nopt-level = 3\n"
        )));
        assert!(text.contains("--release") && text.contains(SILENCE), "{text}");
        assert_eq!((message(true, true), message(false, false)), (None, None));
    }

    /// This workspace's development profile optimises the kernels, so no test prints it.
    #[test]
    fn the_kernels_of_this_workspace_are_optimised() {
        assert_eq!(message(cfg!(unoptimised), false), None);
    }
}

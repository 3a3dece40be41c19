//! `cargo xtask bare`: `demitasse-core` for a microcontroller, and the proof that it has no allocator.
//!
//! The proof is the compiler's: a final artifact (here a static library) whose crate graph contains `alloc` and no
//! global allocator is refused. That holds for every dependency, and with every toolchain. A second probe, which does
//! pull `alloc` in, must be refused, so that we know that the proof proves.

use crate::steps::{Steps, Stop};
use crate::{Result, cargo, debian, features, only, root, target};
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

pub(crate) const HELP: &str = "\
cargo xtask bare
    builds demitasse-core for thumbv7m-none-eabi in every feature set for devices, without an allocator";

pub(crate) const TARGET: &str = "thumbv7m-none-eabi";

pub(crate) fn run(arguments: &[String]) -> Result {
    only(arguments, &[])?;
    let mut steps = Steps::new();
    self::steps(&mut steps);
    steps.finish()
}

/// The steps, as a part of a longer run.
pub(crate) fn steps(steps: &mut Steps) {
    let mut toolchain = None;
    steps.step(&format!("set-up for {TARGET}"), || {
        toolchain = Some(Toolchain::find(TARGET, "core")?);
        Ok::<_, Stop>(())
    });
    let missing = || Stop::Skipped(format!("no compiler for {TARGET}: `rustup target add {TARGET}` gets one"));
    for set in features::device_sets() {
        let name = format!("{TARGET}: demitasse-core, {}", if set.is_empty() { "no features" } else { set });
        steps.step(&name, || Ok::<_, Stop>(probe(toolchain.as_ref().ok_or_else(missing)?, set)?));
    }
    steps.step(&format!("{TARGET}: an allocator would be noticed"), || {
        Ok::<_, Stop>(counterproof(toolchain.as_ref().ok_or_else(missing)?)?)
    });
}

/// A cargo that can build for a target.
pub(crate) enum Toolchain {
    /// The one that runs us: rustup has the target for it.
    Ours,
    /// Debian's, with a sysroot that holds nothing but the libraries that were asked for.
    Debian { target: &'static str, sysroot: PathBuf },
}

impl Toolchain {
    /// `libraries` as cargo's `build-std` takes them: `core`, or `core,alloc`.
    pub(crate) fn find(target: &'static str, libraries: &str) -> std::result::Result<Toolchain, Stop> {
        let said = Command::new("rustc").args(["--print", "target-libdir", "--target", target]).output();
        let folder = said.map(|said| PathBuf::from(String::from_utf8_lossy(&said.stdout).trim()));
        if folder.is_ok_and(|folder| folder.is_dir()) {
            eprintln!("rustup has {target}");
            return Ok(Toolchain::Ours);
        }
        eprintln!("rustup does not have {target}: with Debian's compiler");
        debian::need(&["rustc-web", "cargo-web", "rust-web-src"])?;
        Ok(Toolchain::Debian { target, sysroot: sysroot(target, libraries)? })
    }

    /// Its cargo. To link a program it needs a linker, too: [`Toolchain::need_linker`].
    pub(crate) fn cargo(&self) -> Command {
        match self {
            Toolchain::Ours => cargo(),
            Toolchain::Debian { target, sysroot } => {
                let mut command = debian_cargo();
                let setting = |name| format!("CARGO_TARGET_{}_{name}", target.to_uppercase().replace('-', "_"));
                command.env(setting("RUSTFLAGS"), format!("--sysroot={}", sysroot.display()));
                command.env(setting("LINKER"), "ld.lld");
                command
            }
        }
    }

    /// A linker: rustup brings one, Debian has it in a package of its own.
    pub(crate) fn need_linker(&self) -> std::result::Result<(), Stop> {
        match self {
            Toolchain::Ours => Ok(()),
            Toolchain::Debian { .. } => debian::need(&["lld"]),
        }
    }

    /// Clippy: rustup brings one, Debian has it in a package of its own.
    pub(crate) fn need_clippy(&self) -> std::result::Result<(), Stop> {
        match self {
            Toolchain::Ours => Ok(()),
            Toolchain::Debian { .. } => debian::need(&["rust-web-clippy"]),
        }
    }

    /// Which compiler it is: sizes depend on it.
    pub(crate) fn version(&self) -> String {
        let compiler = match self {
            Toolchain::Ours => "rustc",
            Toolchain::Debian { .. } => "/usr/bin/rustc",
        };
        let said = Command::new(compiler).arg("--version").output();
        said.map(|said| String::from_utf8_lossy(&said.stdout).trim().into()).unwrap_or_default()
    }
}

/// Debian's cargo and compiler, whatever rustup has set for its own.
fn debian_cargo() -> Command {
    let mut command = Command::new("/usr/bin/cargo");
    for name in ["RUSTUP_TOOLCHAIN", "RUSTC_WRAPPER", "RUSTFLAGS", "CARGO_ENCODED_RUSTFLAGS", "CARGO_BUILD_TARGET"] {
        command.env_remove(name);
    }
    command.env("RUSTC", "/usr/bin/rustc").env("CARGO", "/usr/bin/cargo");
    // Subcommands, too: rustup's clippy cannot read what this compiler has built.
    let path = std::env::var("PATH").unwrap_or_default();
    command.env("PATH", format!("/usr/bin:{path}"));
    command
}

/// A folder with these libraries for the target, compiled once from Debian's source (half a minute).
fn sysroot(target: &str, libraries: &str) -> Result<PathBuf> {
    let said = Command::new("/usr/bin/rustc").arg("-vV").output().map_err(|e| format!("/usr/bin/rustc: {e}"))?;
    let version = String::from_utf8_lossy(&said.stdout).into_owned();
    let home = std::env::var_os("HOME").ok_or("HOME is not set")?;
    let cache = std::env::var_os("XDG_CACHE_HOME").map_or_else(|| Path::new(&home).join(".cache"), PathBuf::from);
    let sysroot = cache.join("demitasse/bare").join(target).join("sysroot");
    let made_by = sysroot.join("made-by");
    let version = format!("{version}{libraries}\n");
    // Another compiler cannot read its libraries.
    if fs::read_to_string(&made_by).is_ok_and(|text| text == version) {
        return Ok(sysroot);
    }
    let words = |e: std::io::Error| format!("{}: {e}", sysroot.display());
    let _ = fs::remove_dir_all(&sysroot);
    let work = crate::target().join("bare/empty");
    write_package(&work, "rlib", "", "#![no_std]\n")?;
    let mut command = debian_cargo();
    command.args(["build", "--quiet", "--release", &format!("-Zbuild-std={libraries}"), "--target", target]);
    command.current_dir(&work).env("CARGO_TARGET_DIR", work.join("target"));
    // Bitcode, so that users of the sysroot may link with optimisation across crates.
    command.env("RUSTC_BOOTSTRAP", "1").env("RUSTFLAGS", "-Cembed-bitcode=yes");
    crate::run(&mut command)?;
    let lib = sysroot.join("lib/rustlib").join(target).join("lib");
    fs::create_dir_all(&lib).map_err(words)?;
    for entry in fs::read_dir(work.join("target").join(target).join("release/deps")).map_err(words)? {
        let path = entry.map_err(words)?.path();
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        let wanted = ["libcore-", "libcompiler_builtins-", "liballoc-"].iter().any(|start| name.starts_with(start));
        if name.ends_with(".rlib") && wanted {
            fs::copy(&path, lib.join(&*name)).map_err(words)?;
        }
    }
    fs::write(made_by, version).map_err(words)?;
    Ok(sysroot)
}

/// A static library with `demitasse-core` in it must be built.
fn probe(toolchain: &Toolchain, set: &str) -> Result {
    let features: Vec<_> = set.split(',').filter(|f| !f.is_empty()).collect();
    let core = root().join("core");
    let dependency =
        format!("demitasse-core = {{ path = {core:?}, default-features = false, features = {features:?} }}\n");
    let output = build(toolchain, "probe", &dependency, "extern crate demitasse_core as _;\n")?;
    if output.status.success() { Ok(()) } else { Err("it does not build; see above".into()) }
}

/// The same with `alloc` in it must not be built, and for that reason.
fn counterproof(toolchain: &Toolchain) -> Result {
    let output = build(toolchain, "counterproof", "", "extern crate alloc as _;\n")?;
    let said = String::from_utf8_lossy(&output.stderr);
    // Where the sysroot has `alloc`, it is the want of a global allocator; where it has not, the want of `alloc`.
    let refused = said.contains("no global memory allocator found") || said.contains("can't find crate for `alloc`");
    if !output.status.success() && refused {
        return Ok(());
    }
    Err("a static library with `alloc` in it was not refused as it should be: the proof above proves nothing".into())
}

fn build(toolchain: &Toolchain, name: &str, dependencies: &str, source: &str) -> Result<std::process::Output> {
    let folder = target().join("bare").join(name);
    let panic = "#[panic_handler]\nfn panic(_: &core::panic::PanicInfo<'_>) -> ! {\n    loop {}\n}\n";
    write_package(&folder, "staticlib", dependencies, &format!("#![no_std]\n{source}{panic}"))?;
    // The same versions of dependencies as everywhere; cargo drops what is not needed.
    let lock = root().join("Cargo.lock");
    fs::copy(&lock, folder.join("Cargo.lock")).map_err(|e| format!("{}: {e}", lock.display()))?;
    let mut command = toolchain.cargo();
    command.args(["build", "--release", "--target", TARGET]).current_dir(&folder);
    command.env("CARGO_TARGET_DIR", target().join("bare/target"));
    eprintln!("> {} in {}", crate::line(&command), folder.display());
    let output = command.output().map_err(|e| format!("cannot start cargo: {e}"))?;
    eprint!("{}", String::from_utf8_lossy(&output.stderr));
    Ok(output)
}

/// A package with nothing around it.
fn write_package(folder: &Path, kind: &str, dependencies: &str, source: &str) -> Result {
    let manifest = format!(
        "[package]
name = \"{}\"
version = \"0.0.0\"
edition = \"2024\"

[lib]
crate-type = [\"{kind}\"]

[dependencies]
{dependencies}
[profile.release]
panic = \"abort\"

# Not a member of the workspace around it.
[workspace]
",
        folder.file_name().unwrap_or_default().to_string_lossy()
    );
    let words = |e: std::io::Error| format!("{}: {e}", folder.display());
    fs::create_dir_all(folder.join("src")).map_err(words)?;
    fs::write(folder.join("Cargo.toml"), manifest).map_err(words)?;
    fs::write(folder.join("src/lib.rs"), source).map_err(words)
}

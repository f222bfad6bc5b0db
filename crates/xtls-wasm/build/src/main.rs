//! `cargo run -p xtls-wasm-build [DIR]` builds the package of XTLS for JavaScript, by default in target/xtls-wasm: the engine in
//! WebAssembly with its glue and types, `client.js`, and what npm wants to know. It needs the target `wasm32-unknown-unknown` and
//! clang, as ring has C.
#![allow(clippy::print_stdout, reason = "that is what it is for")]

use std::path::{Path, PathBuf};
use std::process::Command;
use std::{env, fs};

use anyhow::{Context as _, Result, ensure};
use wasm_bindgen_cli_support::Bindgen;

const TARGET: &str = "wasm32-unknown-unknown";

fn main() -> Result<()> {
    let crate_dir = Path::new(env!("CARGO_MANIFEST_DIR")).parent().context("the crate is in a directory")?;
    let root = crate_dir.ancestors().nth(2).context("the workspace is above it")?;
    let target = env::var_os("CARGO_TARGET_DIR").map_or_else(|| root.join("target"), PathBuf::from);
    let package = env::args_os().nth(1).map_or_else(|| target.join("xtls-wasm"), PathBuf::from);

    let cargo = env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let status = Command::new(cargo)
        .current_dir(root)
        .args(["build", "--locked", "--package", "xtls-wasm", "--target", TARGET, "--profile", "wasm", "--target-dir"])
        .arg(&target)
        .status()
        .context("cargo does not start")?;
    ensure!(status.success(), "the crate does not compile for {TARGET}: is the target installed, and clang?");

    if package.exists() {
        fs::remove_dir_all(&package).with_context(|| format!("{} cannot be made anew", package.display()))?;
    }
    let module = target.join(TARGET).join("wasm/xtls_wasm.wasm");
    let mut bindgen = Bindgen::new();
    bindgen.input_path(module).out_name("xtls").web(true)?.typescript(true);
    // Profilers want names.
    let names = env::var_os("XTLS_WASM_NAMES").is_some();
    bindgen.remove_name_section(!names).remove_producers_section(true).generate(&package)?;
    for name in ["js/client.js", "js/client.d.ts", "js/package.json", "README.md", "LICENSE-MIT", "LICENSE-APACHE"] {
        let from = crate_dir.join(name);
        let to = package.join(from.file_name().context("a file has a name")?);
        fs::copy(&from, to).with_context(|| format!("{} cannot be copied", from.display()))?;
    }
    let size = fs::metadata(package.join("xtls_bg.wasm"))?.len();
    let manifest = fs::read_to_string(package.join("package.json"))?;
    let version = env!("CARGO_PKG_VERSION");
    ensure!(
        manifest.contains(&format!("\"version\": \"{version}\"")),
        "js/package.json has another version than {version}"
    );
    println!("{}: {size} bytes of WebAssembly", package.display());
    Ok(())
}

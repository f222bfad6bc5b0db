//! The shared library says which binary interface it has: programs that need another one do not start with it.

fn main() {
    let abi = std::fs::read_to_string("src/abi.rs").expect("src/abi.rs");
    let (_, rest) = abi.split_once("pub const XTLS_ABI: u32 = ").expect("src/abi.rs has XTLS_ABI");
    let (version, _) = rest.split_once(';').expect("XTLS_ABI is a number");
    if std::env::var("CARGO_CFG_TARGET_OS").is_ok_and(|system| system == "linux") {
        println!("cargo:rustc-cdylib-link-arg=-Wl,-soname,libxtls.so.{version}");
    }
    println!("cargo:rerun-if-changed=src/abi.rs");
}

//! Sees to it that the folder of the built console exists, so that the server also builds
//! without Node.js; the placeholder then says how to build the console.

use std::path::Path;
use std::{fs, io};

const PLACEHOLDER: &str = "<!doctype html>\n<html lang=\"en\"><head><meta charset=\"utf-8\">\
<title>Watchfloor</title></head>\n<body><h1>The console is not built</h1>\n\
<p>The API runs. Build the console with <code>cargo xtask demo</code>, or with \
<code>npm ci &amp;&amp; npm run build</code> in the folder <code>console</code>, and build the \
server again.</p></body></html>\n";

fn main() -> io::Result<()> {
    let folder = Path::new("../../console/dist");
    fs::create_dir_all(folder)?;
    let index = folder.join("index.html");
    if !index.exists() {
        fs::write(index, PLACEHOLDER)?;
    }
    println!("cargo::rerun-if-changed={}", folder.display());
    Ok(())
}

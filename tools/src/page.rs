//! Pages of HTML that need nothing else.

use std::fmt::Write as _;

use crate::chart::escape;

const STYLE: &str = "body{font:15px/1.5 sans-serif;max-width:920px;margin:2em auto;padding:0 1em;color:#222}\
    table{border-collapse:collapse;margin:1em 0}td,th{padding:.15em .7em;text-align:right;\
    border-bottom:1px solid #ddd;white-space:nowrap}td:first-child,th:first-child{text-align:left}\
    .warn{background:#fff3cd;padding:.4em .8em;margin:.3em 0}.floor td{color:#777}\
    figure{margin:1.5em 0}figcaption{color:#555;font-size:90%}h2{margin-top:2em}";

/// A page up to its headline.
pub fn begin(title: &str, headline: &str) -> String {
    format!(
        "<!doctype html><html lang=\"en\"><meta charset=\"utf-8\">\
         <meta name=\"viewport\" content=\"width=device-width\"><title>{}</title>\
         <style>{STYLE}</style><h1>{}</h1>\n",
        escape(title),
        escape(headline)
    )
}

/// A chart with what it shows.
pub fn figure(out: &mut String, chart: String, caption: &str) {
    let _ = writeln!(out, "<figure>{chart}<figcaption>{}</figcaption></figure>", escape(caption));
}

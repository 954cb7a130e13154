// Code in the colours of its language, by highlight.js.

import hljs from "./vendor/highlight/core.min.js";
import bash from "./vendor/highlight/languages/bash.min.js";
import c from "./vendor/highlight/languages/c.min.js";
import cpp from "./vendor/highlight/languages/cpp.min.js";
import csharp from "./vendor/highlight/languages/csharp.min.js";
import css from "./vendor/highlight/languages/css.min.js";
import diff from "./vendor/highlight/languages/diff.min.js";
import go from "./vendor/highlight/languages/go.min.js";
import haskell from "./vendor/highlight/languages/haskell.min.js";
import ini from "./vendor/highlight/languages/ini.min.js";
import java from "./vendor/highlight/languages/java.min.js";
import javascript from "./vendor/highlight/languages/javascript.min.js";
import json from "./vendor/highlight/languages/json.min.js";
import julia from "./vendor/highlight/languages/julia.min.js";
import kotlin from "./vendor/highlight/languages/kotlin.min.js";
import latex from "./vendor/highlight/languages/latex.min.js";
import lua from "./vendor/highlight/languages/lua.min.js";
import makefile from "./vendor/highlight/languages/makefile.min.js";
import php from "./vendor/highlight/languages/php.min.js";
import python from "./vendor/highlight/languages/python.min.js";
import r from "./vendor/highlight/languages/r.min.js";
import ruby from "./vendor/highlight/languages/ruby.min.js";
import rust from "./vendor/highlight/languages/rust.min.js";
import shell from "./vendor/highlight/languages/shell.min.js";
import sql from "./vendor/highlight/languages/sql.min.js";
import swift from "./vendor/highlight/languages/swift.min.js";
import typescript from "./vendor/highlight/languages/typescript.min.js";
import xml from "./vendor/highlight/languages/xml.min.js";
import yaml from "./vendor/highlight/languages/yaml.min.js";

const LANGUAGES = {
  bash,
  c,
  cpp,
  csharp,
  css,
  diff,
  go,
  haskell,
  ini,
  java,
  javascript,
  json,
  julia,
  kotlin,
  latex,
  lua,
  makefile,
  php,
  python,
  r,
  ruby,
  rust,
  shell,
  sql,
  swift,
  typescript,
  xml,
  yaml,
};
const TOO_LONG = 50_000;

for (const [name, grammar] of Object.entries(LANGUAGES)) hljs.registerLanguage(name, grammar);

/** The HTML of a block of code: coloured where the language is known. */
export function codeBlock(code, language, escapeHtml) {
  const known = hljs.getLanguage(language) && code.length <= TOO_LONG;
  const inner = known
    ? hljs.highlight(code, { language, ignoreIllegals: true }).value
    : escapeHtml(code);
  return `<pre><code title="${escapeHtml(language)}">${inner}</code></pre>\n`;
}

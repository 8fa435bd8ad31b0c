// Parses diagrams with the mermaid that Streamlit carries, which is the one that draws them in the page.
// Arguments: the module's file. Standard input: a JSON list of sources. Standard output: a JSON list of errors or null.
// Mermaid's parsers need no document, but what they load asks for one: it is given one that holds nothing.
import { readFileSync, readdirSync } from "node:fs";
import { dirname, join } from "node:path";
import { pathToFileURL } from "node:url";

const nothing = () => {};
globalThis.window = globalThis;
globalThis.addEventListener = nothing;
globalThis.document = {
  getElementsByTagName: () => [],
  querySelector: () => null,
  createElement: () => ({ relList: { supports: () => true }, setAttribute: nothing }),
  head: { appendChild: nothing },
};

const file = process.argv[2];
for (const name of readdirSync(dirname(file)).filter((name) => /^purify\.es\..*\.js$/.test(name))) {
  // DOMPurify cannot work without a document; labels are parsed as they are, since nothing is drawn here.
  for (const value of Object.values(await import(pathToFileURL(join(dirname(file), name)).href))) {
    if (value?.isSupported === false) Object.assign(value, { addHook: nothing, sanitize: (text) => text });
  }
}
const mermaid = (await import(pathToFileURL(file).href)).default;
console.log = console.warn = console.error = nothing;
const errors = [];
for (const source of JSON.parse(readFileSync(0, "utf8"))) {
  errors.push(await mermaid.parse(source).then(() => null, (error) => String(error?.message ?? error)));
}
process.stdout.write(JSON.stringify(errors), () => process.exit(0));

// Builds dist/ from src/: one module and one declaration file for each entry.

import { execFileSync } from "node:child_process";
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { build } from "esbuild";
import { minify } from "terser";

const out = process.argv[2] ?? "dist";
const entries = [
  { name: "securews", from: "src/index.ts", declares: ["api", "ticket", "index"] },
  { name: "seal", from: "src/seal/index.ts", declares: ["seal/index"] },
];

// Properties that no other module and no user sees: they get short names.
const internal = /^(after|answered|aside|ask|away|beat|begin|cfg|change|control|empty|ended|events|failures|foreign|hasten|held|endHold|limit|link|live|notBefore|opened|outbox|over|plaintext|refreshAfter|refused|release|run|sending|serverLimit|soon|unconfirmed|undelivered|wait|wake|woke)$/

mkdirSync(out, { recursive: true });
for (const { name, from } of entries) {
  const { outputFiles } = await build({
    entryPoints: [from],
    outfile: join(out, `${name}.js`),
    bundle: true,
    format: "esm",
    target: "es2022",
    minify: true,
    mangleProps: internal,
    sourcemap: "external",
    write: false,
    legalComments: "none",
    alias: { crypto: "./src/seal/nocrypto.ts" },
  });
  const [map, module] = outputFiles.map(({ text }) => text);
  const small = await minify(module, {
    module: true,
    ecma: 2020,
    compress: { passes: 4, unsafe_arrows: true, hoist_funs: true },
    format: { preamble: name === "seal" ? "/*! Contains software of others: see seal.LICENSE.txt */" : undefined },
    sourceMap: { content: portable(map), filename: `${name}.js`, includeSources: true }, // the handler names it in SourceMap
  });
  writeFileSync(join(out, `${name}.js`), small.code);
  writeFileSync(join(out, `${name}.js.map`), small.map);
}
declarations();
writeFileSync(join(out, "seal.LICENSE.txt"), licenses());

// The names of the sources in a map do not depend on the directory of the output.
function portable(map) {
  const parsed = JSON.parse(map);
  parsed.sources = parsed.sources.map((name) => name.replace(/^.*?(?=(src|node_modules)\/)/, ""));
  return parsed;
}

// Each declaration file is that of its public sources, one after the other. seal's takes
// what it needs from securews.
function declarations() {
  const dir = mkdtempSync(join(out, "types-"));
  try {
    execFileSync(process.execPath, ["node_modules/typescript/bin/tsc", "--declaration", "--emitDeclarationOnly", "--outDir", dir]);
    for (const { name, declares } of entries) {
      const parts = declares.map((d) => publicPart(readFileSync(join(dir, `${d}.d.ts`), "utf8")));
      writeFileSync(join(out, `${name}.d.ts`), parts.join("\n"));
    }
  } finally {
    rmSync(dir, { recursive: true });
  }
}

function publicPart(text) {
  return text
    .replace(/^import (type )?\{[^}]*\} from "\.\/.*";\n/gm, "")
    .replace(/^export (type )?(\*|\{[^}]*\}) from ".*";\n/gm, "")
    .replace('from "../api.js"', 'from "./securews.js"');
}

// What is bundled into seal.js asks for its notices to go along.
function licenses() {
  const bundled = ["@hpke/core", "@hpke/common", "@hpke/dhkem-x25519", "@hpke/hybridkem-x-wing", "mlkem"];
  return bundled
    .map((name) => {
      const { version } = JSON.parse(readFileSync(`node_modules/${name}/package.json`, "utf8"));
      return `${name} ${version}\n\n${readFileSync(`node_modules/${name}/LICENSE`, "utf8").trim()}\n`;
    })
    .join("\n----\n\n");
}

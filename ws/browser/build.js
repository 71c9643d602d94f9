// Builds dist/ from src/: one module and one declaration file for each entry.

import { execFileSync } from "node:child_process";
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { build } from "esbuild";

const out = process.argv[2] ?? "dist";
const entries = [
  { name: "securews", from: "src/index.ts", declares: ["api", "ticket", "index"] },
  { name: "seal", from: "src/seal/index.ts", declares: ["seal/index"] },
];

mkdirSync(out, { recursive: true });
for (const { name, from } of entries) {
  await build({
    entryPoints: [from],
    outfile: join(out, `${name}.js`),
    bundle: true,
    format: "esm",
    target: "es2022",
    minify: true,
    legalComments: "none",
    alias: { crypto: "./src/seal/nocrypto.ts" },
    banner: name === "seal" ? { js: "/*! Contains software of others: see seal.LICENSE.txt */" } : {},
  });
}
declarations();
writeFileSync(join(out, "seal.LICENSE.txt"), licenses());

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

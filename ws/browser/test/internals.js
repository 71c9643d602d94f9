// The internal parts of the modules that are tested, built from their sources.

import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath, pathToFileURL } from "node:url";
import { build } from "esbuild";

const dir = mkdtempSync(join(tmpdir(), "securews-"));
const outfile = join(dir, "internals.mjs");
const parts = ["next", "seal/bytes", "seal/handshake", "seal/hello", "seal/keys", "seal/record", "seal/suite"];
await build({
  stdin: {
    contents: parts.map((p) => `export * from "./${p}.ts";`).join("\n"),
    resolveDir: fileURLToPath(new URL("../src", import.meta.url)),
  },
  bundle: true,
  format: "esm",
  target: "es2022",
  outfile,
  external: ["crypto"],
});
export const internals = await import(pathToFileURL(outfile));
rmSync(dir, { recursive: true });

export const hex = (text) => new Uint8Array(Buffer.from(text, "hex"));
export const toHex = (bytes) => Buffer.from(bytes).toString("hex");

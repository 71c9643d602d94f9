// What each ending does, as docs/clients.md has it; the Go client has the same test.

import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { test } from "node:test";
import { connect } from "../dist/securews.js";
import { FakeSocket, fakeTime, settle, watch } from "./fake.js";

const text = readFileSync(new URL("../../../docs/clients.md", import.meta.url), "utf8");
const rows = [...text.matchAll(/^\| (HTTP )?(\d{3,4})(?: `(\w+)`)? \| ([a-z-]+) \|$/gm)];
assert.ok(rows.length >= 40, `${rows.length} rows`);

for (const [, http, code, reason = "", next] of rows) {
  test(`${http ?? ""}${code} ${reason}: ${next}`, async (t) => {
    const pass = fakeTime(t);
    const problem = { "Content-Type": reason ? "application/problem+json" : "text/html" };
    t.mock.method(globalThis, "fetch", async () =>
      code === "302" ? { type: "opaqueredirect", status: 0, headers: new Headers() }
        : new Response(reason ? JSON.stringify({ reason }) : "<p>", { status: +code, headers: problem }));
    const client = connect({
      url: "wss://app.example/ws", WebSocket: FakeSocket, protocols: "chat",
      ...(http && { ticket: "https://app.example/ticket" }),
    });
    const seen = watch(client);
    await settle();
    if (!http) {
      FakeSocket.last.open();
      FakeSocket.last.end(+code, reason);
    }
    await pass(0);
    const { state, ending } = seen.states.at(-1);
    assert.deepEqual([state, ending.next], [/^re/.test(next) ? "waiting" : "closed", next]);
    await client.close();
  });
}

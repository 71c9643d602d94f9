// The vectors that the Go package reads, too: hellos, keys and records of every suite.

import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { test } from "node:test";
import { hex, internals, toHex } from "./internals.js";

const { shake, choose, publicKey, keysOf, suiteOf, Direction, type, encode } = internals;
const file = new URL("../../seal/testdata/vectors.json", import.meta.url);
const { sessions, directory } = JSON.parse(readFileSync(file, "utf8"));

const start = async (v, more = {}) =>
  shake(
    hex(v.server_hello),
    await publicKey(suiteOf(v.kem), hex(v.server_public), 0),
    { audience: v.audience, origin: v.origin, subprotocol: v.subprotocol, principal: v.principal, ...more },
    v.psk ? hex(v.psk) : undefined,
    hex(v.ephemeral_seed),
  );

for (const v of sessions) {
  const records = (way) => v.records.filter((r) => r.direction === way);

  test(`${v.name}: the ClientHello`, async () => {
    const key = await publicKey(suiteOf(v.kem), hex(v.server_public), 0);
    assert.equal(toHex(key.kid), v.kid);
    assert.equal(choose(hex(v.server_hello), [key]), key);
    assert.equal(toHex((await start(v)).hello), v.client_hello);
  });

  test(`${v.name}: the client's records`, async () => {
    const { c2s } = await start(v);
    for (const r of records("c2s")) {
      assert.equal(toHex(await c2s.seal(r.type, hex(r.payload))), r.record, `epoch ${r.epoch} seq ${r.seq}`);
      if (r.type === type.update) await c2s.update();
    }
  });

  test(`${v.name}: the server's records`, async () => {
    const { s2c } = await start(v);
    for (const r of records("s2c")) {
      const { kind, payload } = await s2c.open(hex(r.record));
      assert.deepEqual([kind, toHex(payload)], [r.type, r.payload], `epoch ${r.epoch} seq ${r.seq}`);
      if (kind === type.update) await s2c.update();
    }
  });

  test(`${v.name}: anything but the very next record is refused`, async () => {
    const [first, second] = records("s2c").map((r) => hex(r.record));
    const mirrored = hex(records("c2s")[0].record);
    const flips = Array.from({ length: first.length }, (_, i) => first.map((b, j) => (i === j ? b ^ 0x10 : b)));
    for (const bad of [second, mirrored, first.slice(1), first.slice(0, -1), first.slice(0, 17), new Uint8Array(), ...flips]) {
      const { s2c } = await start(v);
      await assert.rejects(s2c.open(bad));
    }
    const { s2c } = await start(v);
    await s2c.open(first);
    await assert.rejects(s2c.open(first), "replayed");
  });

  test(`${v.name}: another binding opens nothing`, async () => {
    for (const name of ["audience", "origin", "subprotocol", "principal"]) {
      const { s2c } = await start(v, { [name]: `${v[name]}x` });
      await assert.rejects(s2c.open(hex(records("s2c")[0].record)), name);
    }
    const { s2c } = await start({ ...v, psk: toHex(new Uint8Array(32)) });
    await assert.rejects(s2c.open(hex(records("s2c")[0].record)), "psk");
  });
}

test("the directory", async () => {
  const keys = await keysOf(JSON.parse(directory.body));
  assert.deepEqual(
    keys.map((k) => [toHex(k.kid), k.suite.kem, toHex(k.pk), k.notAfter / 1000]),
    directory.keys.map((k) => [k.kid, k.kem, k.pk, k.not_after]),
  );
});

test("a directory with a mistake in it is refused", async () => {
  const { keys } = JSON.parse(directory.body);
  const [k] = keys;
  const bad = {
    "no keys": {},
    "keys is no list": { keys: {} },
    "too many": { keys: Array(33).fill({ kem: 1 }) },
    "a kid of another key": { keys: [{ ...k, kid: keys[1].kid }] },
    "a key cut short": { keys: [{ ...k, pk: k.pk.slice(0, -4) }] },
    "padding": { keys: [{ ...k, pk: `${k.pk}=` }] },
    "no end": { keys: [{ ...k, not_after: undefined }] },
    "an end in words": { keys: [{ ...k, not_after: "never" }] },
  };
  for (const [name, d] of Object.entries(bad)) {
    await assert.rejects(keysOf(d), undefined, name);
  }
  assert.deepEqual(await keysOf({ keys: [{ kem: 1 }] }), [], "an unknown suite is skipped");
});

test("a ServerHello is taken as it is written and no other way", async () => {
  const v = sessions[0];
  const key = await publicKey(suiteOf(v.kem), hex(v.server_public), 0);
  const hello = hex(v.server_hello);
  const changed = (at, to) => hello.map((b, i) => (i === at ? to : b));
  for (const bad of [changed(0, 2), changed(1, 2), changed(2, 1), changed(3, 1), changed(36, 0), changed(36, 4),
    hello.slice(0, -1), new Uint8Array([...hello, 0]), new Uint8Array(36), new Uint8Array()]) {
    assert.equal(choose(bad, [key]), undefined);
  }
  assert.equal(choose(changed(50, 1), [key]), undefined, "another AEAD for the key");
  assert.equal(choose(hello, [{ ...key, notAfter: 1 }]), undefined, "a key that has ended");
  assert.equal(choose(hello, []), undefined);
});

test("a key seals 2^20 records, then nothing but the key update", async () => {
  const make = () => Direction.make(new Uint8Array(32), 16, 2 ** 20 - 1);
  const [out, back] = [await make(), await make()];
  assert.equal(out.due, false);
  const last = await out.seal(type.text, encode("last"));
  assert.equal(out.due, true);
  await assert.rejects(out.seal(type.text, encode("one more")));
  await assert.rejects(out.seal(type.close, encode("")));
  const update = await out.seal(type.update, encode(""));
  await assert.rejects(out.seal(type.update, encode("")));
  await out.update();
  assert.equal(out.due, false);

  await back.open(last);
  await assert.rejects(back.open(last), "a record beyond the last, whatever is in it");
  await back.open(update);
  await assert.rejects(back.open(update));
  await back.update();
  await back.open(await out.seal(type.text, encode("next epoch")));
});

test("a key is changed after an hour", async (t) => {
  t.mock.timers.enable({ apis: ["Date"] });
  const { c2s } = await start(sessions[1]);
  assert.equal(c2s.due, false);
  t.mock.timers.setTime(3_600_000);
  assert.equal(c2s.due, true);
});

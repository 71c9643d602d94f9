// One direction of a connection: its key, and the number of the next record. The number is
// not transmitted: both ends count.

import { concat, expand, type Bytes } from "./bytes.js";

export const type = { text: 0x10, binary: 0x11, control: 0x12, update: 0x13, close: 0x14 } as const;

const overhead = 18;
const epochRecords = 2 ** 20; // records that a key may seal, and one key update after them
const epochAge = 3_600_000;

export class Direction {
  #epoch = 0;

  private constructor(
    private seq: number,
    private secret: Bytes,
    private readonly keySize: number,
    private key: CryptoKey,
    private iv: Bytes,
    private began: number,
  ) {}

  /** make starts at record 0; tests start later. */
  static async make(secret: Bytes, keySize: number, seq = 0): Promise<Direction> {
    return new Direction(seq, secret, keySize, ...(await derive(secret, keySize)), Date.now());
  }

  /** due reports whether the key must be changed before the next record. */
  get due(): boolean {
    return this.seq >= epochRecords || Date.now() - this.began >= epochAge;
  }

  async seal(kind: number, payload: Bytes): Promise<Bytes> {
    this.#check(kind);
    const head = new Uint8Array([kind, this.#epoch & 0xff]);
    const nonce = this.#next();
    return concat(head, new Uint8Array(await crypto.subtle.encrypt(gcm(nonce, head), this.key, payload)));
  }

  /** open throws unless the record is exactly the next one. */
  async open(record: Bytes): Promise<{ kind: number; payload: Bytes }> {
    const kind = record[0] ?? 0;
    if (record.length < overhead || record[1] !== (this.#epoch & 0xff)) {
      throw new Error("securews: record");
    }
    this.#check(kind);
    const nonce = this.#next();
    const plain = await crypto.subtle.decrypt(gcm(nonce, record.slice(0, 2)), this.key, record.slice(2));
    return { kind, payload: new Uint8Array(plain) };
  }

  /** update begins the next epoch and erases the secret of this one. */
  async update(): Promise<void> {
    const next = await expand(this.secret, "wss-hpke/1 upd", 32);
    this.erase();
    this.secret = next;
    [this.key, this.iv] = await derive(next, this.keySize);
    this.#epoch++;
    this.seq = 0;
    this.began = Date.now();
  }

  erase(): void {
    this.secret.fill(0);
    this.iv.fill(0);
  }

  /** #check throws if the key has reached its limit of records, so that numbers never wrap. */
  #check(kind: number): void {
    if (this.seq > epochRecords || (this.seq === epochRecords && kind !== type.update)) {
      throw new Error("securews: exhausted");
    }
  }

  /** #next returns the IV with its last 8 bytes XORed with the record number. */
  #next(): Bytes {
    const nonce = this.iv.slice();
    const last = new DataView(nonce.buffer, 8);
    last.setUint32(0, last.getUint32(0) ^ this.seq); // below 2^32: see #check
    this.seq++;
    return nonce;
  }
}

const gcm = (iv: Bytes, additionalData: Bytes): AesGcmParams => ({ name: "AES-GCM", iv, additionalData, tagLength: 128 });

async function derive(secret: Bytes, keySize: number): Promise<[CryptoKey, Bytes]> {
  const raw = await expand(secret, "wss-hpke/1 key", keySize);
  const key = await crypto.subtle.importKey("raw", raw, "AES-GCM", false, ["encrypt", "decrypt"]);
  raw.fill(0);
  return [key, await expand(secret, "wss-hpke/1 iv", 12)];
}

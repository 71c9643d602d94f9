// The sets of algorithms, named by their KEM (RFC 9180 section 7.1). The KDF is HKDF-SHA256 in
// all of them.

import { Aes128Gcm, Aes256Gcm, CipherSuite, DhkemP256HkdfSha256, HkdfSha256 } from "@hpke/core";
import { DhkemX25519HkdfSha256 } from "@hpke/dhkem-x25519";
import { XWing } from "@hpke/hybridkem-x-wing";

export type SuiteName = "X-Wing" | "X25519" | "P-256";

export interface Suite {
  name: SuiteName;
  kem: number;
  kdf: number;
  aead: number;
  keySize: number; // of the AEAD
  publicSize: number;
  hpke: CipherSuite;
}

// X25519 comes from a package that X-Wing depends on, so that browsers without X25519 in
// WebCrypto support it, too.
export const suites: readonly Suite[] = [
  {
    name: "X-Wing",
    kem: 0x647a,
    kdf: 1,
    aead: 2,
    keySize: 32,
    publicSize: 1216,
    hpke: new CipherSuite({ kem: new XWing(), kdf: new HkdfSha256(), aead: new Aes256Gcm() }),
  },
  {
    name: "X25519",
    kem: 0x0020,
    kdf: 1,
    aead: 1,
    keySize: 16,
    publicSize: 32,
    hpke: new CipherSuite({ kem: new DhkemX25519HkdfSha256(), kdf: new HkdfSha256(), aead: new Aes128Gcm() }),
  },
  {
    name: "P-256",
    kem: 0x0010,
    kdf: 1,
    aead: 1,
    keySize: 16,
    publicSize: 65,
    hpke: new CipherSuite({ kem: new DhkemP256HkdfSha256(), kdf: new HkdfSha256(), aead: new Aes128Gcm() }),
  },
];

export const suiteOf = (kem: number): Suite | undefined => suites.find((s) => s.kem === kem);

import type { Sealing } from "./securews.js";
/** A public key of the server that the page knows in advance. */
export interface PinnedKey {
    suite: "X-Wing" | "X25519" | "P-256";
    /** base64url without padding, or the bytes. */
    pk: string | Uint8Array;
}
export interface SealOptions {
    /** The configured name of the server; not taken from its address. */
    audience: string;
    /** A connection that is not sealed is closed if required (the default), and used if dangerouslyOptional. */
    policy?: "required" | "dangerouslyOptional";
    /** The only trusted keys. */
    keys?: readonly PinnedKey[];
    /** The address of the directory if no key is pinned; default /.well-known/wss-keys at the server. */
    directory?: string | URL;
    /** The accepted suites; default all three. The server's order applies. */
    suites?: readonly PinnedKey["suite"][];
    /** The name of the user that the server binds the keys to; default "". */
    principal?: string | (() => string);
    /** The Origin of the handshake; default that of the page, "" without a page. */
    origin?: string;
    /** A pre-shared key of 32 bytes. */
    psk?: Uint8Array;
    /** Allows a directory over http:, on localhost and loopback addresses only. */
    dangerouslyAllowLocalHTTP?: boolean;
}
/** Seals the messages of a client of connect(). */
export declare function seal(options: SealOptions): Sealing;

import type { Sealing } from "./securews.js";
/** A public key of the server that the page knows beforehand. */
export interface PinnedKey {
    suite: "X-Wing" | "X25519" | "P-256";
    /** base64url without padding, or the bytes. */
    pk: string | Uint8Array;
}
export interface SealOptions {
    /** What the server is configured to be called; not taken from its address. */
    audience: string;
    /** required (the default): a connection that is not sealed is closed. preferred: it is used. */
    policy?: "required" | "preferred";
    /** Keys that are trusted, and no others. */
    keys?: readonly PinnedKey[];
    /** Where keys are looked up if none is pinned; default /.well-known/wss-keys at the server. */
    directory?: string | URL;
    /** Which suites may be spoken; default all three. The server prefers. */
    suites?: readonly PinnedKey["suite"][];
    /** Who is connecting, as the server binds it; default "". */
    principal?: string | (() => string);
    /** The Origin of the handshake; default that of the page, "" where there is none. */
    origin?: string;
    /** 32 bytes that both ends have. */
    psk?: Uint8Array;
    /** Allows a directory over http:, on localhost and loopback addresses only. */
    dangerouslyAllowPlaintext?: boolean;
}
/** Seals what a client of connect() sends and receives. */
export declare function seal(options: SealOptions): Sealing;

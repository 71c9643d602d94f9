// Replaces Node's crypto module in build.js, which the bundled packages would load without
// WebCrypto.
export const webcrypto = undefined;

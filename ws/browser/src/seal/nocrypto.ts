// Stands in build.js for Node's module of that name, which what is bundled would load
// where there is no WebCrypto.
export const webcrypto = undefined;

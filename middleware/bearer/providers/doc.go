// Package providers tests this module with the tokens of identity providers that it starts:
// oidc-provider, from npm, and the server of zitadel/oidc. It is a module of its own, so that they
// are not dependencies of the module that it tests. The providers speak https on loopback, and a
// test gets its tokens as a client does: by client credentials, or by signing in at the pages of
// the provider.
//
// npm's package is installed by
//
//	npm ci --ignore-scripts --prefix middleware/bearer/providers
package providers

// An OpenID provider on https, for the tests. Its first line of input is JSON: the certificate
// and its private key in PEM, and the address to announce sign-outs to. It prints its port. Each further
// line is a command, which it answers with a line: "rotate" publishes a new key and signs with
// it, "withdraw" leaves only that key. It ends with its input.
import { generateKeyPairSync, randomUUID } from 'node:crypto'
import { createServer } from 'node:https'
import { createInterface } from 'node:readline'

import { Provider } from 'oidc-provider'

const audience = 'https://api.example'

// resources are what a client may ask for (RFC 8707), each with the access token for it.
const resources = {
  'https://api.example': { audience },
  'https://api.example/brief': { audience, accessTokenTTL: 5 },
  'https://api.example/opaque': { audience, accessTokenFormat: 'opaque' },
  'https://other.example/opaque': { audience: 'https://other.example', accessTokenFormat: 'opaque' },
  'https://other.example': { audience: 'https://other.example' },
}

const lines = createInterface({ input: process.stdin })[Symbol.asyncIterator]()
const settings = JSON.parse((await lines.next()).value)

const clients = [
  {
    client_id: 'service', client_secret: 'secret of the service', grant_types: ['client_credentials'],
    redirect_uris: [], response_types: [],
  },
  {
    client_id: 'api', client_secret: 'secret of the api', grant_types: ['client_credentials'],
    redirect_uris: [], response_types: [],
  },
  {
    client_id: 'page', token_endpoint_auth_method: 'none', grant_types: ['authorization_code', 'refresh_token'],
    redirect_uris: ['https://app.example/callback'], response_types: ['code'],
    backchannel_logout_uri: settings.logout, backchannel_logout_session_required: true,
  },
]

function newKey() {
  const { privateKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' })
  return { ...privateKey.export({ format: 'jwk' }), kid: randomUUID(), use: 'sig', alg: 'ES256' }
}

// Rows keeps what is issued, so that it outlives a change of keys.
const rows = new Map()

class Rows {
  constructor(model) { this.model = model }

  async upsert(id, row) { rows.set(`${this.model}:${id}`, row) }

  async find(id) { return rows.get(`${this.model}:${id}`) }

  async findByUid(uid) {
    return [...rows].find(([key, row]) => key.startsWith(`${this.model}:`) && row.uid === uid)?.[1]
  }

  async consume(id) { rows.get(`${this.model}:${id}`).consumed = Math.floor(Date.now() / 1000) }

  async destroy(id) { rows.delete(`${this.model}:${id}`) }

  async revokeByGrantId(grantId) {
    for (const [key, row] of rows) if (row.grantId === grantId) rows.delete(key)
  }
}

const cookieKey = randomUUID()

const ttl = (_ctx, token) => token.resourceServer?.accessTokenTTL ?? 600

function listener(issuer, keys) {
  const provider = new Provider(issuer, {
    adapter: Rows,
    clients,
    jwks: { keys },
    clientDefaults: { id_token_signed_response_alg: 'ES256' },
    enabledJWA: { idTokenSigningAlgValues: ['ES256'] },
    cookies: { keys: [cookieKey] },
    ttl: { AccessToken: ttl, ClientCredentials: ttl, IdToken: 600, Interaction: 600, Grant: 600, Session: 600, RefreshToken: 600 },
    findAccount: (_ctx, sub) => ({ accountId: sub, claims: () => ({ sub }) }),
    scopes: ['openid', 'offline_access', 'read'],
    claims: { openid: ['sub'] },
    // RFC 9068 has no claim for the session; a provider adds it.
    extraTokenClaims: (_ctx, token) => (token.sid ? { sid: token.sid } : undefined),
    fetch: (url, { dispatcher, ...options }) => globalThis.fetch(url, options), // the tests are on loopback
    features: {
      clientCredentials: { enabled: true },
      introspection: { enabled: true },
      revocation: { enabled: true },
      backchannelLogout: { enabled: true },
      resourceIndicators: {
        enabled: true,
        useGrantedResource: () => true,
        getResourceServerInfo: (_ctx, resource) => ({ scope: 'read', accessTokenFormat: 'jwt', ...resources[resource] }),
      },
    },
  })
  provider.on('server_error', (_ctx, err) => console.error(err))
  provider.on('backchannel.error', (_ctx, err) => console.error(err))
  return provider.callback()
}

const server = createServer({ cert: settings.cert, key: settings.key })
await new Promise((resolve) => server.listen(0, '127.0.0.1', resolve))
const { port } = server.address()

let keys = [newKey()]
let current
const publish = () => { current = listener(`https://127.0.0.1:${port}`, keys) }
publish()
server.on('request', (request, response) => current(request, response))
console.log(port)

for await (const command of lines) {
  if (command === 'rotate') keys = [newKey(), ...keys]
  if (command === 'withdraw') keys = keys.slice(0, 1)
  publish()
  console.log('done')
}
process.exit()

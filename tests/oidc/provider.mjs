// A real OpenID provider for tests: `node provider.mjs PORT CLIENT_JWK`. What it remembers of tokens outlives its keys.
//
// Besides the provider's own pages it has `POST /test/...`, which only tests use:
//   rotate?keep=true   sign with a new key and publish the old ones beside it
//   rotate?keep=false  sign with a new key and publish no other
//   token?sub=NAME     an opaque access token and a refresh token of a user
import { createServer } from 'node:http';
import { generateKeyPairSync, randomUUID, webcrypto } from 'node:crypto';

// Debian 12 has Node 18, which lacks two things the provider uses.
globalThis.crypto ??= webcrypto;
URL.parse ??= (text, base) => (URL.canParse(text, base) ? new URL(text, base) : null);
const { Provider } = await import('oidc-provider');

const [port, clientJwk] = process.argv.slice(2);
const issuer = `http://127.0.0.1:${port}`;
const machine = { grant_types: ['client_credentials'], redirect_uris: [], response_types: [], scope: 'read write' };

// Everything issued, by model and id.
const issued = new Map();

class Memory {
  constructor(model) {
    this.model = model;
  }

  key(id) {
    return `${this.model} ${id}`;
  }

  async upsert(id, payload) {
    issued.set(this.key(id), payload);
  }

  async find(id) {
    return issued.get(this.key(id));
  }

  async destroy(id) {
    issued.delete(this.key(id));
  }

  async revokeByGrantId(grantId) {
    for (const [key, payload] of issued) {
      if (payload.grantId === grantId) issued.delete(key);
    }
  }
}

function newKey() {
  const jwk = generateKeyPairSync('ec', { namedCurve: 'P-256' }).privateKey.export({ format: 'jwk' });
  return { ...jwk, kid: randomUUID(), use: 'sig', alg: 'ES256' };
}

function provider(keys) {
  return new Provider(issuer, {
    adapter: Memory,
    jwks: { keys },
    clientDefaults: { id_token_signed_response_alg: 'ES256' },
    clients: [
      { ...machine, client_id: 'robot', client_secret: 'robot-secret' },
      { ...machine, client_id: 'pos tern', client_secret: 'a secret: with & odd = signs %' },
      { ...machine, client_id: 'postern-post', client_secret: 'post-secret', token_endpoint_auth_method: 'client_secret_post' },
      {
        ...machine,
        client_id: 'postern-key',
        token_endpoint_auth_method: 'private_key_jwt',
        token_endpoint_auth_signing_alg: 'ES256',
        jwks: { keys: [JSON.parse(clientJwk)] },
      },
      {
        client_id: 'web',
        client_secret: 'web-secret',
        grant_types: ['authorization_code', 'refresh_token'],
        redirect_uris: ['https://web.test/callback'],
        scope: 'openid offline_access',
      },
    ],
    scopes: ['openid', 'offline_access', 'read', 'write'],
    claims: { openid: ['sub', 'groups'] },
    ttl: { ClientCredentials: 3600, AccessToken: 3600, RefreshToken: 3600, Grant: 3600 },
    findAccount: (_, sub) => ({ accountId: sub, claims: () => ({ sub, groups: ['staff'] }) }),
    extraTokenClaims: () => ({ groups: ['machines'] }),
    features: {
      clientCredentials: { enabled: true },
      devInteractions: { enabled: false },
      introspection: { enabled: true },
      revocation: { enabled: true },
      userinfo: { enabled: true },
      resourceIndicators: {
        enabled: true,
        getResourceServerInfo: (_, resource) => ({
          scope: 'read write',
          audience: resource,
          accessTokenTTL: 3600,
          accessTokenFormat: resource.endsWith('/jwt') ? 'jwt' : 'opaque',
          jwt: { sign: { alg: 'ES256' } },
        }),
      },
    },
  });
}

let keys = [newKey()];
let current = provider(keys);

async function test(url) {
  if (url.pathname === '/test/rotate') {
    keys = url.searchParams.get('keep') === 'true' ? [newKey(), ...keys] : [newKey()];
    current = provider(keys);
    return {};
  }
  if (url.pathname === '/test/token') {
    const accountId = url.searchParams.get('sub');
    const client = await current.Client.find('web');
    const grant = new current.Grant({ accountId, clientId: 'web' });
    grant.addOIDCScope('openid offline_access');
    const common = { accountId, client, grantId: await grant.save(), gty: 'authorization_code', scope: 'openid' };
    const access = await new current.AccessToken({ ...common, claims: {} }).save();
    const refresh = await new current.RefreshToken({ ...common, claims: {}, rotations: 0 }).save();
    return { access, refresh };
  }
  return undefined;
}

const server = createServer((request, response) => {
  const url = new URL(request.url, issuer);
  if (!url.pathname.startsWith('/test/')) {
    current.callback()(request, response);
    return;
  }
  test(url).then(
    (answer) => response.writeHead(answer ? 200 : 404).end(JSON.stringify(answer ?? {})),
    (error) => response.writeHead(500).end(String(error.stack)),
  );
});
server.listen(Number(port), '127.0.0.1');

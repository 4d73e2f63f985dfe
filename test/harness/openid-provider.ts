import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { decodeJwt, exportJWK, generateKeyPair, importJWK, type JWK, type JWTPayload, SignJWT } from 'jose';
import Provider, { type Configuration, type KoaContextWithOIDC } from 'oidc-provider';

/** What the provider knows of somebody, by the name that they sign in with. */
export type Person = Record<string, unknown>;

export interface OpenIdProvider {
  readonly issuer: string;
  readonly people: Map<string, Person>;
  /** Changes the claims of the next ID tokens, which are signed again with the right key. Null: as they are. */
  forge: ((claims: JWTPayload) => JWTPayload) | null;
  /** Begins to answer, and sends browsers back to there. */
  open(redirectUri: string): void;
  close(): Promise<void>;
}

export const client = { id: 'parley', secret: 'the-secret-of-parley-at-its-provider' };

/** A real OpenID provider on a free port, with a form in which everybody is who they say they are. */
export async function startOpenIdProvider(): Promise<OpenIdProvider> {
  const { privateKey } = await generateKeyPair('RS256', { extractable: true });
  const key: JWK = { ...(await exportJWK(privateKey)), alg: 'RS256', use: 'sig', kid: 'one' };
  const server: Server = createServer();
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const issuer = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
  const people = new Map<string, Person>();
  const configuration = (redirectUri: string): Configuration => ({
    clients: [{ client_id: client.id, client_secret: client.secret, redirect_uris: [redirectUri] }],
    jwks: { keys: [key] },
    claims: { openid: ['sub'], email: ['email', 'email_verified'], profile: ['name', 'picture'] },
    conformIdTokenClaims: true,
    features: { devInteractions: { enabled: true } },
    cookies: { keys: ['a key of a test'] },
    ttl: { AccessToken: 60, AuthorizationCode: 60, Grant: 60, IdToken: 60, Interaction: 60, Session: 60 },
    findAccount: (_context: KoaContextWithOIDC, id: string) => ({
      accountId: id,
      claims: () => ({ sub: id, ...people.get(id) }),
    }),
  });
  const state: OpenIdProvider = {
    issuer,
    people,
    forge: null,
    open(redirectUri) {
      const { warn, info } = console;
      // It tells what is right only for tests.
      Object.assign(console, { warn: () => undefined, info: () => undefined });
      const provider = new Provider(issuer, configuration(redirectUri));
      Object.assign(console, { warn, info });
      provider.use(async (context, next) => {
        await next();
        const body = Object(context.body) as { id_token?: string };
        if (context.path !== '/token' || !body.id_token || !state.forge) return;
        const claims = state.forge(decodeJwt(body.id_token));
        const signed = new SignJWT(claims).setProtectedHeader({ alg: 'RS256', kid: 'one' });
        context.body = { ...body, id_token: await signed.sign(await importJWK(key, 'RS256')) };
      });
      const handle = provider.callback();
      server.on('request', (req, res) => void handle(req, res));
    },
    close: () =>
      new Promise((resolve) => {
        server.close(() => resolve());
        server.closeAllConnections();
      }),
  };
  return state;
}

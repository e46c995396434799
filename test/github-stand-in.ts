/** Plays the part of GitHub's API that apps use, on loopback: it checks what an app presents, and gives tokens. */
import { generateKeyPairSync, type KeyObject, verify } from 'node:crypto';
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import type { TestContext } from 'node:test';

export interface GithubStandIn {
  readonly url: string;
  /** PEM of the app's private key. */
  readonly key: string;
  /** What was asked of it: `contents:read vms`. */
  readonly asked: string[];
  /** Statuses that were set, with the token that came along. */
  readonly statuses: { readonly path: string; readonly token: string; readonly state: string }[];
  /** Answers in place of it; true where it has. */
  intercept: (request: IncomingMessage, response: ServerResponse) => boolean;
}

export const appIds = { app: '12345', installation: '678' } as const;

/** The token for a permission; the first is `ghs_contents_1`. */
export function tokenFor(permission: string, count: number): string {
  return `ghs_${permission}_${count}`;
}

/** @param lifetimeMs of its tokens */
export async function startGithub(t: Pick<TestContext, 'after'>, lifetimeMs = 3_600_000): Promise<GithubStandIn> {
  const { publicKey, privateKey } = generateKeyPairSync('rsa', { modulusLength: 2048 });
  let count = 0;
  const server = createServer((request, response) => {
    if (standIn.intercept(request, response)) return;
    void answer(request, response);
  });
  const answer = async (request: IncomingMessage, response: ServerResponse): Promise<void> => {
    const chunks: Buffer[] = [];
    for await (const chunk of request) chunks.push(chunk);
    const body = JSON.parse(Buffer.concat(chunks).toString('utf8'));
    const bearer = (request.headers.authorization ?? '').replace(/^Bearer /, '');
    if (request.url?.includes('/statuses/')) {
      standIn.statuses.push({ path: request.url, token: bearer, state: body.state });
      response.writeHead(201).end('{}');
      return;
    }
    const refusal = objection(bearer, publicKey);
    if (refusal !== undefined) {
      response.writeHead(401).end(JSON.stringify({ message: refusal }));
    } else if (request.method !== 'POST' || request.url !== `/app/installations/${appIds.installation}/access_tokens`) {
      response.writeHead(404).end(JSON.stringify({ message: 'Not Found' }));
    } else {
      count += 1;
      const [permission = ''] = Object.keys(body.permissions);
      standIn.asked.push(`${permission}:${body.permissions[permission]} ${body.repositories.join()}`);
      const expires = new Date(Date.now() + lifetimeMs).toISOString();
      response.writeHead(201).end(JSON.stringify({ token: tokenFor(permission, count), expires_at: expires }));
    }
  };
  await new Promise<void>((resolve) => {
    server.listen(0, '127.0.0.1', resolve);
  });
  t.after(() => {
    server.close();
    server.closeAllConnections();
  });
  const address = server.address();
  const standIn: GithubStandIn = {
    url: `http://127.0.0.1:${typeof address === 'object' && address !== null ? address.port : 0}`,
    key: String(privateKey.export({ type: 'pkcs1', format: 'pem' })),
    asked: [],
    statuses: [],
    intercept: () => false,
  };
  return standIn;
}

/** What GitHub would refuse about a JSON Web Token. */
function objection(jwt: string, key: KeyObject): string | undefined {
  const [head = '', claims = '', signature = ''] = jwt.split('.');
  const json = (part: string) => JSON.parse(Buffer.from(part, 'base64url').toString('utf8'));
  if (!verify('sha256', Buffer.from(`${head}.${claims}`), key, Buffer.from(signature, 'base64url'))) {
    return 'A JSON web token could not be decoded';
  }
  const { iat, exp, iss } = json(claims);
  const now = Date.now() / 1000;
  if (json(head).alg !== 'RS256' || iss !== appIds.app) return 'Integration not found';
  if (iat > now)
    return "'Issued at' claim ('iat') must be an Integer representing the time that the assertion was issued";
  return exp > now + 600 || exp < now ? "'Expiration time' claim ('exp') is too far in the future" : undefined;
}

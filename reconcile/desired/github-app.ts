/**
 * Tokens of a GitHub App: short-lived, for one repository, and with no more rights than are asked for. Sources: GitHub's
 * documentation of "Generating a JSON Web Token for a GitHub App" and of the endpoint that makes installation tokens.
 */
import { createPrivateKey, type KeyObject, sign } from 'node:crypto';
import { PatchpanelError } from '../errors.ts';
import { GitHttp, type GitHttpOptions } from './git-http.ts';
import { isLoopback } from './git-url.ts';

export interface GithubAppOptions {
  /** Id, or client id, of the app. */
  readonly appId: string;
  readonly installationId: string;
  /** PEM of its private key. */
  readonly key: string;
  /** Base of the API, where it is not that of the host of the repository. */
  readonly api?: string;
}

export type AppPermissions = Readonly<Record<string, 'read' | 'write'>>;

export type AppConnection = Omit<GitHttpOptions, 'auth' | 'maxWireBytes'>;

/** A token is not used when it ends sooner. */
const leastLeftMs = 5 * 60_000;

export class GithubApp {
  readonly #options: GithubAppOptions;
  readonly #key: KeyObject;
  readonly #tokens = new Map<string, { readonly token: string; readonly expires: number }>();

  /** @throws PatchpanelError `cli/usage`, `cli/input`, which repeat nothing of the key */
  constructor(options: GithubAppOptions) {
    if (!/^[A-Za-z0-9._-]{1,64}$/.test(options.appId) || !/^\d{1,20}$/.test(options.installationId)) {
      throw new PatchpanelError('cli/usage', 'the id of a GitHub App, or that of its installation, is none', {
        remedy: 'Both are in the settings of the app at GitHub; that of the installation ends the URL of its page.',
      });
    }
    this.#options = options;
    this.#key = rsaKey(options.key);
  }

  /**
   * A token for one repository, made anew where the last one is about to end.
   * @param repository URL of the repository
   * @throws PatchpanelError git/*
   */
  async token(repository: string, permissions: AppPermissions, connection: AppConnection): Promise<string> {
    const cacheKey = JSON.stringify([repository, permissions]);
    const known = this.#tokens.get(cacheKey);
    if (known !== undefined && known.expires - Date.now() > leastLeftMs) return known.token;
    const made = await this.#make(repository, permissions, connection);
    this.#tokens.set(cacheKey, made);
    return made.token;
  }

  async #make(
    repository: string,
    permissions: AppPermissions,
    connection: AppConnection,
  ): Promise<{ readonly token: string; readonly expires: number }> {
    const api = githubApi(repository, this.#options.api);
    for (const url of [api, repository]) {
      if (!url.startsWith('https:') && !isLoopback(url)) {
        throw new PatchpanelError('git/app', `a token of a GitHub App is not sent without encryption (${url})`, {
          remedy: 'Use https.',
        });
      }
    }
    const [name] = new URL(repository).pathname.split('/').slice(-1);
    const http = new GitHttp(
      { url: api, origin: new URL(api).origin },
      { ...connection, auth: { kind: 'bearer', token: this.#jwt() }, maxWireBytes: 1 << 20 },
    );
    try {
      const answer = await http.answer({
        url: `${api}/app/installations/${this.#options.installationId}/access_tokens`,
        method: 'POST',
        headers: {
          accept: 'application/vnd.github+json',
          'content-type': 'application/json',
          'user-agent': 'patchpanel',
          'x-github-api-version': '2022-11-28',
        },
        body: once(JSON.stringify({ repositories: [name?.replace(/\.git$/, '')], permissions })),
      });
      return tokenOf(answer, this.#options);
    } finally {
      http.close();
    }
  }

  /** Dated back by a minute, as GitHub advises, and good for less than the ten that it takes at most. */
  #jwt(): string {
    const now = Math.floor(Date.now() / 1000);
    const claims = { iat: now - 60, exp: now + 540, iss: this.#options.appId };
    const content = [{ alg: 'RS256', typ: 'JWT' }, claims]
      .map((part) => Buffer.from(JSON.stringify(part)).toString('base64url'))
      .join('.');
    return `${content}.${sign('sha256', Buffer.from(content), this.#key).toString('base64url')}`;
  }
}

async function* once(text: string): AsyncGenerator<Uint8Array> {
  yield Buffer.from(text);
}

/** Base of the API of the host of a repository: GitHub, GitHub Enterprise Cloud with data residency, or a server. */
export function githubApi(repository: string, given: string | undefined): string {
  if (given !== undefined) return given.replace(/\/+$/, '');
  const { origin, hostname } = new URL(repository);
  if (hostname === 'github.com') return 'https://api.github.com';
  return hostname.endsWith('.ghe.com') ? `https://api.${hostname}` : `${origin}/api/v3`;
}

function rsaKey(pem: string): KeyObject {
  try {
    const key = createPrivateKey(pem);
    if (key.asymmetricKeyType === 'rsa') return key;
  } catch {
    // What OpenSSL says of it helps nobody, and may quote it.
  }
  throw new PatchpanelError('cli/input', 'the key of the GitHub App is no private RSA key in PEM form', {
    remedy: 'Give the .pem file that GitHub had you download, unencrypted.',
  });
}

function tokenOf(
  answer: Awaited<ReturnType<GitHttp['answer']>>,
  options: GithubAppOptions,
): { readonly token: string; readonly expires: number } {
  const said = fieldsOf(answer.body);
  const { status } = answer;
  if (status === 201 && typeof said.token === 'string') {
    const expires = Date.parse(String(said.expires_at));
    // Without an end that is understood it is used this once.
    return { token: said.token, expires: Number.isNaN(expires) ? 0 : expires };
  }
  if (status === 429 || status >= 500) {
    throw new PatchpanelError('git/unreachable', `GitHub answered ${status} when asked for a token of the app`);
  }
  const words = typeof said.message === 'string' ? `: ${said.message.replace(/\s+/g, ' ').slice(0, 200)}` : '';
  const message = `GitHub gives the app ${options.appId} no token (HTTP ${status}${words})`;
  throw new PatchpanelError('git/app', message, remedyOf(answer, words, options));
}

function remedyOf(
  { status, headers }: Awaited<ReturnType<GitHttp['answer']>>,
  words: string,
  { installationId }: GithubAppOptions,
): { readonly remedy?: string } {
  const skew = (Date.parse(headers.date ?? '') - Date.now()) / 1000;
  if (status === 401 && Math.abs(skew) > 60) {
    const way = skew > 0 ? 'behind' : 'ahead of';
    return { remedy: `The clock of this machine is ${Math.round(Math.abs(skew))} s ${way} that of GitHub: set it.` };
  }
  if (status === 401) return { remedy: 'Check that the key is one of this app, and was not deleted in its settings.' };
  if (status === 403 && /suspended/i.test(words)) {
    return { remedy: `Have an owner lift the suspension of the installation ${installationId}.` };
  }
  if (status === 404)
    return { remedy: `Check the installation id, ${installationId}, and that it is one of this app.` };
  if (status === 422) {
    return { remedy: 'Install the app on this repository, with the permissions that docs/reference/trust.md names.' };
  }
  return {};
}

function fieldsOf(body: Buffer): Readonly<Record<string, unknown>> {
  try {
    const value: unknown = JSON.parse(body.toString('utf8'));
    return typeof value === 'object' && value !== null ? { ...value } : {};
  } catch {
    return {};
  }
}

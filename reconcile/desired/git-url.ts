/** Which git URLs are fetched, and with which credentials. */
import { PatchpanelError } from '../errors.ts';

/** How to prove who we are to the git host; values, read by the caller from a file or the environment. */
export type GitAuth =
  /** Sent as the password of `username`, which is `x-access-token` unless the host wants another. */
  | { readonly kind: 'token'; readonly token: string; readonly username?: string }
  | { readonly kind: 'basic'; readonly username: string; readonly password: string }
  | { readonly kind: 'bearer'; readonly token: string };

export interface GitUrl {
  /** Without user info, query, fragment and trailing slashes. */
  readonly url: string;
  readonly origin: string;
  /** User info of the URL, if any. */
  readonly auth?: GitAuth;
}

const remedies = {
  ssh: 'Give the https URL of the repository with a token (--git-token-file), or clone it with git over ssh and pass the folder.',
  git: 'Give the https URL of the repository: the git protocol neither encrypts nor authenticates.',
  file: 'Pass the folder itself, without file://.',
} as const;

/** @throws PatchpanelError source/unsupported-transport for all that is not http or https */
export function parseGitUrl(text: string): GitUrl {
  const scheme = /^([A-Za-z][A-Za-z0-9+.-]*):\/\//.exec(text)?.[1]?.toLowerCase();
  if (scheme === 'http' || scheme === 'https') return parseHttpUrl(text);
  const scpLike = /^(?:[^/@:]+@)?[^/@:]+:(?!\/\/)/.test(text);
  let remedy: string | undefined;
  if (scheme?.includes('ssh') || (scheme === undefined && scpLike)) remedy = remedies.ssh;
  else if (scheme === 'git') remedy = remedies.git;
  else if (scheme === 'file') remedy = remedies.file;
  const shown = scheme ?? (scpLike ? 'ssh' : undefined);
  throw new PatchpanelError(
    'source/unsupported-transport',
    shown === undefined ? `${JSON.stringify(text)} is not a git URL` : `git over ${shown} is not supported`,
    remedy === undefined ? {} : { remedy },
  );
}

function parseHttpUrl(text: string): GitUrl {
  let parsed: URL;
  try {
    parsed = new URL(text);
  } catch {
    // The text is not repeated: it may hold a password.
    throw new PatchpanelError('source/unsupported-transport', 'the git URL is malformed');
  }
  const { username, password } = parsed;
  const url = `${parsed.origin}${parsed.pathname.replace(/(?<!\/)\/+$/, '')}`;
  if (username === '' && password === '') return { url, origin: parsed.origin };
  const auth: GitAuth = {
    kind: 'basic',
    username: decodeUserInfo(username),
    password: decodeUserInfo(password),
  };
  return { url, origin: parsed.origin, auth };
}

function decodeUserInfo(text: string): string {
  try {
    return decodeURIComponent(text);
  } catch {
    return text;
  }
}

/** Value of the Authorization header. */
export function authorization(auth: GitAuth): string {
  switch (auth.kind) {
    case 'token':
      return basic(auth.username ?? 'x-access-token', auth.token);
    case 'basic':
      return basic(auth.username, auth.password);
    case 'bearer':
      return `Bearer ${auth.token}`;
    default:
      return auth satisfies never;
  }
}

function basic(username: string, password: string): string {
  return `Basic ${Buffer.from(`${username}:${password}`).toString('base64')}`;
}

/** Whether a URL leads to this machine, where nobody listens in. */
export function isLoopback(url: string): boolean {
  const { hostname } = new URL(url);
  return hostname === 'localhost' || hostname === '[::1]' || /^127\.\d+\.\d+\.\d+$/.test(hostname);
}

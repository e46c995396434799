/** One request to a system that is told of a run. Best effort: what fails is said, and stops nothing. */
import { oneLine } from './one-line.ts';

export interface Delivery {
  /** What it is, for the message: the URL may be a secret. */
  readonly what: string;
  readonly url: string;
  readonly method: 'POST' | 'PUT';
  readonly headers: Readonly<Record<string, string>>;
  readonly body: string;
}

const timeoutMs = 10_000;

/** Why it was not delivered; undefined where it was. Redirects are not followed: a token goes to nobody else. */
export async function deliver({ what, url, method, headers, body }: Delivery): Promise<string | undefined> {
  try {
    const response = await fetch(url, {
      method,
      headers: { 'user-agent': 'patchpanel', ...headers },
      body,
      redirect: 'manual',
      signal: AbortSignal.timeout(timeoutMs),
    });
    await response.body?.cancel();
    return response.ok ? undefined : `${what} was not taken: HTTP ${response.status}`;
  } catch (error) {
    return `${what} could not be sent: ${reasonOf(error)}`;
  }
}

/** A code rather than a message, which may hold the URL. */
function reasonOf(error: unknown): string {
  if (!(error instanceof Error)) return 'unknown failure';
  if (error.name === 'TimeoutError') return `no answer within ${timeoutMs / 1000} s`;
  const cause: unknown = error.cause;
  if (typeof cause === 'object' && cause !== null && 'code' in cause) return oneLine(String(cause.code), 100);
  return error.name;
}

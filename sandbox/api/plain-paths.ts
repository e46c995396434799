/** Paths that name neither resources nor discovery: version, health, the root. */
import { type Answer, jsonAnswer, textAnswer } from './answer.ts';

/** Version that the sandbox says it is. */
const version = {
  major: '1',
  minor: '36',
  emulationMajor: '1',
  emulationMinor: '36',
  minCompatibilityMajor: '1',
  minCompatibilityMinor: '35',
  gitVersion: 'v1.36.2',
  gitCommit: 'sandbox',
  gitTreeState: 'clean',
  buildDate: '2026-01-01T00:00:00Z',
  goVersion: 'go1.26',
  compiler: 'gc',
  platform: 'linux/amd64',
};

const paths = [
  '/api',
  '/api/v1',
  '/apis',
  '/apis/',
  '/healthz',
  '/livez',
  '/openapi/v2',
  '/openapi/v3',
  '/readyz',
  '/version',
];

/** Undefined where the path is none of them. */
export function answerPlainPath(path: string, query: URLSearchParams): Answer | undefined {
  if (path === '/') return jsonAnswer({ paths });
  if (path === '/version') return jsonAnswer(version);
  const health = /^\/(healthz|livez|readyz)(\/|$)/.exec(path)?.[1];
  if (health === undefined) return undefined;
  return textAnswer(query.has('verbose') ? `[+]ping ok\n[+]log ok\n[+]etcd ok\n${health} check passed\n` : 'ok');
}

/**
 * A kubeconfig that holds all it takes: an address, and a token or a client certificate, in the file itself. That needs no
 * client-node, which takes a third of a second and 80 MB to load. Whatever is not plainly of this kind is left to client-node,
 * faults included.
 */
import { readFileSync } from 'node:fs';
import type { AgentOptions } from 'node:https';
import { type Fields, fields } from '../systems/json-shape.ts';

export interface InlineKubeconfig {
  readonly server: string;
  readonly tls: Pick<AgentOptions, 'ca' | 'cert' | 'key' | 'servername' | 'rejectUnauthorized'>;
  readonly headers: Readonly<Record<string, string>>;
}

const known = {
  cluster: ['server', 'certificate-authority-data', 'insecure-skip-tls-verify', 'tls-server-name', 'extensions'],
  context: ['cluster', 'user', 'namespace', 'extensions'],
  user: ['token', 'client-certificate-data', 'client-key-data'],
} as const;

/** Undefined where the file or what the context chooses is of another kind. */
export async function readInlineKubeconfig(
  file: string,
  context: string | undefined,
): Promise<InlineKubeconfig | undefined> {
  const { parse } = await import('yaml');
  let config: Fields;
  try {
    config = fields(parse(readFileSync(file, 'utf8')));
  } catch {
    return undefined;
  }
  const place = entryOf(config.contexts, 'context', context ?? config['current-context']);
  const cluster = entryOf(config.clusters, 'cluster', place?.cluster);
  const user = entryOf(config.users, 'user', place?.user);
  if (cluster === undefined || user === undefined) return undefined;
  const { server, 'insecure-skip-tls-verify': skip } = cluster;
  if (typeof server !== 'string' || (skip !== undefined && typeof skip !== 'boolean')) return undefined;
  const given = [
    ...[cluster['certificate-authority-data'], cluster['tls-server-name']],
    ...[user.token, user['client-certificate-data'], user['client-key-data']],
  ];
  if (given.some((value) => value !== undefined && (typeof value !== 'string' || value === ''))) return undefined;
  const [ca, servername, token, cert, key] = given as readonly (string | undefined)[];
  return {
    server: server.replace(/\/$/, ''),
    tls: {
      ...(ca !== undefined && { ca: Buffer.from(ca, 'base64') }),
      ...(cert !== undefined && { cert: Buffer.from(cert, 'base64') }),
      ...(key !== undefined && { key: Buffer.from(key, 'base64') }),
      ...(servername !== undefined && { servername }),
      ...(skip === true && { rejectUnauthorized: false }),
    },
    headers: token === undefined ? {} : { Authorization: `Bearer ${token.trim()}` },
  };
}

/** The entry of this name, where every entry of the list is well formed and this one has no key that is not known here. */
function entryOf(list: unknown, kind: keyof typeof known, name: unknown): Fields | undefined {
  if (!Array.isArray(list) || typeof name !== 'string' || name === '') return undefined;
  const entries = list.map(fields);
  const isWhole = ({ name: own, [kind]: value }: Fields): boolean => typeof own === 'string' && isObject(value);
  if (!entries.every(isWhole)) return undefined;
  const found = fields(entries.find((entry) => entry.name === name)?.[kind]);
  const keys: readonly string[] = known[kind];
  return Object.keys(found).length > 0 && Object.keys(found).every((key) => keys.includes(key)) ? found : undefined;
}

function isObject(value: unknown): boolean {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

/** The list of SSH keys that may sign, in the format of `ssh-keygen -Y` (ALLOWED SIGNERS in its manual). */
import { parseSshKey, type SshKey } from './ssh-key.ts';

export interface AllowedSigner {
  /** As they stand in the file: e-mail addresses, mostly. They name the signer and are compared with nothing. */
  readonly principals: string;
  readonly key: SshKey;
  /** Signatures made from here on, and up to here, count. */
  readonly validAfter?: Date;
  readonly validBefore?: Date;
  /** The line allows signatures of git. */
  readonly forGit: boolean;
}

/** One word, of which parts may be quoted. */
const word = /(?:[^\s"]|"(?:[^"\\]|\\.)*")+/y;

/** @throws Error whose message names the line and what is wrong with it: a list that is not understood allows nobody */
export function parseAllowedSigners(text: string): readonly AllowedSigner[] {
  const signers = text.split('\n').flatMap((line, index) => {
    const trimmed = line.trim();
    if (trimmed === '' || trimmed.startsWith('#')) return [];
    try {
      return [parseLine(trimmed)];
    } catch (error) {
      throw new Error(`line ${index + 1}: ${error instanceof Error ? error.message : String(error)}`);
    }
  });
  if (signers.length === 0) throw new Error('it names no signer');
  return signers;
}

function parseLine(line: string): AllowedSigner {
  const [principals = '', ...rest] = words(line);
  const keyAt = rest[0] !== undefined && isKeyType(rest[0]) ? 0 : 1;
  const [type, base64] = rest.slice(keyAt);
  if (type === undefined || !isKeyType(type) || base64 === undefined || !/^[A-Za-z0-9+/]+={0,2}$/.test(base64)) {
    throw new Error('it must be: principals, options if any, the type of the key, the key');
  }
  const key = parseSshKey(Buffer.from(base64, 'base64'));
  if (key.type !== type) throw new Error(`the key is of type ${key.type}, not ${type}`);
  return { principals: unquoted(principals), key, ...(keyAt === 0 ? { forGit: true } : options(rest[0] ?? '')) };
}

function words(line: string): readonly string[] {
  const found: string[] = [];
  for (let at = 0; at < line.length; ) {
    word.lastIndex = at;
    const [text] = word.exec(line) ?? [];
    if (text === undefined) throw new Error('a quotation mark is not closed');
    found.push(text);
    at += text.length;
    while (/\s/.test(line[at] ?? '')) at += 1;
  }
  return found;
}

function isKeyType(text: string): boolean {
  return /^(?:ssh-|ecdsa-|sk-)[a-z0-9@.-]+$/.test(text);
}

function unquoted(text: string): string {
  return text.replace(/"((?:[^"\\]|\\.)*)"/g, (_, inner: string) => inner.replace(/\\(.)/g, '$1'));
}

function options(text: string): Omit<AllowedSigner, 'principals' | 'key'> {
  let result: Omit<AllowedSigner, 'principals' | 'key'> = { forGit: true };
  const seen = new Set<string>();
  for (const option of text.match(/(?:[^,"]|"(?:[^"\\]|\\.)*")+/g) ?? []) {
    const at = option.indexOf('=');
    const name = (at < 0 ? option : option.slice(0, at)).toLowerCase();
    const value = at < 0 ? undefined : unquoted(option.slice(at + 1));
    if (name === 'cert-authority')
      throw new Error('certificate authorities are not supported; list the keys themselves');
    if (value === undefined) throw new Error(`the option ${JSON.stringify(name)} is unknown`);
    if (seen.has(name)) throw new Error(`the option ${JSON.stringify(name)} is there twice`);
    seen.add(name);
    if (name === 'namespaces') result = { ...result, forGit: matchesList('git', value) };
    else if (name === 'valid-after') result = { ...result, validAfter: time(value) };
    else if (name === 'valid-before') result = { ...result, validBefore: time(value) };
    else throw new Error(`the option ${JSON.stringify(name)} is unknown`);
  }
  return result;
}

/** `YYYYMMDD`, `YYYYMMDDHHMM` or `YYYYMMDDHHMMSS`, in the time zone of the machine unless a Z follows. */
function time(text: string): Date {
  const [whole, ...parts] = /^(\d{4})(\d\d)(\d\d)(?:(\d\d)(\d\d)(\d\d)?)?Z?$/i.exec(text) ?? [];
  const [year = 0, month = 0, day = 0, hour = 0, minute = 0, second = 0] = parts.map((part) => Number(part ?? 0));
  const fits = month >= 1 && month <= 12 && day >= 1 && day <= 31 && hour < 24 && minute < 60 && second < 60;
  if (whole === undefined || !fits)
    throw new Error(`${JSON.stringify(text)} is no time, such as 20261231 or 202612312359Z`);
  return /Z$/i.test(text)
    ? new Date(Date.UTC(year, month - 1, day, hour, minute, second))
    : new Date(year, month - 1, day, hour, minute, second);
}

/** Patterns as OpenSSH has them: `*`, `?`, and `!` in front of one that must not match. */
function matchesList(text: string, list: string): boolean {
  let found = false;
  for (const pattern of list.split(',').map((each) => each.trim())) {
    const negated = pattern.startsWith('!');
    const source = (negated ? pattern.slice(1) : pattern).replace(/[.+^${}()|[\]\\]/g, '\\$&');
    if (!new RegExp(`^${source.replace(/\*/g, '.*').replace(/\?/g, '.')}$`).test(text)) continue;
    if (negated) return false;
    found = true;
  }
  return found;
}

/** Which repositories the owner of the platform lets declare anything, who must sign there, and for which namespaces. */
import { PatchpanelError, type Position } from '../errors.ts';
import type { ObjectName } from '../vocabulary.ts';
import { parseGitUrl } from './git-url.ts';
import type { DesiredPods, DesiredTarget, SourceIdentity } from './model.ts';
import type { SignatureDemand, SignatureMode } from './signatures.ts';

/** What the policy says of one repository, or of all below a path where the URL ends in `/*`. */
export interface RepositoryRule {
  readonly url: string;
  /** Of VMs and pods. A name that ends in `*` stands for all that begin so. */
  readonly namespaces: readonly string[];
  /** Of networks, beside those. */
  readonly networkNamespaces?: readonly string[];
  readonly verify?: {
    readonly mode: SignatureMode;
    readonly allowedSigners?: string;
    readonly openpgpKeys?: string;
  };
}

export interface RepositoryRules {
  /** Where they stand, for messages: `ConfigMap infra/policy, policy.yaml`. */
  readonly from: string;
  readonly rules: readonly RepositoryRule[];
}

type Source =
  | { readonly kind: 'folder' | 'checkout'; readonly path: string }
  | { readonly kind: 'git'; readonly url: string };

/** A source, and what the policy says of it. */
export interface Admission {
  readonly rule: RepositoryRule;
  readonly from: string;
  readonly signatures: readonly SignatureDemand[];
}

/**
 * The rule for a source; of several, the one that names it most closely. Many hosts mind no case in a path, so a rule that
 * fits but for its case is none, and lets no wider one in its place.
 * @throws PatchpanelError `trust/repository` where there is none
 */
export function admit(source: Source, { from, rules }: RepositoryRules): Admission {
  if (source.kind !== 'git') {
    const message = `${source.path} is a folder, and only the repositories in ${from} are allowed`;
    throw new PatchpanelError('trust/repository', message, { remedy: 'Give the http(s) URL of the repository.' });
  }
  const url = repositoryUrl(source.url);
  const folded = repositoryUrl(source.url.toLowerCase());
  const alike = rules.filter((each) => matches(folded, each.url.toLowerCase()));
  const closest = Math.max(...alike.map((each) => closeness(each.url)));
  const close = alike.filter((each) => closeness(each.url) === closest);
  const rule = close.find((each) => matches(url, each.url));
  if (rule === undefined) {
    const but = close[0] === undefined ? '' : `, but for the case of ${close[0].url}`;
    throw new PatchpanelError('trust/repository', `${url} is not among the repositories in ${from}${but}`);
  }
  const signatures = rule.verify === undefined ? [] : [{ ...rule.verify, by: `the policy (${from})` }];
  return { rule, from, signatures };
}

/**
 * A saved plan says itself which repository and commit it is of, and anybody can write a file: where the owner says which
 * repositories count, it does not.
 * @throws PatchpanelError `trust/unverifiable`
 */
export function refuseUnvouched(
  { source }: { readonly source: SourceIdentity },
  rules: RepositoryRules | undefined,
): void {
  if (rules === undefined) return;
  const what = source.kind === 'git' ? `${source.url} with --ref ${source.commit}` : 'the repository itself';
  const message = `a saved plan proves nothing of where it is from, and only the repositories in ${rules.from} are allowed`;
  throw new PatchpanelError('trust/unverifiable', message, { remedy: `Apply ${what}.` });
}

/** One spelling of each URL: host in lower case, no default port, user info, query, `.git` or slash at its end. */
export function repositoryUrl(url: string): string {
  return parseGitUrl(url).url.replace(/\/*(?:\.git)?$/, '');
}

function matches(url: string, pattern: string): boolean {
  if (!pattern.endsWith('/*')) return url === repositoryUrl(pattern);
  const base = `${repositoryUrl(pattern.slice(0, -2))}/`;
  // What a server makes of an escape, or of a backslash, is its own affair: it may lead out of the path again.
  return url.startsWith(base) && url.length > base.length && !/[%\\]|\/\//.test(url.slice(base.length - 1));
}

/** A repository by name is closer than all below a path, and a longer path closer than a shorter one. */
function closeness(pattern: string): number {
  return pattern.endsWith('/*') ? pattern.length : Number.MAX_SAFE_INTEGER;
}

/** Whether a list of namespaces, of which some may end in `*`, has this one. */
export function isWithin(namespace: string, patterns: readonly string[]): boolean {
  return patterns.some((each) => (each.endsWith('*') ? namespace.startsWith(each.slice(0, -1)) : namespace === each));
}

interface Declared {
  readonly targets: readonly DesiredTarget[];
  readonly pods?: readonly DesiredPods[];
}

/** One fault for each object, and each network, outside of the namespaces of the repository. */
export function outsiders({ targets, pods = [] }: Declared, { rule, from }: Admission): readonly PatchpanelError[] {
  const networkNamespaces = [...rule.namespaces, ...(rule.networkNamespaces ?? [])];
  const faults: PatchpanelError[] = [];
  const check = (what: string, namespace: string, allowed: readonly string[], position: Position): void => {
    if (isWithin(namespace, allowed)) return;
    const message = `${what} is in the namespace ${namespace}, which is not among those of this repository: ${allowed.join(', ')}`;
    faults.push(
      new PatchpanelError('trust/namespace', message, {
        position,
        remedy: `Declare it in the repository that has that namespace; or have the owner of the platform add it in ${from}.`,
      }),
    );
  };
  const networks = (attachments: readonly { readonly network: ObjectName; readonly position: Position }[]): void => {
    for (const { network, position } of attachments) {
      check(`the network ${network.name}`, network.namespace, networkNamespaces, position);
    }
  };
  for (const { target, position, attachments } of targets) {
    check(`the VM ${target.name}`, target.namespace, rule.namespaces, position);
    networks(attachments);
  }
  for (const { name, query, position, attachments } of pods) {
    check(`the pod ${name}`, query.namespace, rule.namespaces, position);
    networks(attachments);
  }
  return faults;
}

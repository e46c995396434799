/** Rules that no single object can break: one object a VM or pod, one MAC once in the fleet, names that stay apart in the pod. */
import type { PatchpanelError, Position } from '../errors.ts';
import { networkHash } from '../systems/kubevirt-names.ts';
import { normaliseMac } from '../systems/mac.ts';
import { compareText, objectKey } from '../vocabulary.ts';
import { type CheckedDocument, documentError } from './check-document.ts';
import {
  type DesiredAttachment,
  type DesiredPods,
  type DesiredTarget,
  defaultSettings,
  podQueryKey,
  type Settings,
} from './model.ts';
import { foreignKeys, podsOf } from './pod-target.ts';
import { settingsOf } from './settings.ts';
import type { SourceDocument, ValuePath } from './yaml-documents.ts';

export interface CheckedState {
  readonly settings: Settings;
  readonly targets: readonly DesiredTarget[];
  readonly pods?: readonly DesiredPods[];
}

type MacOwners = Map<string, { readonly position: Position; readonly owner: string }>;

/**
 * Gathers documents one by one, so that none need be kept: a parsed document takes many times the memory of its text.
 * Faults are added to the `errors` that it was made with.
 */
export class Combination {
  readonly #directory: string;
  readonly #defaultNamespace: string;
  readonly #errors: PatchpanelError[];
  readonly #hashOf: (attachmentName: string) => string;
  readonly #targets = new Map<string, { readonly target: DesiredTarget; readonly position: Position }>();
  readonly #pods = new Map<string, { readonly pods: DesiredPods; readonly position: Position }>();
  readonly #macs: MacOwners = new Map();
  #settings: { readonly value: Settings; readonly position: Position } | undefined;

  /**
   * @param directory of the desired state, where Settings must be
   * @param hashOf the hash in a pod interface name; given only by tests, since no two short names are known to share one
   */
  constructor(
    directory: string,
    defaultNamespace: string,
    errors: PatchpanelError[],
    hashOf: (attachmentName: string) => string = networkHash,
  ) {
    this.#directory = directory;
    this.#defaultNamespace = defaultNamespace;
    this.#errors = errors;
    this.#hashOf = hashOf;
  }

  /** Targets sorted by namespace and name, with defaults filled in. */
  state(): CheckedState {
    const pods = [...this.#pods].map(([key, { pods: declared }]) => ({ key, declared }));
    return {
      settings: this.#settings?.value ?? defaultSettings,
      targets: [...this.#targets.values()].map(({ target }) => target).sort(byNamespaceAndName),
      ...(pods.length === 0
        ? {}
        : { pods: pods.sort((a, b) => compareText(a.key, b.key)).map(({ declared }) => declared) }),
    };
  }

  add(document: CheckedDocument): void {
    const { source } = document;
    const errors = this.#errors;
    if (document.kind === 'Settings') {
      const position = source.locate([], 'value');
      const fault = settingsFault(source, this.#directory, this.#settings?.position);
      if (fault !== undefined) errors.push(fault);
      else this.#settings = { value: settingsOf(document.object.spec), position };
      return;
    }
    const { metadata, spec } = document.object;
    const namespace = metadata.namespace ?? this.#defaultNamespace;
    const faults = foreignKeys(source, spec);
    if (faults.length > 0) {
      errors.push(...faults);
      return;
    }
    if (spec.target?.kind === 'Pod') {
      this.#addPods(source, podsOf(source, spec, { namespace, name: metadata.name }, errors));
      return;
    }
    const name = spec.target?.name ?? metadata.name;
    const key = objectKey({ namespace, name });
    const path: ValuePath = spec.target?.name === undefined ? ['metadata', 'name'] : ['spec', 'target', 'name'];
    const other = this.#targets.get(key);
    if (other !== undefined) {
      const message = `the VM ${key} is declared twice; it is also declared at ${place(other.position)}`;
      errors.push(documentError(source, 'desired/duplicate-target', path, message));
      return;
    }
    const attachments = spec.attachments.map((attachment, index): DesiredAttachment => {
      const [first, second] = attachment.network.split('/');
      const network =
        second === undefined ? { namespace, name: attachment.network } : { namespace: first ?? '', name: second };
      return {
        name: attachment.name,
        network,
        ...(attachment.mac === undefined ? {} : { mac: normaliseMac(attachment.mac) }),
        binding: attachment.binding,
        ...(attachment.model === undefined ? {} : { model: attachment.model }),
        state: attachment.state,
        position: source.locate(['spec', 'attachments', index], 'value'),
      };
    });
    checkNames(source, key, attachments, this.#hashOf, errors);
    checkMacs(source, key, attachments, this.#macs, errors);
    const target: DesiredTarget = {
      target: { kind: 'VirtualMachine', namespace, name },
      ...(spec.pciePorts === undefined ? {} : { pciePorts: spec.pciePorts }),
      ...(spec.restart === 'allowed' ? { mayRestart: true } : {}),
      ...(spec.suspend === true ? { suspended: true } : {}),
      attachments,
      position: source.locate([], 'value'),
    };
    this.#targets.set(key, { target, position: source.locate(path, 'value') });
  }

  #addPods(source: SourceDocument, pods: DesiredPods): void {
    const key = podQueryKey(pods.query);
    const what = 'name' in pods.query ? 'pod' : 'pods';
    const position = source.locate(['spec', 'target'], 'value');
    const other = this.#pods.get(key);
    if (other !== undefined) {
      const message = `the ${what} ${key} ${what === 'pod' ? 'is' : 'are'} declared twice, also at ${place(other.position)}`;
      this.#errors.push(documentError(source, 'desired/duplicate-target', ['spec', 'target'], message));
      return;
    }
    checkNames(source, key, pods.attachments, this.#hashOf, this.#errors);
    checkMacs(source, `${what} ${key}`, pods.attachments, this.#macs, this.#errors);
    this.#pods.set(key, { pods, position });
  }
}

function settingsFault(source: SourceDocument, directory: string, first?: Position): PatchpanelError | undefined {
  const code = 'desired/duplicate-settings';
  const folder = source.file.includes('/') ? source.file.slice(0, source.file.lastIndexOf('/')) : '';
  if (folder !== directory) {
    return documentError(source, code, ['kind'], 'Settings must be in a file at the root of the desired state');
  }
  if (first === undefined) return undefined;
  return documentError(
    source,
    code,
    ['kind'],
    `there is more than one Settings object; the first is at ${place(first)}`,
  );
}

function checkNames(
  source: SourceDocument,
  vm: string,
  attachments: readonly Pick<DesiredAttachment, 'name'>[],
  hashOf: (attachmentName: string) => string,
  errors: PatchpanelError[],
): void {
  const names = new Map<string, Position>();
  const hashes = new Map<string, string>();
  for (const [index, { name }] of attachments.entries()) {
    const path = ['spec', 'attachments', index, 'name'];
    const position = source.locate(path, 'value');
    const first = names.get(name);
    if (first !== undefined) {
      const message = `two attachments of ${vm} have the name "${name}"; the first is at ${place(first)}`;
      errors.push(documentError(source, 'desired/duplicate-name', path, message));
      continue;
    }
    names.set(name, position);
    const hash = hashOf(name);
    const collides = hashes.get(hash);
    if (collides === undefined) hashes.set(hash, name);
    else {
      const message = `the names "${collides}" and "${name}" of ${vm} lead to one pod interface, pod${hash}`;
      errors.push(documentError(source, 'desired/name-collision', path, message));
    }
  }
}

function checkMacs(
  source: SourceDocument,
  vm: string,
  attachments: readonly Pick<DesiredAttachment, 'name' | 'mac'>[],
  macs: MacOwners,
  errors: PatchpanelError[],
): void {
  for (const [index, { name, mac }] of attachments.entries()) {
    if (mac === undefined) continue;
    const path = ['spec', 'attachments', index, 'mac'];
    const first = macs.get(mac);
    if (first === undefined) macs.set(mac, { position: source.locate(path, 'value'), owner: `"${name}" of ${vm}` });
    else {
      const message = `the MAC ${mac} is already that of ${first.owner}, at ${place(first.position)}`;
      errors.push(documentError(source, 'desired/duplicate-mac', path, message));
    }
  }
}

function byNamespaceAndName(a: DesiredTarget, b: DesiredTarget): number {
  return compareText(a.target.namespace, b.target.namespace) || compareText(a.target.name, b.target.name);
}

function place({ file, line, column }: Position): string {
  return `${file}:${line}:${column}`;
}

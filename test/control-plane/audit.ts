/** The audit log of kube-apiserver, as far as tests ask for it. */
import { readFileSync } from 'node:fs';
import type { AuditEntry } from '../../sandbox/api/contract.ts';

/** An Event of audit.k8s.io/v1, as far as it is read. */
interface AuditEvent {
  readonly auditID: string;
  readonly stage: string;
  readonly requestURI: string;
  readonly verb: string;
  readonly user: { readonly username: string };
  readonly objectRef?: {
    readonly apiGroup?: string;
    readonly resource?: string;
    readonly subresource?: string;
  };
  readonly responseStatus?: { readonly code?: number };
}

const methods: Readonly<Record<string, string>> = {
  get: 'GET',
  list: 'GET',
  watch: 'GET',
  create: 'POST',
  update: 'PUT',
  patch: 'PATCH',
  delete: 'DELETE',
  deletecollection: 'DELETE',
};

/** Reads on where it stopped: what a client has been answered is in the file. */
export class AuditLog {
  readonly #file: string;
  readonly #told = new Set<string>();
  #offset = 0;

  constructor(file: string) {
    this.#file = file;
  }

  /** Requests since the last call; each is told once, those that last when they begin. */
  take(): readonly AuditEntry[] {
    const bytes = readFileSync(this.#file);
    const end = bytes.lastIndexOf(0x0a) + 1;
    const lines = bytes.subarray(this.#offset, end).toString('utf8').split('\n');
    this.#offset = end;
    return lines.flatMap((line) => {
      if (line === '') return [];
      const event = JSON.parse(line) as AuditEvent;
      if (this.#told.has(event.auditID)) return [];
      this.#told.add(event.auditID);
      return [entryOf(event)];
    });
  }
}

function entryOf({ user, verb, requestURI, objectRef, responseStatus }: AuditEvent): AuditEntry {
  return {
    user: user.username,
    method: methods[verb] ?? verb.toUpperCase(),
    path: requestURI.split('?')[0] ?? '',
    verb,
    resource: objectRef?.resource ?? '',
    ...(objectRef?.subresource !== undefined && { subresource: objectRef.subresource }),
    status: responseStatus?.code ?? 0,
  };
}

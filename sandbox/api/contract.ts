/**
 * What the API server of the sandbox needs to be told, and what it offers to the rest of the sandbox. The server knows
 * Kubernetes and nothing of KubeVirt or Multus; those come in as resource definitions, admission hooks, subresources
 * and exec handlers.
 */
import type { KubeObject } from '../../reconcile/kube/cluster.ts';
import type { ServerCertificate } from './certificate.ts';

export interface PrinterColumn {
  readonly name: string;
  readonly type: 'string' | 'integer' | 'boolean' | 'date';
  readonly jsonPath: string;
  readonly description?: string;
  readonly priority?: number;
}

export interface ResourceDefinition {
  readonly group: string;
  /** Served versions, preferred first. Objects are stored once and served under each. */
  readonly versions: readonly string[];
  readonly plural: string;
  readonly singular: string;
  readonly kind: string;
  readonly shortNames?: readonly string[];
  readonly categories?: readonly string[];
  readonly namespaced: boolean;
  /** Whether `/status` is a subresource (a VMI has none: every status write raises its generation). */
  readonly statusSubresource: boolean;
  /** Custom resources answer some requests otherwise than built-in ones. */
  readonly custom: boolean;
  readonly columns?: readonly PrinterColumn[];
  /** OpenAPI v3 schema of the object, for validation and kubectl explain. */
  readonly schema?: object;
  /** Fields that a fieldSelector may name besides metadata.name and metadata.namespace. */
  readonly selectableFields?: readonly string[];
}

export interface AdmissionRequest {
  readonly operation: 'CREATE' | 'UPDATE' | 'DELETE';
  readonly resource: ResourceDefinition;
  readonly subresource?: string;
  readonly namespace?: string;
  readonly name: string;
  readonly object?: KubeObject;
  readonly oldObject?: KubeObject;
  /** Authenticated user, such as `system:serviceaccount:kubevirt:kubevirt-controller`. */
  readonly user: string;
  readonly dryRun: boolean;
}

export interface StatusCause {
  readonly reason: string;
  readonly message: string;
  readonly field: string;
}

/** A refusal, as an admission webhook words it: becomes the Status of the response. */
export interface AdmissionDenial {
  readonly code: number;
  readonly reason: string;
  readonly message: string;
  /** Parts that are missing are left out of the answer: a mutating webhook tells messages alone. */
  readonly causes?: readonly Partial<StatusCause>[];
}

export interface AdmissionHook {
  readonly group: string;
  readonly plural: string;
  /** What the mutating webhook refuses: asked before `mutate`, and so before the schema. */
  readonly refuse?: (request: AdmissionRequest) => AdmissionDenial | undefined;
  /** Returns the object to store. */
  readonly mutate?: (request: AdmissionRequest) => KubeObject;
  /** Returns a denial, or undefined. */
  readonly validate?: (request: AdmissionRequest) => AdmissionDenial | undefined;
}

/** An aggregated subresource, such as PUT subresources.kubevirt.io/v1/.../virtualmachines/NAME/restart. */
export interface SubresourceHandler {
  readonly group: string;
  readonly version: string;
  readonly plural: string;
  readonly subresource: string;
  readonly handle: (request: {
    readonly method: string;
    readonly namespace: string;
    readonly name: string;
    readonly body: unknown;
    readonly accept: string;
    readonly user: string;
  }) => Promise<{ readonly status: number; readonly body?: unknown }>;
}

/** Runs a command in a container of a pod; undefined where it knows no such container. */
export type ExecHandler = (request: {
  readonly namespace: string;
  readonly pod: KubeObject;
  readonly container: string;
  readonly command: readonly string[];
  readonly stdin: AsyncIterable<Uint8Array>;
}) => Promise<{ readonly exitCode: number; readonly stdout: string; readonly stderr: string } | undefined>;

export interface ApiServerOptions {
  readonly port: number;
  /** Speaks https with it; kubectl sends a token only then. */
  readonly tls?: ServerCertificate;
  readonly resources: readonly ResourceDefinition[];
  readonly admission: readonly AdmissionHook[];
  readonly subresources: readonly SubresourceHandler[];
  readonly exec: ExecHandler;
  /** Bearer token -> user. A token outside the map is 401; no token is system:anonymous, which may do nothing. */
  readonly tokens: ReadonlyMap<string, { readonly user: string; readonly groups: readonly string[] }>;
  /** Decides on a request; the default allows all to members of system:masters. */
  readonly authorize?: (request: {
    readonly user: string;
    readonly groups: readonly string[];
    readonly verb: string;
    readonly group: string;
    readonly resource: string;
    readonly subresource?: string;
    readonly namespace?: string;
    readonly name?: string;
  }) => boolean;
  /** Called after each request: method, path, status; for audits in tests. */
  readonly onRequest?: (entry: AuditEntry) => void;
  readonly faults?: ApiFaults;
}

/** What the server gets wrong on purpose, so that clients show how they bear it. */
interface ApiFaults {
  /** Share (0..1) of requests answered 429 with Retry-After or 503, before they are looked at. */
  readonly errorShare?: number;
  /** Watches end without warning after so many milliseconds. */
  readonly watchCutMilliseconds?: number;
}

export interface AuditEntry {
  readonly user: string;
  readonly method: string;
  readonly path: string;
  readonly verb: string;
  readonly resource: string;
  readonly subresource?: string;
  readonly status: number;
}

export interface ApiServer {
  /** `https://127.0.0.1:PORT`, or `http` without a certificate. */
  readonly url: string;
  readonly store: Store;
  close(): Promise<void>;
}

/** Direct access to what is stored, without HTTP, for seeding thousands of objects. */
export interface Store {
  /** Stores an object as given: no admission, defaults only uid, resourceVersion and creationTimestamp. */
  seed(group: string, plural: string, object: KubeObject): KubeObject;
  get(group: string, plural: string, namespace: string | undefined, name: string): KubeObject | undefined;
  list(group: string, plural: string, namespace?: string): readonly KubeObject[];
}

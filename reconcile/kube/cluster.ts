/**
 * The one door to a Kubernetes API: everything that reads or writes a cluster, the sandbox's actors included, goes
 * through this interface. `connect.ts` beside it is the implementation.
 */
import type { Json } from '../vocabulary.ts';

/** A served resource, such as `kubevirt.io/v1 virtualmachines`; `group` is empty for the core group. */
export interface Resource {
  readonly group: string;
  readonly version: string;
  readonly plural: string;
  readonly kind: string;
}

interface ObjectMeta {
  readonly name: string;
  readonly namespace?: string;
  readonly uid?: string;
  readonly resourceVersion?: string;
  readonly generation?: number;
  readonly creationTimestamp?: string;
  readonly deletionTimestamp?: string;
  readonly labels?: Readonly<Record<string, string>>;
  readonly annotations?: Readonly<Record<string, string>>;
  readonly ownerReferences?: readonly {
    readonly apiVersion: string;
    readonly kind: string;
    readonly name: string;
    readonly uid: string;
    readonly controller?: boolean;
  }[];
  readonly finalizers?: readonly string[];
  readonly managedFields?: readonly Json[];
  readonly generateName?: string;
}

/** An API object as it came over the wire; readers narrow `spec` and `status` themselves. */
export interface KubeObject {
  readonly apiVersion?: string;
  readonly kind?: string;
  readonly metadata: ObjectMeta;
  readonly [field: string]: unknown;
}

export interface Selection {
  /** All namespaces where it is missing. */
  readonly namespace?: string;
  readonly labelSelector?: string;
  readonly fieldSelector?: string;
}

export interface WatchEvent {
  readonly type: 'ADDED' | 'MODIFIED' | 'DELETED' | 'BOOKMARK';
  readonly object: KubeObject;
}

/** One step of an RFC 6902 patch. */
export type PatchOperation =
  | { readonly op: 'add' | 'replace' | 'test'; readonly path: string; readonly value: Json }
  | { readonly op: 'remove'; readonly path: string };

export interface WriteOptions {
  readonly dryRun?: boolean;
  /** `status`, or a KubeVirt subresource. */
  readonly subresource?: string;
}

export interface ExecTarget {
  readonly namespace: string;
  readonly pod: string;
  readonly container: string;
}

export interface ExecOptions {
  readonly timeoutMs?: number;
  /**
   * For the command's standard input. Only API servers from Kubernetes 1.30 on can close it afterwards, so the command has
   * to know by itself when it has read enough.
   */
  readonly stdin?: string;
}

export interface ExecResult {
  readonly stdout: string;
  readonly stderr: string;
  readonly exitCode: number;
}

export interface ListOptions {
  /** Asks for PartialObjectMetadata. */
  readonly metadataOnly?: boolean;
  /**
   * Asks for a Table, as kubectl does: of each object its metadata and the cells that the server prints. A server that has no
   * table of the resource answers with the objects.
   */
  readonly rows?: boolean;
  readonly signal?: AbortSignal;
}

/** The cell of a row by the name of its column; undefined where the table has no such column. */
export type Cells = (column: string) => unknown;

/** What is kept of an object. With `rows`, the object has its metadata alone where there are cells. */
export type Projection<T> = (object: KubeObject, cells: Cells | undefined) => T | undefined;

/**
 * Errors thrown by every call: `PatchpanelError` with a `cluster/*` code, whose `cause` is an {@link ApiFailure} where
 * the server answered (`failures.ts` reads it). Calls are retried on 429 (Retry-After), 5xx and resets within the
 * client's limits; writes only where the server can not have acted on them, or where acting twice is harmless: see
 * `connect.ts`. So a conflict or a failed `test` may be the echo of a write that succeeded: read anew before judging.
 */
export interface Cluster {
  /** Address of the API server, for messages and plans. */
  readonly server: string;
  /** Requests sent so far, by verb: for reports and benchmarks. */
  readonly requests: Readonly<Record<string, number>>;
  /** Milliseconds since the epoch by the server's clock, as its last answer told it: to judge times that it wrote. */
  serverNow(): number;
  /**
   * Reads all pages (limit, continue; an expired token restarts the list). `project` keeps what is needed of an object, page
   * by page; returning undefined drops it.
   */
  list<T>(
    resource: Resource,
    selection: Selection,
    project: Projection<T>,
    options?: ListOptions,
  ): Promise<{ readonly items: T[]; readonly resourceVersion: string }>;
  /** Undefined where there is no such object. */
  get(resource: Resource, namespace: string | undefined, name: string): Promise<KubeObject | undefined>;
  /**
   * One watch request from `resourceVersion`; ends when the server ends it or `signal` aborts. Throws `cluster/api`
   * with an {@link ApiFailure} of status 410 where the version is too old: list again and start over.
   */
  watch(
    resource: Resource,
    selection: Selection & { readonly resourceVersion: string },
    signal: AbortSignal,
  ): AsyncIterable<WatchEvent>;
  create(resource: Resource, object: KubeObject, options?: WriteOptions): Promise<KubeObject>;
  /** PUT; carries `metadata.resourceVersion`, so a stale object is refused with 409. */
  update(resource: Resource, object: KubeObject, options?: WriteOptions): Promise<KubeObject>;
  jsonPatch(
    resource: Resource,
    namespace: string | undefined,
    name: string,
    patch: readonly PatchOperation[],
    options?: WriteOptions,
  ): Promise<KubeObject>;
  mergePatch(
    resource: Resource,
    namespace: string | undefined,
    name: string,
    patch: Json,
    options?: WriteOptions,
  ): Promise<KubeObject>;
  /** `gracePeriodSeconds` 0 is how a kubelet says that the containers of a pod have ended. */
  delete(
    resource: Resource,
    namespace: string | undefined,
    name: string,
    options?: { readonly gracePeriodSeconds?: number },
  ): Promise<void>;
  /** GET of a path that is no object: `/version`, `/openapi/v3`, discovery. */
  raw(path: string): Promise<unknown>;
  /** Runs an argument array in a container, without a shell; throws `cluster/exec` where it can't be started. */
  exec(target: ExecTarget, command: readonly string[], options?: ExecOptions): Promise<ExecResult>;
  /** Ends kept-alive connections and watches. */
  close(): Promise<void>;
}

/** A Status that the API server answered; `cause` of the error thrown. */
export interface ApiFailure {
  readonly status: number;
  readonly reason: string;
  readonly message: string;
  readonly retryAfterSeconds?: number;
}

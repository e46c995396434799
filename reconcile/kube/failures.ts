/** How an answer of the API server, or the lack of one, becomes a PatchpanelError. */
import { PatchpanelError } from '../errors.ts';
import type { ApiFailure } from './cluster.ts';

/** What a request wanted, for messages and counters. */
export interface Intent {
  /** The verb as RBAC spells it: get, list, watch, create, update, patch, delete. */
  readonly verb: string;
  /** Plural and subresource as RBAC spells them, such as `pods/exec`; the path itself where it is no resource. */
  readonly resource: string;
  readonly group: string;
  readonly namespace?: string | undefined;
  readonly name?: string | undefined;
}

const maxMessage = 2000;

/** The Status that the server answered, where the error carries one. */
export function apiFailure(error: unknown): ApiFailure | undefined {
  if (!(error instanceof PatchpanelError)) return undefined;
  const cause: unknown = error.cause;
  if (typeof cause !== 'object' || cause === null || !('status' in cause) || !('reason' in cause)) return undefined;
  return cause as ApiFailure;
}

/** Whether the error is an answer with this HTTP status. */
export function isStatus(error: unknown, status: number): boolean {
  return apiFailure(error)?.status === status;
}

/** Whether nobody answered, or a server that could not do its work: for a write, that may have happened all the same. */
export function isLost(error: unknown): boolean {
  if (!(error instanceof PatchpanelError)) return false;
  return error.code === 'cluster/unreachable' || (apiFailure(error)?.status ?? 0) >= 500;
}

/**
 * Reads a Status, or whatever else came with an error status: a proxy answers in HTML, an unknown path of a custom
 * group in plain text.
 */
export function readFailure(status: number, body: string, retryAfter: string | undefined): ApiFailure {
  const parsed = parseStatus(body);
  const seconds = retryAfterSeconds(retryAfter) ?? parsed?.retryAfterSeconds;
  return {
    status,
    reason: parsed?.reason || reasonOf(status),
    message: (parsed?.message || oneLine(body) || reasonOf(status)).slice(0, maxMessage),
    ...(seconds === undefined ? {} : { retryAfterSeconds: seconds }),
  };
}

/** Reads the Status of an ERROR event of a watch, whose own `code` is the status. */
export function readStatusObject(status: unknown): ApiFailure {
  const record = asRecord(status);
  const code = typeof record.code === 'number' ? record.code : 500;
  return readFailure(code, JSON.stringify(status ?? {}), undefined);
}

/** The error that a failed request throws; its `cause` is the failure. */
export function failureError(intent: Intent, failure: ApiFailure, server: string): PatchpanelError {
  const details = { cause: failure };
  switch (failure.status) {
    case 401:
      return new PatchpanelError(
        'cluster/unauthorized',
        `${server} refused the credentials: ${failure.message}`,
        details,
      );
    case 403:
      return new PatchpanelError('cluster/forbidden', forbiddenMessage(intent, failure), {
        ...details,
        remedy: `Grant the verb ${JSON.stringify(intent.verb)} on ${JSON.stringify(intent.resource)} of API group ${JSON.stringify(intent.group)}; docs/reference/rbac.md lists all that are needed.`,
      });
    case 409:
      return new PatchpanelError('cluster/conflict', `${describe(intent)}: ${failure.message}`, details);
    default:
      return new PatchpanelError(
        'cluster/api',
        `${describe(intent)}: ${failure.status} ${failure.reason}: ${failure.message}`,
        details,
      );
  }
}

/** `patch virtualmachines prod/db-0` */
export function describe(intent: Intent): string {
  const place = [intent.namespace, intent.name].filter((part) => part !== undefined).join('/');
  return [intent.verb, intent.resource, place].filter((part) => part !== '').join(' ');
}

/** Retry-After in seconds: a number, or an HTTP date, which only proxies send. */
function retryAfterSeconds(header: string | undefined): number | undefined {
  if (header === undefined || header.trim() === '') return undefined;
  const seconds = Number(header);
  if (Number.isFinite(seconds)) return Math.max(0, seconds);
  const date = Date.parse(header);
  return Number.isNaN(date) ? undefined : Math.max(0, Math.ceil((date - Date.now()) / 1000));
}

/** The first line of what failed, without the levels of wrapping that node adds. */
export function networkReason(error: unknown): string {
  if (error instanceof AggregateError && error.errors.length > 0) return networkReason(error.errors[0]);
  return error instanceof Error ? oneLine(error.message || error.name) : 'unknown failure';
}

/** The system code of a network failure, such as `ECONNRESET`. */
export function networkCode(error: unknown): string | undefined {
  if (error instanceof AggregateError && error.errors.length > 0) return networkCode(error.errors[0]);
  if (!(error instanceof Error) || !('code' in error)) return undefined;
  return typeof error.code === 'string' ? error.code : undefined;
}

function forbiddenMessage(intent: Intent, failure: ApiFailure): string {
  const scope = intent.namespace === undefined ? 'at the cluster scope' : `in namespace ${intent.namespace}`;
  const needed = `no permission to ${intent.verb} ${intent.resource} ${scope}`;
  // Exec is refused with a text that ends after "is forbidden: ": then the server says no more than we do.
  return / is forbidden: $/.test(failure.message) ? needed : `${needed}: ${failure.message}`;
}

function parseStatus(
  body: string,
): { reason: string; message: string; retryAfterSeconds: number | undefined } | undefined {
  let value: unknown;
  try {
    value = JSON.parse(body);
  } catch {
    return undefined;
  }
  const record = asRecord(value);
  if (record.kind !== 'Status') return undefined;
  const retry = asRecord(record.details).retryAfterSeconds;
  return {
    reason: typeof record.reason === 'string' ? record.reason : '',
    message: typeof record.message === 'string' ? record.message : '',
    retryAfterSeconds: typeof retry === 'number' ? retry : undefined,
  };
}

function asRecord(value: unknown): Readonly<Record<string, unknown>> {
  return typeof value === 'object' && value !== null ? (value as Record<string, unknown>) : {};
}

function oneLine(text: string): string {
  return text.replace(/\s+/g, ' ').trim().slice(0, maxMessage);
}

const reasons: Readonly<Record<number, string>> = {
  400: 'BadRequest',
  401: 'Unauthorized',
  403: 'Forbidden',
  404: 'NotFound',
  409: 'Conflict',
  410: 'Expired',
  422: 'Invalid',
  429: 'TooManyRequests',
  500: 'InternalError',
  502: 'BadGateway',
  503: 'ServiceUnavailable',
  504: 'Timeout',
};

function reasonOf(status: number): string {
  return reasons[status] ?? `HTTP ${status}`;
}

/** Refusals in the words of kube-apiserver: a `Status` object, its HTTP status and its headers. */
import type { ResourceDefinition, StatusCause } from './contract.ts';

type ResourceName = Pick<ResourceDefinition, 'group' | 'plural'>;
type KindName = Pick<ResourceDefinition, 'group' | 'kind'>;

interface StatusDetails {
  readonly name?: string;
  readonly group?: string;
  readonly kind?: string;
  readonly uid?: string;
  readonly causes?: readonly Partial<StatusCause>[];
  readonly retryAfterSeconds?: number;
}

export interface StatusBody {
  readonly kind: 'Status';
  readonly apiVersion: 'v1';
  readonly metadata: { readonly continue?: string };
  readonly status?: 'Failure' | 'Success';
  readonly message?: string;
  readonly reason?: string;
  readonly details?: StatusDetails;
  readonly code?: number;
}

interface FailureExtras {
  readonly details?: StatusDetails;
  readonly continue?: string;
  readonly headers?: Readonly<Record<string, string>>;
}

/** Thrown anywhere below the router; becomes the answer. */
export class ApiError extends Error {
  readonly code: number;
  readonly headers: Readonly<Record<string, string>>;
  readonly body: StatusBody | string;

  constructor(code: number, reason: string, message: string, extras: FailureExtras = {}) {
    super(message);
    this.code = code;
    this.headers = extras.headers ?? {};
    this.body = {
      kind: 'Status',
      apiVersion: 'v1',
      metadata: extras.continue === undefined ? {} : { continue: extras.continue },
      status: 'Failure',
      message,
      ...(reason === '' ? {} : { reason }),
      ...(extras.details === undefined ? {} : { details: extras.details }),
      code,
    };
  }
}

/** The bare text that a router answers where it knows no such path: kube-apiserver's, or an aggregated server's. */
export class PageNotFound extends Error {
  readonly text: string;

  constructor(text = '404 page not found\n') {
    super(text);
    this.text = text;
  }
}

/** A field-level error: `field: message`, as `field.Error` prints it. */
export interface FieldError {
  readonly reason: string;
  readonly field: string;
  readonly message: string;
}

export function fieldInvalid(field: string, value: unknown, detail: string): FieldError {
  return { reason: 'FieldValueInvalid', field, message: `Invalid value: ${JSON.stringify(value)}: ${detail}` };
}

export function fieldRequired(field: string, detail = ''): FieldError {
  return {
    reason: 'FieldValueRequired',
    field,
    message: detail === '' ? 'Required value' : `Required value: ${detail}`,
  };
}

export function fieldForbidden(field: string, detail: string): FieldError {
  return { reason: 'FieldValueForbidden', field, message: `Forbidden: ${detail}` };
}

export function fieldTooLong(field: string, limit: number): FieldError {
  return { reason: 'FieldValueTooLong', field, message: `Too long: may not be more than ${limit} bytes` };
}

export function fieldUnsupported(field: string, value: unknown, supported: readonly string[]): FieldError {
  const values = supported.map((item) => JSON.stringify(item)).join(', ');
  return {
    reason: 'FieldValueNotSupported',
    field,
    message: `Unsupported value: ${JSON.stringify(value)}: supported values: ${values}`,
  };
}

export function success(resource: ResourceName, name: string, uid: string): StatusBody {
  return {
    kind: 'Status',
    apiVersion: 'v1',
    metadata: {},
    status: 'Success',
    details: { ...resourceDetails(resource, name), uid },
  };
}

/** `configmaps`, or `widgets.example.dev`. */
function qualifiedResource(resource: ResourceName): string {
  return resource.group === '' ? resource.plural : `${resource.plural}.${resource.group}`;
}

function qualifiedKind(resource: KindName): string {
  return resource.group === '' ? resource.kind : `${resource.kind}.${resource.group}`;
}

function resourceDetails(resource: ResourceName, name: string): StatusDetails {
  return {
    ...(name === '' ? {} : { name }),
    ...(resource.group === '' ? {} : { group: resource.group }),
    kind: resource.plural,
  };
}

export function notFound(resource: ResourceName, name: string): ApiError {
  return new ApiError(404, 'NotFound', `${qualifiedResource(resource)} ${JSON.stringify(name)} not found`, {
    details: resourceDetails(resource, name),
  });
}

export function unknownResource(): ApiError {
  return new ApiError(404, 'NotFound', 'the server could not find the requested resource', { details: {} });
}

export function methodNotAllowed(): ApiError {
  return new ApiError(405, 'MethodNotAllowed', 'the server does not allow this method on the requested resource', {
    details: {},
  });
}

export function alreadyExists(resource: ResourceName, name: string, terminating: boolean): ApiError {
  const message = `${qualifiedResource(resource)} ${JSON.stringify(name)} already exists`;
  return new ApiError(409, 'AlreadyExists', terminating ? `object is being deleted: ${message}` : message, {
    details: resourceDetails(resource, name),
  });
}

export function conflict(resource: ResourceName, name: string, cause = staleObject): ApiError {
  return new ApiError(
    409,
    'Conflict',
    `Operation cannot be fulfilled on ${qualifiedResource(resource)} ${JSON.stringify(name)}: ${cause}`,
    { details: resourceDetails(resource, name) },
  );
}

const staleObject = 'the object has been modified; please apply your changes to the latest version and try again';

/** A failed precondition of a delete, which names the kind where other conflicts name the resource. */
export function deleteConflict(resource: KindName, name: string, cause: string): ApiError {
  return new ApiError(
    409,
    'Conflict',
    `Operation cannot be fulfilled on ${qualifiedKind(resource)} ${JSON.stringify(name)}: ${cause}`,
    {
      details: { name, ...(resource.group === '' ? {} : { group: resource.group }), kind: resource.kind },
    },
  );
}

export function badRequest(message: string): ApiError {
  return new ApiError(400, 'BadRequest', message);
}

export function serverError(message: string): ApiError {
  return new ApiError(500, '', message);
}

/** 422 with causes; equal messages are told once in the text, though each stands among the causes. */
export function invalid(kind: KindName, name: string, errors: readonly FieldError[]): ApiError {
  const messages = [...new Set(errors.map((error) => `${error.field}: ${error.message}`))];
  const told = messages.length === 1 ? messages[0] : `[${messages.join(', ')}]`;
  return new ApiError(422, 'Invalid', `${qualifiedKind(kind)} ${JSON.stringify(name)} is invalid: ${told}`, {
    details: {
      ...(name === '' ? {} : { name }),
      ...(kind.group === '' ? {} : { group: kind.group }),
      ...(kind.kind === '' ? {} : { kind: kind.kind }),
      causes: errors.map((error) => ({ reason: error.reason, message: error.message, field: error.field })),
    },
  });
}

/** Bad options of a request, such as `dryRun=true`. */
export function invalidOptions(kind: string, errors: readonly FieldError[]): ApiError {
  return invalid({ group: 'meta.k8s.io', kind }, '', errors);
}

/** The server tells nothing of why a JSON patch could not be applied: a failing test looks like a missing path. */
export function patchRejected(): ApiError {
  return new ApiError(422, 'Invalid', 'the server rejected our request due to an error in our request', {
    details: {},
  });
}

export function invalidPatchResult(patched: string, cause: string): ApiError {
  return invalid({ group: '', kind: '' }, '', [
    { reason: 'FieldValueInvalid', field: 'patch', message: `Invalid value: ${JSON.stringify(patched)}: ${cause}` },
  ]);
}

export function tooLargeResourceVersion(wanted: string, current: string): ApiError {
  return new ApiError(504, 'Timeout', `Timeout: Too large resource version: ${wanted}, current: ${current}`, {
    details: {
      causes: [{ reason: 'ResourceVersionTooLarge', message: 'Too large resource version' }],
      retryAfterSeconds: 1,
    },
    headers: { 'retry-after': '1' },
  });
}

/** A few words for writing OpenAPI v3 schemas of custom resources. */

export interface Schema {
  readonly type?: 'object' | 'array' | 'string' | 'integer' | 'boolean' | 'number';
  readonly description?: string;
  readonly properties?: Readonly<Record<string, Schema>>;
  readonly required?: readonly string[];
  readonly items?: Schema;
  readonly additionalProperties?: Schema;
  readonly maxItems?: number;
  readonly format?: string;
  readonly nullable?: boolean;
  readonly enum?: readonly string[];
  readonly default?: string;
  readonly pattern?: string;
  readonly anyOf?: readonly Schema[];
  readonly 'x-kubernetes-int-or-string'?: boolean;
  readonly 'x-kubernetes-preserve-unknown-fields'?: boolean;
  /** Rules in CEL; the sandbox does not evaluate them. */
  readonly 'x-kubernetes-validations'?: readonly { readonly rule: string; readonly message: string }[];
}

/** An object with exactly these fields; anything else is pruned. */
export function object(
  description: string,
  properties: Readonly<Record<string, Schema>>,
  required: readonly string[] = [],
): Schema {
  return { type: 'object', ...said(description), properties, ...(required.length > 0 ? { required } : {}) };
}

/** An object whose fields are not modelled here: all are kept. */
export function open(description = ''): Schema {
  return { type: 'object', ...said(description), 'x-kubernetes-preserve-unknown-fields': true };
}

/** An object that says something by being there. */
export function marker(description: string): Schema {
  return { type: 'object', description };
}

export function list(description: string, items: Schema, maxItems?: number): Schema {
  return { type: 'array', ...said(description), items, ...(maxItems === undefined ? {} : { maxItems }) };
}

export function map(description: string, values: Schema): Schema {
  return { type: 'object', ...said(description), additionalProperties: values };
}

export function string(description = ''): Schema {
  return { type: 'string', ...said(description) };
}

export function choice(description: string, ...values: readonly string[]): Schema {
  return { type: 'string', description, enum: values };
}

export function time(description = ''): Schema {
  return { type: 'string', format: 'date-time', ...said(description) };
}

export function nullableTime(description = ''): Schema {
  return { ...time(description), nullable: true };
}

export function integer(description = '', format?: 'int32' | 'int64'): Schema {
  return { type: 'integer', ...(format === undefined ? {} : { format }), ...said(description) };
}

export function boolean(description = ''): Schema {
  return { type: 'boolean', ...said(description) };
}

/** A Kubernetes quantity: `2Gi`, `500m`, or a number. */
export function quantity(description = ''): Schema {
  return {
    ...said(description),
    anyOf: [{ type: 'integer' }, { type: 'string' }],
    pattern: '^[+-]?(\\d+(\\.\\d*)?|\\.\\d+)([KMGTPE]i|[numkMGTPE]|[eE][+-]?\\d+(\\.\\d*)?)?$',
    'x-kubernetes-int-or-string': true,
  };
}

/** The root of a custom resource: kind and metadata are the server's business. */
export function root(
  description: string,
  properties: Readonly<Record<string, Schema>>,
  required: readonly string[] = [],
): Schema {
  return object(
    description,
    {
      apiVersion: string('Group and version of the schema that this object follows.'),
      kind: string('Name of the REST resource that this object represents.'),
      metadata: { type: 'object' },
      ...properties,
    },
    required,
  );
}

function said(description: string): { readonly description?: string } {
  return description === '' ? {} : { description };
}

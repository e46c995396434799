/** Tables, as kubectl asks for them: the columns of a resource and one row an object. */
import { builtinColumns, type Cell, type TableColumn } from './builtin-tables.ts';
import type { PrinterColumn, ResourceDefinition } from './contract.ts';
import { child, type JsonObject, text } from './json.ts';
import { evaluateJsonPath } from './json-path.ts';
import { badRequest } from './status.ts';
import { age } from './time.ts';

export type IncludeObject = 'Metadata' | 'Object' | 'None';

export interface Table {
  readonly kind: 'Table';
  readonly apiVersion: string;
  readonly metadata: JsonObject;
  readonly columnDefinitions: readonly object[] | null;
  readonly rows: readonly object[];
}

/** Throws 400 in the words of kube-apiserver. */
export function parseIncludeObject(value: string | null): IncludeObject {
  if (value === null || value === '' || value === 'Metadata') return 'Metadata';
  if (value === 'Object' || value === 'None') return value;
  throw badRequest(
    `Unable to convert to Table as requested: includeObject: Invalid value: ${JSON.stringify(value)}: must be 'Metadata', 'Object', 'None', or empty`,
  );
}

export function tableOf(
  resource: ResourceDefinition,
  objects: readonly JsonObject[],
  metadata: JsonObject,
  options: { readonly include: IncludeObject; readonly metaVersion: string; readonly withColumns: boolean },
): Table {
  const columns = columnsOf(resource);
  return {
    kind: 'Table',
    apiVersion: `meta.k8s.io/${options.metaVersion}`,
    metadata,
    columnDefinitions: options.withColumns ? columns.map(({ cell: _cell, ...definition }) => definition) : null,
    rows: objects.map((object) => ({
      cells: cellsOf(resource, object),
      object: rowObject(object, options.include, options.metaVersion),
    })),
  };
}

/** What the columns of a resource show of one object. */
export function cellsOf(resource: ResourceDefinition, object: JsonObject): readonly Cell[] {
  return columnsOf(resource).map((column) => column.cell(object));
}

function rowObject(object: JsonObject, include: IncludeObject, metaVersion: string): JsonObject | null {
  if (include === 'None') return null;
  return include === 'Object' ? object : partialMetadata(object, metaVersion);
}

/** PartialObjectMetadata of an object. */
export function partialMetadata(object: JsonObject, metaVersion: string): JsonObject {
  return {
    kind: 'PartialObjectMetadata',
    apiVersion: `meta.k8s.io/${metaVersion}`,
    metadata: object.metadata,
  };
}

const cache = new WeakMap<ResourceDefinition, readonly TableColumn[]>();

function columnsOf(resource: ResourceDefinition): readonly TableColumn[] {
  let columns = cache.get(resource);
  if (columns === undefined) {
    columns = makeColumns(resource);
    cache.set(resource, columns);
  }
  return columns;
}

function makeColumns(resource: ResourceDefinition): readonly TableColumn[] {
  const builtin = resource.custom ? undefined : builtinColumns(resource);
  if (builtin !== undefined) return builtin;
  const name: TableColumn = {
    name: 'Name',
    type: 'string',
    format: 'name',
    description: 'Name of the object, unique in its namespace.',
    priority: 0,
    cell: (object) => text(child(object, 'metadata')?.name) ?? '',
  };
  const own = resource.columns ?? [{ name: 'Age', type: 'date', jsonPath: '.metadata.creationTimestamp' }];
  return [name, ...own.map(customColumn)];
}

function customColumn(column: PrinterColumn): TableColumn {
  return {
    name: column.name,
    type: column.type,
    format: '',
    description: column.description ?? `Custom resource definition column (in JSONPath format): ${column.jsonPath}`,
    priority: column.priority ?? 0,
    cell: (object) => customCell(column, evaluateJsonPath(object, column.jsonPath)),
  };
}

function customCell(column: PrinterColumn, values: readonly unknown[]): Cell {
  const [value] = values;
  if (value === undefined || value === null) return null;
  switch (column.type) {
    case 'date':
      return age(String(value));
    case 'string':
      return typeof value === 'object' ? JSON.stringify(value) : String(value);
    case 'integer':
      return typeof value === 'number' ? Math.trunc(value) : null;
    case 'boolean':
      return typeof value === 'boolean' ? value : null;
  }
}

/** Lists, page by page: how large a page is, in which form its objects come, and where the next one starts. */
import type { KubeObject, ListOptions, Projection, Selection } from './cluster.ts';
import { isStatus } from './failures.ts';
import { selectors } from './resource-path.ts';

interface ListPage {
  readonly metadata?: { readonly resourceVersion?: string; readonly continue?: string };
  readonly items?: readonly KubeObject[];
  readonly columnDefinitions?: readonly { readonly name: string }[] | null;
  readonly rows?: readonly { readonly cells: readonly unknown[]; readonly object: KubeObject }[];
}

/** One request: the answer as text, so that nobody holds on to it once it is parsed. */
export type FetchPage = (query: URLSearchParams, accept: string | undefined) => Promise<string>;

/**
 * A page and the objects that it is parsed into live at the same time, beside those of other lists: this is what a run needs
 * of memory at its peak. Beyond some megabytes the objects also outlive the young generation, and are collected dearly.
 */
const pageBytes = 2 * 1024 * 1024;
const firstPage = 250;
/** Smaller pages only add requests, larger ones burden the server. */
const fewest = 50;
const most = 500;
const listRestarts = 3;

const partial = 'application/json;as=PartialObjectMetadataList;g=meta.k8s.io;v=v1,application/json';
const table = 'application/json;as=Table;g=meta.k8s.io;v=v1,application/json';

/** Reads all pages; one whose snapshot the server has dropped (410) starts the list anew. */
export async function listAll<T>(
  fetchPage: FetchPage,
  parse: (text: string) => unknown,
  selection: Selection,
  project: Projection<T>,
  options: ListOptions,
): Promise<{ readonly items: T[]; readonly resourceVersion: string }> {
  for (let restart = 0; ; restart += 1) {
    try {
      return await listOnce(fetchPage, parse, selection, project, options);
    } catch (error) {
      // The snapshot that the continue token reads from was compacted away.
      if (!isStatus(error, 410) || restart >= listRestarts) throw error;
    }
  }
}

async function listOnce<T>(
  fetchPage: FetchPage,
  parse: (text: string) => unknown,
  selection: Selection,
  project: Projection<T>,
  options: ListOptions,
): Promise<{ readonly items: T[]; readonly resourceVersion: string }> {
  const accept = options.metadataOnly ? partial : options.rows ? table : undefined;
  const items: T[] = [];
  const columns = new Map<string, number>();
  let limit = firstPage;
  let resourceVersion: string | undefined;
  let next: string | undefined;
  do {
    const query = selectors(selection);
    query.set('limit', String(limit));
    if (next !== undefined) query.set('continue', next);
    const text = await fetchPage(query, accept);
    const page = parse(text) as ListPage;
    const found = projectPage(page, columns, project, items);
    resourceVersion ??= page.metadata?.resourceVersion;
    next = page.metadata?.continue || undefined;
    if (found > 0) limit = Math.min(most, Math.max(fewest, Math.floor((pageBytes / text.length) * found)));
  } while (next !== undefined);
  return { items, resourceVersion: resourceVersion ?? '' };
}

/** Returns how many objects the page has. */
function projectPage<T>(page: ListPage, columns: Map<string, number>, project: Projection<T>, items: T[]): number {
  const { items: objects, rows = [] } = page;
  for (const [index, { name }] of (page.columnDefinitions ?? []).entries()) columns.set(name, index);
  for (const object of objects ?? []) {
    const item = project(object, undefined);
    if (item !== undefined) items.push(item);
  }
  for (const { object, cells } of rows) {
    const item = project(object, (column) => cells[columns.get(column) ?? -1]);
    if (item !== undefined) items.push(item);
  }
  return (objects ?? rows).length;
}

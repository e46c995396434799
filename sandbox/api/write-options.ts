/** Query parameters of writes, checked as kube-apiserver checks them. */
import type { FieldError } from './status.ts';
import {
  fieldForbidden,
  fieldInvalid,
  fieldRequired,
  fieldTooLong,
  fieldUnsupported,
  invalidOptions,
} from './status.ts';

export interface WriteOptions {
  readonly dryRun: boolean;
  /** Who writes: the parameter, or the user agent up to its first slash. */
  readonly fieldManager: string;
  readonly fieldValidation: 'Ignore' | 'Warn' | 'Strict';
  readonly force: boolean;
}

export type OptionsKind = 'CreateOptions' | 'UpdateOptions' | 'PatchOptions' | 'DeleteOptions';

/** Throws 422. */
export function parseWriteOptions(
  kind: OptionsKind,
  query: URLSearchParams,
  userAgent: string | undefined,
  apply = false,
): WriteOptions {
  const errors: FieldError[] = [];
  const dryRun = query.getAll('dryRun').filter((value) => value !== '');
  if (dryRun.some((value) => value !== 'All')) errors.push(fieldUnsupported('dryRun', dryRun, ['All']));
  const manager = query.get('fieldManager') ?? '';
  if (manager.length > 128) errors.push(fieldTooLong('fieldManager', 128));
  else if (!/^[\p{L}\p{N}\p{P}\p{S} ]*$/u.test(manager)) {
    errors.push(fieldInvalid('fieldManager', manager, 'should only contain printable characters'));
  }
  const force = query.get('force');
  if (apply && manager === '') errors.push(fieldRequired('fieldManager', 'is required for apply patch'));
  if (!apply && kind === 'PatchOptions' && force !== null) {
    errors.push(fieldForbidden('force', 'may not be specified for non-apply patch'));
  }
  const validation = query.get('fieldValidation') ?? '';
  if (!['', 'Ignore', 'Strict', 'Warn'].includes(validation)) {
    errors.push(fieldUnsupported('fieldValidation', validation, ['', 'Ignore', 'Strict', 'Warn']));
  }
  if (errors.length > 0) throw invalidOptions(kind, errors);
  return {
    dryRun: dryRun.length > 0,
    fieldManager: manager === '' ? managerOf(userAgent) : manager,
    fieldValidation: validation === 'Ignore' || validation === 'Strict' ? validation : 'Warn',
    force: force === 'true' || force === '1',
  };
}

function managerOf(userAgent: string | undefined): string {
  const name = (userAgent ?? '').split('/', 1)[0] ?? '';
  return name === '' ? 'unknown' : name.slice(0, 128);
}

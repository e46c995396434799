import type { Buffer } from 'node:buffer';
import { badRequest } from './status.ts';
import type { WriteContext, WriteResult } from './writing.ts';

export function applyObject(_context: WriteContext, _name: string, _body: Buffer): WriteResult {
  throw badRequest('server-side apply is not served');
}
